//! `bindery host`.

use bindery_client::Client;
use bindery_proto::v1::{Host, SecretFacts, host::App};
use clap::{Args, Subcommand};

use crate::{
    moment,
    problem::Problem,
    record::{Record, id, word},
    resource,
    session::Session,
    style::Tone,
    table::Cell,
};

mod hook;
mod probe;
mod settings;

pub(crate) use settings::no_secret;
use settings::{Exchange, Settings};

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
        after_help = "Examples:\n  bindery host update github.com --add-client-secret-file new.txt\n  \
        bindery host update github.com --remove-client-secret 1f0c2b9a77d05e4c"
    )]
    Update(Box<Update>),
    /// Remove a host without links
    #[command(after_help = "Example:\n  bindery host remove gitea.corp")]
    Remove {
        /// Its id
        host: String,
    },
    /// Show the webhook of a host's app, or set it up with a new secret
    #[command(
        after_help = "Examples:\n  bindery host hook github.com\n  bindery host hook github.com --set-up --overlap 1h\n  \
        bindery host hook github.com --set-up --by-hand --secret-file app.secret"
    )]
    Hook(hook::Hook),
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
    /// Probe it with these settings, and do not add it
    #[arg(long, conflicts_with = "no_probe")]
    dry_run: bool,
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
    exchange: Exchange,
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
        Command::Hook(hook) => hook::run(hook, session).await,
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
    if add.dry_run {
        let probed = client.probe_settings(host).await?;
        probe::print(&probed, session)?;
        return probe::verdict(&add.id, &probed);
    }
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
    if mask.is_empty() && update.exchange.is_empty() {
        return Err(Problem::usage(
            "nothing to change; name a setting, see --help",
        ));
    }
    if !mask.is_empty() {
        host = client.update_host(host, mask).await?;
    }
    if !update.exchange.is_empty() {
        let (add, remove) = update.exchange.read()?;
        host = client.exchange_client_secrets(&name, &add, remove).await?;
    }
    session.show(&host)
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
            ("issuer", self.issuer.as_str().into()),
            ("client id", client.client_id.into()),
            ("client secrets", secrets.into()),
            ("client secret", facts(&client.client_secret_facts).into()),
            ("redirect uri", client.redirect_uri.into()),
            ("app", app(self).into()),
            (
                "app key",
                facts(app_of(self).private_key_facts.as_slice()).into(),
            ),
            ("install app", app_of(self).install_uri.into()),
            ("app webhook", hook::state(self)),
            ("client certificate", certificate(self).into()),
            (
                "authorities expire",
                moment::relative(self.ca_bundle_expire_time.as_ref()).into(),
            ),
            ("methods", methods(self).into()),
            ("budget", budget(self).into()),
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

/// Each secret by its fingerprint, with what its provider made of it.
fn facts(facts: &[SecretFacts]) -> String {
    let words = |fact: &SecretFacts| {
        let mut words = vec![fact.fingerprint.clone()];
        for (what, when) in [
            ("expires", &fact.expire_time),
            ("accepted", &fact.last_success_time),
            ("rejected", &fact.last_failure_time),
        ] {
            if when.is_some() {
                words.push(format!("{what} {}", moment::relative(when.as_ref())));
            }
        }
        words.join(" ")
    };
    facts.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn app_of(host: &Host) -> App {
    host.app.clone().unwrap_or_default()
}

fn app(host: &Host) -> String {
    let app = app_of(host);
    format!("{} {}", app.app_id, app.slug).trim().to_owned()
}

fn certificate(host: &Host) -> String {
    let Some(shown) = &host.client_certificate else {
        return String::new();
    };
    let expires = moment::relative(shown.expire_time.as_ref());
    format!("{} expires {expires}", shown.certificate_sha256)
}

fn methods(host: &Host) -> String {
    let words = host
        .allowed_methods()
        .map(|kind| word(kind.as_str_name(), "AUTH_METHOD_KIND_"));
    words.collect::<Vec<_>>().join(", ")
}

fn budget(host: &Host) -> String {
    let Some(budget) = &host.rate_budget else {
        return String::new();
    };
    let mut words = Vec::new();
    if budget.requests_per_hour > 0 {
        words.push(format!("{} an hour", budget.requests_per_hour));
    }
    if budget.max_concurrent_requests > 0 {
        words.push(format!("{} at once", budget.max_concurrent_requests));
    }
    words.join(", ")
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
