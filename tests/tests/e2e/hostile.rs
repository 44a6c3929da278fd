//! A plugin that attacks, through the whole daemon.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, Error, LinkRequest, RepositoryQuery, RetryPolicy, Token,
    proto::v1::{Host, Permission},
};
use bindery_tests::{
    artifacts::Plugin,
    daemon::Options,
    forge::GitHubForge,
    github::{Pat, PatKind},
};
use serde::Deserialize;

use crate::world::{World, host_of};

/// How the plugin starts the message of an attack that worked.
const ESCAPED: &str = "ESCAPED";

/// A slow attack takes a whole step deadline, so one that spins and one that blocks stand for all of them here; the
/// conformance kit runs the others.
const SLOW: [&str; 2] = ["loop", "wire_read"];

#[derive(Deserialize)]
struct Attacks {
    attack: Vec<Attack>,
}

#[derive(Deserialize)]
struct Attack {
    name: String,
    code: String,
    #[serde(default)]
    slow: bool,
}

impl Attack {
    /// The stable reason that a caller of the daemon gets.
    fn reason(&self) -> Option<&'static str> {
        Some(match self.code.as_str() {
            "Panic" | "Protocol" | "Stuck" => "PLUGIN_FAILED",
            "Crashed" => "PLUGIN_CRASHED",
            "Timeout" => "PLUGIN_TIMEOUT",
            "RequestNotAllowed" => "REQUEST_NOT_ALLOWED",
            "PermissionDenied" => "PROVIDER_DENIED",
            "Upstream" => "PROVIDER_UNAVAILABLE",
            _ => return None,
        })
    }
}

fn attacks() -> Result<Vec<Attack>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/attacks.toml");
    let all = toml::from_str::<Attacks>(&std::fs::read_to_string(path)?)?.attack;
    let chosen = |attack: &Attack| !attack.slow || SLOW.contains(&attack.name.as_str());
    Ok(all.into_iter().filter(chosen).collect())
}

/// P1, P4, P7, P9: every attack is one failed call with a typed reason; a link of another provider is served before,
/// during and after each of them, by the same process.
#[tokio::test(flavor = "multi_thread")]
async fn p1_p4_p7_p9_every_attack_is_one_failed_call() -> Result<()> {
    let scene = Scene::new().await?;
    let process = scene.world.daemon.id();
    let (mut tried, mut failed, mut wrong) = (0, 0, Vec::new());
    for attack in attacks()? {
        let outcome = scene.attack(&attack).await?;
        tried += 1;
        failed += usize::from(outcome.is_err());
        wrong.extend(judge(&attack, &outcome).err());
        scene
            .others_are_served()
            .await
            .with_context(|| format!("after {}", attack.name))?;
    }
    println!(
        "figure: P1: {tried} attacks of the hostile plugin, {failed} ended in an error, {} wrongly",
        wrong.len()
    );
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(
        scene.world.daemon.id() == process && !scene.world.daemon.log().contains("\"Panic;"),
        "the daemon died"
    );
    Ok(())
}

/// A refused attack is an error with its reason, one line, which holds neither success nor secrets.
fn judge(attack: &Attack, outcome: &Result<usize, Error>) -> Result<(), String> {
    let shown = || format!("{}: {outcome:?}", attack.name);
    let Err(error) = outcome else {
        return (attack.code == "Harmless").then_some(()).ok_or_else(shown);
    };
    let text = error.to_string();
    let facts = error.failure().ok_or_else(shown)?;
    let right = match attack.reason() {
        Some(reason) => facts.reason == reason,
        None => attack.code == "Egress" && !facts.reason.is_empty(),
    };
    let clean = !text.contains(ESCAPED) && text.len() < 2500 && !text.chars().any(char::is_control);
    (right && clean).then_some(()).ok_or_else(shown)
}

struct Scene {
    world: World<GitHubForge>,
    admin: Client,
    /// A link of the provider that is attacked from.
    hostile: String,
    /// A link of another provider.
    github: String,
}

impl Scene {
    async fn new() -> Result<Self> {
        let options = Options {
            plugins: vec![Plugin::GitHub, Plugin::Hostile],
            ..Options::default()
        };
        let mut world = World::with(GitHubForge::start(false, None).await?, options).await?;
        let github = world.link().await?;
        let host = Host {
            provider: "providers/hostile".to_owned(),
            settings: [("attack".to_owned(), String::new())].into(),
            ..host_of(&world.forge)
        };
        world.client.create_host("hostile", host).await?;
        let pat = Pat {
            kind: PatKind::Classic {
                scopes: &["repo", "read:user"],
            },
            expires_in: None,
        };
        let token = Token::from(world.forge.standin.add_pat("octo", &pat)?);
        let request = LinkRequest::token("namespaces/acme", "hosts/hostile", &token);
        let link = world
            .client
            .create_link(request.permissions([Permission::ReadCode]))
            .await?
            .link;
        let hostile = link.context("no link")?.name;
        // Each attack is one call: what the client would repeat by itself is counted once.
        let once = RetryPolicy::never();
        let endpoint = world.daemon.admin_endpoint();
        let admin = Client::builder()
            .endpoint(endpoint)
            .retry(once)
            .forge_deadline(Duration::from_secs(60));
        Ok(Self {
            admin: admin.connect().await?,
            world,
            hostile,
            github,
        })
    }

    /// One attack in a fresh worker, so that none waits out the backoff after the last one.
    async fn attack(&self, attack: &Attack) -> Result<Result<usize, Error>> {
        let settings = [("attack".to_owned(), attack.name.clone())].into();
        let host = Host {
            name: "hosts/hostile".to_owned(),
            settings,
            ..Default::default()
        };
        self.admin.update_host(host, ["settings"]).await?;
        self.admin
            .reload_plugin("hostile")
            .await
            .context("reload")?;
        let attacked = self
            .admin
            .list_repositories(&self.hostile, RepositoryQuery::default());
        let (outcome, served) = tokio::join!(attacked.all(), self.others_are_served());
        served.with_context(|| format!("during {}", attack.name))?;
        Ok(outcome.map(|repositories| repositories.len()))
    }

    async fn others_are_served(&self) -> Result<()> {
        ensure!(
            self.world.token(&self.github).await?.starts_with("gho_"),
            "no token"
        );
        let listed = self
            .world
            .client
            .list_repositories(&self.github, RepositoryQuery::default())
            .all()
            .await?;
        ensure!(
            listed
                .iter()
                .any(|repository| repository.full_name == "octo/hello"),
            "nothing is listed"
        );
        Ok(())
    }
}
