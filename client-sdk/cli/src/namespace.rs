//! `bindery namespace`.

use bindery_proto::v1::{Namespace, namespace::Kind};
use clap::{Subcommand, ValueEnum};

use crate::{
    moment,
    problem::Problem,
    record::{Record, id, word},
    resource,
    session::Session,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a namespace
    #[command(after_help = "Example:\n  bindery namespace add acme --kind organization")]
    Add {
        /// Its id: a-z, 0-9, - and .
        id: String,
        /// What it is
        #[arg(long, value_enum, default_value_t = KindArg::Organization)]
        kind: KindArg,
        /// Name for people
        #[arg(long)]
        display_name: Option<String>,
        /// With --kind instance: its type, in the registry's words
        #[arg(long)]
        instance_type: Option<String>,
        /// With --kind instance: its region
        #[arg(long)]
        region: Option<String>,
        /// Accept service accounts only
        #[arg(long)]
        require_service_account: bool,
    },
    /// List namespaces
    #[command(after_help = "Example:\n  bindery namespace list")]
    List,
    /// Show one namespace
    #[command(after_help = "Example:\n  bindery namespace get acme")]
    Get {
        /// Its id
        namespace: String,
    },
    /// Remove a namespace without links
    #[command(after_help = "Example:\n  bindery namespace remove acme")]
    Remove {
        /// Its id
        namespace: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KindArg {
    /// A person
    User,
    /// An organization or team
    Organization,
    /// A registry instance
    Instance,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    match command {
        Command::Add {
            id,
            kind,
            display_name,
            instance_type,
            region,
            require_service_account,
        } => {
            let kind = match kind {
                KindArg::User => Kind::User,
                KindArg::Organization => Kind::Organization,
                KindArg::Instance => Kind::Instance,
            };
            let namespace = Namespace {
                kind: kind.into(),
                display_name: display_name.unwrap_or_default(),
                instance_type: instance_type.unwrap_or_default(),
                region: region.unwrap_or_default(),
                require_service_account,
                ..Namespace::default()
            };
            session.show(&client.create_namespace(id, namespace).await?)
        }
        Command::List => session.list(&client.list_namespaces("").all().await?),
        Command::Get { namespace } => session.show(
            &client
                .get_namespace(resource::namespace(&namespace)?)
                .await?,
        ),
        Command::Remove { namespace } => {
            let name = resource::namespace(&namespace)?;
            client.delete_namespace(&name).await?;
            session.say(&format!("{name} is removed"));
            Ok(())
        }
    }
}

impl Record for Namespace {
    const MESSAGE: &'static str = "bindery.v1.Namespace";
    const COLUMNS: &'static [&'static str] = &["NAMESPACE", "KIND", "LINKS", "CREATED"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            id(&self.name).into(),
            word(self.kind().as_str_name(), "KIND_").into(),
            self.link_count.to_string().into(),
            moment::relative(self.create_time.as_ref()).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let service_accounts = if self.require_service_account {
            "required"
        } else {
            ""
        };
        vec![
            ("name", self.name.as_str().into()),
            ("kind", word(self.kind().as_str_name(), "KIND_").into()),
            ("display name", self.display_name.as_str().into()),
            ("instance type", self.instance_type.as_str().into()),
            ("region", self.region.as_str().into()),
            ("service accounts", service_accounts.into()),
            ("links", self.link_count.to_string().into()),
            (
                "created",
                moment::relative(self.create_time.as_ref()).into(),
            ),
        ]
    }
}
