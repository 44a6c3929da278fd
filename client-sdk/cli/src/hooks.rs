//! `bindery hooks`.

use bindery_client::Client;
use bindery_proto::v1::{CleanupStep, OrphanHook};
use clap::{Args, Subcommand};

use crate::{
    args::Output,
    json,
    link::show::steps,
    problem::Problem,
    record::Record,
    repo,
    resource::{self, short},
    session::Session,
    table::Cell,
};

mod rotate;

/// How many hooks one call removes at most.
const MOST: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find hooks that point at this Bindery and belong to no source
    ///
    /// They are known by the public URL that the daemon has now. Remove them before the URL changes: those that were left
    /// behind under a former one are not found.
    #[command(after_help = "Examples:\n  bindery hooks orphans acme\n  \
        bindery hooks orphans acme --remove")]
    Orphans(Orphans),
    /// Give many hooks new secrets; old and new are accepted for a while
    #[command(after_help = "Examples:\n  bindery hooks rotate acme --wait\n  \
        bindery hooks rotate --filter 'host = \"hosts/github.com\"' --overlap 1d --dry-run")]
    Rotate(rotate::Rotate),
    /// Show how far a rotation is, and what it did to each hook
    #[command(after_help = "Example:\n  bindery hooks rotation acme/7 --wait")]
    Rotation(rotate::Rotation),
}

#[derive(Args, Debug)]
pub(crate) struct Orphans {
    /// The namespace, or the link as namespace/link; all of them unless given
    parent: Option<String>,
    /// Remove those that are found
    #[arg(long)]
    remove: bool,
    /// Show what removing would do
    #[arg(long, visible_alias = "preview", requires = "remove")]
    dry_run: bool,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Orphans(orphans) => self::orphans(orphans, session).await,
        Command::Rotate(rotate) => rotate::run(rotate, session).await,
        Command::Rotation(rotation) => rotate::show(rotation, session).await,
    }
}

async fn orphans(orphans: Orphans, session: &Session) -> Result<(), Problem> {
    let parent = resource::links(orphans.parent.as_deref())?;
    let client = session.client().await?;
    let mut pages = client.list_orphan_hooks(&parent);
    if !orphans.remove {
        return repo::list(pages, session).await;
    }
    let found = pages.collect().await?;
    if let Some(notice) = pages.notice() {
        session.say(&format!("note: {}", notice.message));
    }
    let namespace = parent.split("/links/").next().unwrap_or_default();
    let done = remove(&client, namespace, &found, orphans.dry_run).await?;
    match session.output {
        Output::Json => session.json(&json::list("bindery.v1.CleanupStep", &done)?)?,
        Output::Name => session.list(&found)?,
        _ if done.is_empty() => session.say("nothing found"),
        _ => steps(&done, session)?,
    }
    if orphans.dry_run {
        session.say("nothing was changed");
    }
    Ok(())
}

async fn remove(
    client: &Client,
    namespace: &str,
    hooks: &[OrphanHook],
    preview: bool,
) -> Result<Vec<CleanupStep>, Problem> {
    let mut done = Vec::new();
    for some in hooks.chunks(MOST) {
        let steps = client.remove_orphan_hooks(namespace, some.to_vec(), preview);
        done.extend(steps.await?);
    }
    Ok(done)
}

impl Record for OrphanHook {
    const MESSAGE: &'static str = "bindery.v1.OrphanHook";
    const COLUMNS: &'static [&'static str] = &["LINK", "REPOSITORY", "HOOK", "DELIVERS TO", "SEE"];

    fn name(&self) -> &str {
        &self.hook_id
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            short(&self.link).into(),
            self.repository_full_name.as_str().into(),
            self.hook_id.as_str().into(),
            self.delivery_uri.as_str().into(),
            self.action_uri.as_str().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("link", self.link.as_str().into()),
            ("repository", self.repository_full_name.as_str().into()),
            ("hook", self.hook_id.as_str().into()),
            ("delivers to", self.delivery_uri.as_str().into()),
            ("see", self.action_uri.as_str().into()),
        ]
    }
}
