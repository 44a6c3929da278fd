//! The configuration: one TOML file, read into [`raw`], checked as a whole, typed.
//!
//! Every error is collected and all of them are told together, so that an operator mends the file once. Secrets are never
//! in the file: it names files and systemd credentials. `systemd/bindery.toml` is the manual; a test shows that it parses
//! and equals the defaults.

mod check;
mod events;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod listen;
#[cfg(test)]
mod manual;
mod plugins;
pub(crate) mod raw;
mod seal;

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bindery_engine::events::EventRetention;

use self::check::{absolute, address, hours, mebibytes, minutes};
pub(crate) use self::{
    events::Hooks,
    listen::{Api, Web},
    plugins::Plugins,
    seal::Seal,
};

/// A checked configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Config {
    /// Where the store, the seal header and the lock file of the plugins are.
    pub(crate) data_dir: PathBuf,
    /// gRPC.
    pub(crate) api: Api,
    /// Pages for people.
    pub(crate) web: Web,
    /// Health and metrics.
    pub(crate) ops_listen: SocketAddr,
    /// Where root keys come from.
    pub(crate) seal: Seal,
    /// Plugins.
    pub(crate) plugins: Plugins,
    /// Who may do what; `None` allows the daemon's own user everything and nobody else anything.
    pub(crate) policy_file: Option<PathBuf>,
    /// Registered return addresses.
    pub(crate) return_addresses: BTreeMap<String, String>,
    /// Time between two checks of a link; zero for none.
    pub(crate) check_interval: Duration,
    /// Webhooks.
    pub(crate) hooks: Hooks,
    /// How long events are kept, and how many.
    pub(crate) events: EventRetention,
    /// What events may be posted to.
    pub(crate) registries: bindery_egress::Registries,
    /// The audit log.
    pub(crate) audit: Audit,
    /// Space that is kept in reserve for the store, in bytes.
    pub(crate) ballast_bytes: u64,
    /// Below this much free space no new link is taken, in bytes.
    pub(crate) floor_bytes: u64,
    /// Where the high-water mark is, by which a rolled-back store is known.
    pub(crate) highwater_dir: PathBuf,
    /// Time between two runs that erase what was removed; zero for none.
    pub(crate) erase_interval: Duration,
    /// Filter of the log: `info`, `bindery_engine=debug`.
    pub(crate) log_level: String,
    /// JSON instead of text.
    pub(crate) log_json: Option<bool>,
    /// Running as root is allowed.
    pub(crate) allow_root: bool,
    /// Running under systemd without the unit's confinement is allowed.
    pub(crate) allow_unconfined: bool,
}

/// The audit log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Audit {
    /// Folder of its files.
    pub(crate) folder: PathBuf,
    /// How long records are kept; zero for ever.
    pub(crate) keep: Duration,
}

/// All that is wrong with a configuration.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct ConfigErrors(Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigErrors(vec![format!("{} can't be read: {error}", path.display())])
        })?;
        Self::parse(&text).map_err(|errors| {
            ConfigErrors(
                errors
                    .0
                    .into_iter()
                    .map(|error| format!("{}: {error}", path.display()))
                    .collect(),
            )
        })
    }

    /// Checks a text.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let raw: raw::File =
            toml::from_str(text).map_err(|error| told(vec![located(&error, text)]))?;
        let mut errors = Vec::new();
        let config = typed(raw, &mut errors);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(told(errors))
        }
    }
}

/// What is wrong with a file quotes names and values of it. No terminal obeys them, and each error stays on its line.
fn told(errors: Vec<String>) -> ConfigErrors {
    let plain = |sign: char| if sign.is_control() { '\u{fffd}' } else { sign };
    let errors = errors.into_iter();
    ConfigErrors(
        errors
            .map(|error| error.chars().map(plain).collect())
            .collect(),
    )
}

/// Line and column, and what is wrong, on one line.
fn located(error: &toml::de::Error, text: &str) -> String {
    let before = error
        .span()
        .map_or("", |span| text.get(..span.start).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    format!("line {line}: {}", error.message().replace('\n', " "))
}

/// By default beside the data folder and not in it, so that what restores the one leaves the other (THREATS K4).
fn highwater_dir(given: Option<PathBuf>, data_dir: &Path, errors: &mut Vec<String>) -> PathBuf {
    let key = "store.highwater_dir";
    let folder = given.map_or_else(
        || {
            let mut beside = data_dir.as_os_str().to_owned();
            beside.push("-highwater");
            beside.into()
        },
        |path| absolute(key, path, errors),
    );
    if folder.starts_with(data_dir) {
        errors.push(format!(
            "{key} must not be in data_dir: what rolls back the one would roll back the other"
        ));
    }
    folder
}

fn typed(raw: raw::File, errors: &mut Vec<String>) -> Config {
    let data_dir = absolute("data_dir", raw.data_dir, errors);
    Config {
        api: listen::api(raw.api, errors),
        web: listen::web(raw.web, raw.dangerous.plaintext_public_url, errors),
        ops_listen: address("ops.listen", &raw.ops.listen, errors),
        seal: seal::seal(raw.seal, errors),
        plugins: plugins::plugins(
            raw.plugins,
            &data_dir,
            raw.dangerous.unsigned_plugins,
            errors,
        ),
        policy_file: raw
            .policy
            .file
            .map(|path| absolute("policy.file", path, errors)),
        check_interval: minutes(raw.linking.check_interval_minutes),
        hooks: events::hooks(&raw.hooks, errors),
        events: events::retention(&raw.events, errors),
        registries: events::registries(raw.subscriptions, errors),
        return_addresses: return_addresses(raw.linking.return_addresses, errors),
        audit: audit(raw.audit, &data_dir, errors),
        ballast_bytes: mebibytes(raw.store.ballast_mib),
        floor_bytes: mebibytes(raw.store.floor_mib),
        highwater_dir: highwater_dir(raw.store.highwater_dir, &data_dir, errors),
        erase_interval: hours(raw.store.erase_interval_hours),
        log_level: raw.log.level,
        log_json: match raw.log.format {
            raw::LogFormat::Auto => None,
            raw::LogFormat::Json => Some(true),
            raw::LogFormat::Text => Some(false),
        },
        allow_root: raw.dangerous.run_as_root,
        allow_unconfined: raw.dangerous.unconfined,
        data_dir,
    }
}

fn audit(raw: raw::Audit, data_dir: &Path, errors: &mut Vec<String>) -> Audit {
    Audit {
        folder: raw.dir.map_or_else(
            || data_dir.join("audit"),
            |path| absolute("audit.dir", path, errors),
        ),
        keep: Duration::from_secs(86_400 * u64::from(raw.keep_days)),
    }
}

fn return_addresses(
    raw: BTreeMap<String, String>,
    errors: &mut Vec<String>,
) -> BTreeMap<String, String> {
    for (id, address) in &raw {
        let good =
            url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !good {
            errors.push(format!(
                "linking.return_addresses.{id} must be an absolute URL"
            ));
        }
    }
    raw
}

#[cfg(test)]
mod tests;
