//! `bindery host`.

use bindery_client::Client;
use bindery_proto::v1::Host;
use clap::{Args, Subcommand};

use crate::{
    moment,
    problem::Problem,
    record::{Record, id},
    resource,
    session::Session,
    style::Tone,
    table::Cell,
};

mod probe;
mod settings;

use settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a host, probe it, and say what to register there
    #[command(
        after_help = "Example:\n  bindery host add gitea.corp --provider gitea \\\n    \
        --web-url https://git.corp.example --ca-file corp-ca.pem \\\n    \
        --client-id bindery --client-secret-file -"
    )]
    Add(Box<Add>),
    /// List hosts
    #[command(after_help = "Example:\n  bindery host list")]
    List,
    /// Show one host
    #[command(after_help = "Example:\n  bindery host get github.com")]
    Get {
        /// Its id
        host: String,
    },
    /// Change a host; what is not named stays
    #[command(
        after_help = "Example:\n  bindery host update github.com --client-secret-file new.txt"
    )]
    Update(Box<Update>),
    /// Remove a host without links
    #[command(after_help = "Example:\n  bindery host remove gitea.corp")]
    Remove {
        /// Its id
        host: String,
    },
    /// Try every way to a host, layer by layer; exits with 6 where one fails
    #[command(after_help = "Example:\n  bindery host probe github.com")]
    Probe {
        /// Its id
        host: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Its id, such as github.com: a-z, 0-9, - and .
    id: String,
    /// The provider, such as gitea
    #[arg(long)]
    provider: String,
    /// Do not probe it afterwards
    #[arg(long)]
    no_probe: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
pub(crate) struct Update {
    /// Its id
    host: String,
    /// Switch it off, and say why
    #[arg(long, value_name = "REASON", conflicts_with = "enable")]
    disable: Option<String>,
    /// Switch it on
    #[arg(long)]
    enable: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Add(add) => self::add(*add, session).await,
        Command::List => session.list(&session.client().await?.list_hosts("").all().await?),
        Command::Get { host } => {
            let name = resource::host(&host)?;
            session.show(&session.client().await?.get_host(name).await?)
        }
        Command::Update(update) => self::update(*update, session).await,
        Command::Remove { host } => {
            let name = resource::host(&host)?;
            session.client().await?.delete_host(&name).await?;
            session.say(&format!("{name} is removed"));
            Ok(())
        }
        Command::Probe { host } => {
            let name = resource::host(&host)?;
            let probed = session.client().await?.probe_host(&name).await?;
            probe::print(&probed, session)?;
            probe::verdict(&name, &probed)
        }
    }
}

async fn add(add: Add, session: &Session) -> Result<(), Problem> {
    let mut host = Host {
        provider: resource::provider(&add.provider)?,
        ..Host::default()
    };
    if add.settings.web_url.is_none() {
        return Err(Problem::usage(
            "a host needs its URL; add --web-url https://...",
        ));
    }
    add.settings.apply(&mut host)?;
    let client = session.client().await?;
    let host = client.create_host(add.id, host).await?;
    session.show(&host)?;
    say_redirect(&host, session);
    if !add.no_probe {
        probe_added(&client, &host, session).await;
    }
    Ok(())
}

fn say_redirect(host: &Host, session: &Session) {
    if let Some(client) = host
        .oauth_client
        .as_ref()
        .filter(|one| !one.redirect_uri.is_empty())
    {
        session.say(&format!(
            "register this redirect URI with the OAuth application at {}:\n  {}",
            id(&host.name),
            client.redirect_uri
        ));
    }
}

/// The host is there whatever the probe finds, so that it can be put right with `host update`.
async fn probe_added(client: &Client, host: &Host, session: &Session) {
    match client.probe_host(&host.name).await {
        Ok(probed) => session.say(probe::table(&probed, session.errors).trim_end()),
        Err(error) => session.say(&format!(
            "{} is added, but it could not be probed: {error}; try bindery host probe {}",
            host.name,
            id(&host.name)
        )),
    }
}

async fn update(update: Update, session: &Session) -> Result<(), Problem> {
    let name = resource::host(&update.host)?;
    let client = session.client().await?;
    let mut host = client.get_host(&name).await?;
    let mut mask = update.settings.apply(&mut host)?;
    if update.enable || update.disable.is_some() {
        host.disabled = update.disable.is_some();
        host.disabled_reason = update.disable.unwrap_or_default();
        mask.extend(["disabled", "disabled_reason"]);
    }
    if mask.is_empty() {
        return Err(Problem::usage(
            "nothing to change; name a setting, see --help",
        ));
    }
    session.show(&client.update_host(host, mask).await?)
}

impl Record for Host {
    const MESSAGE: &'static str = "bindery.v1.Host";
    const COLUMNS: &'static [&'static str] = &["HOST", "PROVIDER", "URL", "LINKS", "STATE"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            id(&self.name).into(),
            id(&self.provider).into(),
            web(self).into(),
            self.link_count.to_string().into(),
            state(self),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let client = self.oauth_client.clone().unwrap_or_default();
        let probed = self.probed.clone().unwrap_or_default();
        let urls = self.public_urls.clone().unwrap_or_default();
        let secrets = match client.client_secret_count {
            0 => String::new(),
            count => count.to_string(),
        };
        vec![
            ("name", self.name.as_str().into()),
            ("provider", self.provider.as_str().into()),
            ("display name", self.display_name.as_str().into()),
            ("web", urls.web.into()),
            ("api", urls.api.into()),
            ("git", urls.git.into()),
            ("client id", client.client_id.into()),
            ("client secrets", secrets.into()),
            ("redirect uri", client.redirect_uri.into()),
            ("networks", self.allowed_private_cidrs.join(", ").into()),
            ("proxy", self.proxy.clone().unwrap_or_default().uri.into()),
            ("server version", probed.version.into()),
            (
                "probed",
                moment::relative(probed.probe_time.as_ref()).into(),
            ),
            ("links", self.link_count.to_string().into()),
            ("state", state(self)),
            ("reason", self.disabled_reason.as_str().into()),
        ]
    }
}

fn web(host: &Host) -> &str {
    host.public_urls.as_ref().map_or("", |urls| &urls.web)
}

fn state(host: &Host) -> Cell {
    if host.disabled {
        return Cell::toned("disabled", Tone::Waiting);
    }
    Cell::toned("enabled", Tone::Good)
}
