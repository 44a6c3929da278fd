//! A row of the table: one link at one forge, through all steps, by the command line alone.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bindery_tests::{
    daemon::{Daemon, Options},
    forge::{Forge, link_in_browser},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    cli::{self, Waiting, text},
    place::configured,
    step::Step,
};

/// A daemon with one forge, and the link that the steps are taken with.
pub(super) struct Row<F> {
    pub(super) daemon: Daemon,
    pub(super) forge: F,
    /// The link, as commands take it; empty before the first step.
    pub(super) link: String,
    /// The token that was handed out last.
    pub(super) token: String,
}

impl<F: Forge> Row<F> {
    /// A daemon that knows the forge, and a namespace.
    pub(super) async fn new(mut forge: F) -> Result<Self> {
        let plugins = vec![F::PLUGIN];
        let options = Options {
            plugins,
            ..Options::default()
        };
        let daemon = Daemon::start(&options).await?;
        configured(&daemon, &mut forge).await?;
        let (link, token) = Default::default();
        Ok(Self {
            daemon,
            forge,
            link,
            token,
        })
    }

    /// Takes a step, and fails where it does not do all that it promises.
    pub(super) async fn take(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Link => self.links().await,
            Step::List => self.lists(),
            Step::Fetch => self.fetches().await,
            Step::Clone => self.clones(),
            Step::Refresh => self.refreshes().await,
            Step::Disable => self.disables().await,
            Step::Enable => self.enables().await,
            Step::Reauthorize => self.reauthorizes().await,
            Step::Unlink => self.unlinks().await,
        }
    }

    /// The link is bound to the person who agreed.
    async fn links(&mut self) -> Result<()> {
        let create = ["link", "create", "acme", "forge"];
        let permission = ["--permission", "read-code"];
        self.person(&[&create[..], &permission].concat()).await?;
        self.link = self.only_link()?;
        let link = self.seen()?;
        let login = text(&link, "/identity/login")?;
        ensure!(login == "octo", "{login} is bound");
        ensure!(generation(&link)? == 1, "not the first pair: {link}");
        Ok(())
    }

    /// Somebody runs a command, opens the page that it prints, agrees and confirms.
    pub(super) async fn person(&mut self, arguments: &[&str]) -> Result<()> {
        let waiting = Waiting::start(&self.daemon, arguments)?;
        let mut browser = self.forge.browser();
        link_in_browser(&mut self.forge, &mut browser, waiting.page.trim()).await?;
        let said = waiting.end()?;
        ensure!(said.starts_with("bound: octo "), "it says {said}");
        Ok(())
    }

    /// The namespace has one link, which is bound.
    pub(super) fn only_link(&self) -> Result<String> {
        let list = ["link", "list", "acme", "--filter", "stage = \"BOUND\""];
        let names = cli::run(&self.daemon, &[&list[..], &["-o", "name"]].concat())?;
        ensure!(names.lines().count() == 1, "not one link: {names:?}");
        Ok(names.trim().to_owned())
    }

    /// The link as the API shows it.
    pub(super) fn seen(&self) -> Result<Value> {
        cli::json(&self.daemon, &["link", "get", &self.link])
    }

    /// The repository is listed with its stable id, and `main` with the commit that git knows.
    fn lists(&self) -> Result<()> {
        let all = cli::json(&self.daemon, &["repo", "list", &self.link])?;
        let hello = entry(&all, "fullName", "octo/hello")?;
        ensure!(!text(hello, "/stableId")?.is_empty(), "no id: {hello}");
        let refs = ["repo", "refs", &self.link, "octo/hello"];
        let refs = cli::json(&self.daemon, &refs)?;
        let main = entry(&refs, "ref", "refs/heads/main")?;
        ensure!(text(main, "/commitId")?.len() == 40, "no commit: {main}");
        Ok(())
    }

    /// What is handed out is accepted by the forge, for the repository that was asked for.
    async fn fetches(&mut self) -> Result<()> {
        let read = ["credential", "read", &self.link, "octo/hello"];
        let credential = cli::json(&self.daemon, &read)?;
        let clone_uri = text(&credential, "/cloneUri")?;
        ensure!(
            clone_uri == self.forge.clone_url(),
            "the repository is not at {clone_uri}"
        );
        text(&credential, "/token")?.clone_into(&mut self.token);
        self.is_accepted().await
    }

    pub(super) async fn is_accepted(&mut self) -> Result<()> {
        let accepted = self.forge.accepts(&self.token).await?;
        ensure!(accepted, "the forge refuses what was handed out");
        Ok(())
    }

    /// What is handed out for the whole link.
    pub(super) fn handed_out(&self) -> Result<String> {
        let read = ["credential", "read", &self.link, "-o", "token"];
        Ok(cli::run(&self.daemon, &read)?.trim().to_owned())
    }

    /// One refresh at the forge, and a new token.
    async fn refreshes(&mut self) -> Result<()> {
        let (asked, pair) = (self.forge.refreshes().await?, generation(&self.seen()?)?);
        next_second().await;
        cli::json(&self.daemon, &["link", "check", &self.link, "--refresh"])?;
        let asked = self.forge.refreshes().await? - asked;
        ensure!(asked == 1, "the forge has counted {asked} refreshes");
        self.is_renewed(pair + 1).await
    }

    /// The link has this pair of tokens, and another token is handed out than before.
    pub(super) async fn is_renewed(&mut self, pair: u64) -> Result<()> {
        let link = self.seen()?;
        ensure!(generation(&link)? == pair, "it is not pair {pair}: {link}");
        let fresh = self.handed_out()?;
        ensure!(fresh != self.token, "the old token is handed out");
        self.token = fresh;
        self.is_accepted().await
    }

    /// Nothing is handed out, and the forge knows nothing of it.
    async fn disables(&mut self) -> Result<()> {
        let disable = ["link", "disable", &self.link, "--reason", "audit"];
        cli::run(&self.daemon, &disable)?;
        let read = ["credential", "read", &self.link];
        let reason = cli::refused(&self.daemon, &read)?;
        ensure!(reason == "LINK_DISABLED", "refused for {reason}");
        self.is_accepted().await
    }

    /// The same token is handed out as before.
    async fn enables(&mut self) -> Result<()> {
        cli::run(&self.daemon, &["link", "enable", &self.link])?;
        let back = self.handed_out()?;
        ensure!(back == self.token, "another token is handed out");
        self.is_accepted().await
    }
}

/// Waits for the next second: Gitea's tokens of one grant that were made in the same one are the same.
pub(crate) async fn next_second() {
    let started = Timestamp::now().as_second();
    while Timestamp::now().as_second() <= started {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Which pair of tokens a link has.
pub(super) fn generation(link: &Value) -> Result<u64> {
    Ok(text(link, "/token/generation")?.parse()?)
}

/// The entry of a list whose member has this value.
pub(super) fn entry<'a>(list: &'a Value, member: &str, value: &str) -> Result<&'a Value> {
    let mut entries = list.as_array().into_iter().flatten();
    let found = entries.find(|entry| entry[member] == value);
    found.with_context(|| format!("no {value} in {list}"))
}
