//! `bindery repo`.

use bindery_client::{Pages, RepositoryQuery};
use bindery_proto::v1::{Ref, Repository, r#ref::Kind};
use clap::{Subcommand, ValueEnum};

use crate::{
    problem::Problem,
    record::{Record, word},
    resource,
    session::Session,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the repositories that a link can see
    #[command(after_help = "Example:\n  bindery repo list acme/8c1f --query api")]
    List {
        /// The link, as namespace/link
        link: String,
        /// Text that the path contains
        #[arg(long)]
        query: Option<String>,
        /// Organization or user that owns them
        #[arg(long)]
        owner: Option<String>,
    },
    /// Show one repository
    #[command(after_help = "Example:\n  bindery repo get acme/8c1f acme/api")]
    Get {
        /// The link, as namespace/link
        link: String,
        /// Full name or stable id of the repository
        repository: String,
    },
    /// List branches and tags
    #[command(after_help = "Example:\n  bindery repo refs acme/8c1f acme/api --kind branch")]
    Refs {
        /// The link, as namespace/link
        link: String,
        /// Full name or stable id of the repository
        repository: String,
        /// Only branches, or only tags
        #[arg(long, value_enum)]
        kind: Option<KindArg>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// Branches
    Branch,
    /// Tags
    Tag,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    match command {
        Command::List { link, query, owner } => {
            let query = RepositoryQuery {
                text: query.unwrap_or_default(),
                owner: owner.unwrap_or_default(),
                ..RepositoryQuery::default()
            };
            list(
                client.list_repositories(resource::link(&link)?, query),
                session,
            )
            .await
        }
        Command::Get { link, repository } => {
            let name = resource::repository(&link, &repository)?;
            session.show(&client.get_repository(name).await?)
        }
        Command::Refs {
            link,
            repository,
            kind,
        } => {
            let name = resource::repository(&link, &repository)?;
            let kind = kind.map(|kind| match kind {
                KindArg::Branch => Kind::Branch,
                KindArg::Tag => Kind::Tag,
            });
            list(client.list_refs(name, kind), session).await
        }
    }
}

/// Prints a list, and says where the provider leaves something out.
pub(crate) async fn list<R: Record + 'static>(
    mut pages: Pages<R>,
    session: &Session,
) -> Result<(), Problem> {
    session.list(&pages.collect().await?)?;
    if let Some(notice) = pages.notice() {
        session.say(&format!("note: {}", notice.message));
        if let Some(url) = &notice.url {
            session.say(&format!("see: {url}"));
        }
    }
    Ok(())
}

impl Record for Repository {
    const MESSAGE: &'static str = "bindery.v1.Repository";
    const COLUMNS: &'static [&'static str] =
        &["REPOSITORY", "ID", "VISIBILITY", "ACCESS", "BRANCH"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.full_name.as_str().into(),
            self.stable_id.as_str().into(),
            word(self.visibility().as_str_name(), "VISIBILITY_").into(),
            word(self.access().as_str_name(), "ACCESS_").into(),
            self.default_branch.as_str().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("full name", self.full_name.as_str().into()),
            ("id", self.stable_id.as_str().into()),
            ("description", self.description.as_str().into()),
            (
                "visibility",
                word(self.visibility().as_str_name(), "VISIBILITY_").into(),
            ),
            (
                "access",
                word(self.access().as_str_name(), "ACCESS_").into(),
            ),
            ("default branch", self.default_branch.as_str().into()),
            ("clone", self.clone_uri.as_str().into()),
            ("web", self.web_uri.as_str().into()),
            (
                "hooks",
                word(self.can_add_hook().as_str_name(), "ANSWER_").into(),
            ),
        ]
    }
}

impl Record for Ref {
    const MESSAGE: &'static str = "bindery.v1.Ref";
    const COLUMNS: &'static [&'static str] = &["REF", "COMMIT", "NOTES"];

    fn name(&self) -> &str {
        &self.r#ref
    }

    fn row(&self) -> Vec<Cell> {
        let notes = [(self.is_default, "default"), (self.protected, "protected")];
        let notes: Vec<_> = notes
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, word)| *word)
            .collect();
        vec![
            self.r#ref.as_str().into(),
            self.commit_id.chars().take(12).collect::<String>().into(),
            notes.join(", ").into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("ref", self.r#ref.as_str().into()),
            ("commit", self.commit_id.as_str().into()),
        ]
    }
}
