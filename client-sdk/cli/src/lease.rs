//! `bindery lease`.

use bindery_proto::v1::{Lease, RevokeLeaseResponse};
use clap::Subcommand;

use crate::{
    json, moment,
    problem::Problem,
    record::{Record, id, word},
    resource,
    session::Session,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what was handed out, the newest first
    #[command(after_help = "Example:\n  bindery lease list acme")]
    List {
        /// The namespace; all of them unless given
        namespace: Option<String>,
        /// Which ones, such as 'link = "namespaces/acme/links/8c1f"'
        #[arg(long, default_value = "", hide_default_value = true)]
        filter: String,
        /// Also those that ended
        #[arg(long)]
        all: bool,
    },
    /// Give a credential back: its token is revoked where it was made for this lease alone
    #[command(after_help = "Example:\n  bindery lease revoke namespaces/acme/leases/7d20")]
    Revoke {
        /// The lease, as its whole name
        lease: String,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    match command {
        Command::List {
            namespace,
            filter,
            all,
        } => {
            let parent = resource::namespace(namespace.as_deref().unwrap_or("-"))?;
            session.list(&client.list_leases(parent, filter, all).all().await?)
        }
        Command::Revoke { lease } => revoked(&client.revoke_lease(lease).await?, session),
    }
}

fn revoked(answer: &RevokeLeaseResponse, session: &Session) -> Result<(), Problem> {
    if session.is_json() {
        return session.json(&json::value("bindery.v1.RevokeLeaseResponse", answer)?);
    }
    session.show(&answer.lease.clone().unwrap_or_default())?;
    if let Some(step) = &answer.step {
        session.say(&step.message);
    }
    Ok(())
}

impl Record for Lease {
    const MESSAGE: &'static str = "bindery.v1.Lease";
    const COLUMNS: &'static [&'static str] = &[
        "LEASE",
        "LINK",
        "PERMISSION",
        "HOLDER",
        "CREATED",
        "EXPIRES",
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.as_str().into(),
            id(&self.link).into(),
            permission(self).into(),
            holder(self).into(),
            moment::relative(self.create_time.as_ref()).into(),
            moment::relative(self.expire_time.as_ref()).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("lease", self.name.as_str().into()),
            ("link", self.link.as_str().into()),
            ("repository", self.repository.as_str().into()),
            ("permission", permission(self).into()),
            (
                "limited to the repository",
                if self.narrowed { "yes" } else { "no" }.into(),
            ),
            ("holder", holder(self).into()),
            (
                "created",
                moment::relative(self.create_time.as_ref()).into(),
            ),
            (
                "expires",
                moment::relative(self.expire_time.as_ref()).into(),
            ),
            (
                "revoked",
                moment::relative(self.revoke_time.as_ref()).into(),
            ),
        ]
    }
}

fn permission(lease: &Lease) -> String {
    word(lease.permission().as_str_name(), "CREDENTIAL_PERMISSION_")
}

fn holder(lease: &Lease) -> String {
    lease.holder.clone().unwrap_or_default().id
}
