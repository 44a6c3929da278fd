//! The configuration: one TOML file, read into [`raw`], checked as a whole, typed.
//!
//! Every error is collected and all of them are told together, so that an operator mends the file once. Secrets are never
//! in the file: it names files and systemd credentials. `systemd/bindery.toml` is the manual; a test shows that it parses
//! and equals the defaults.

pub(crate) mod raw;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;

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
    /// What events may be posted to.
    pub(crate) registries: bindery_egress::Registries,
    /// Space that is kept in reserve for the store, in bytes.
    pub(crate) ballast_bytes: u64,
    /// Below this much free space no new link is taken, in bytes.
    pub(crate) floor_bytes: u64,
    /// Filter of the log: `info`, `bindery_engine=debug`.
    pub(crate) log_level: String,
    /// JSON instead of text.
    pub(crate) log_json: Option<bool>,
    /// Running as root is allowed.
    pub(crate) allow_root: bool,
}

/// gRPC listeners.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Api {
    /// Unix socket.
    pub(crate) socket: PathBuf,
    /// Its mode.
    pub(crate) socket_mode: u32,
    /// Unix socket of the admin services.
    pub(crate) admin_socket: PathBuf,
    /// Calls a second of one caller on one listener in the long run; 0 for no limit.
    pub(crate) requests_per_second: u32,
    /// Mutual TLS; `None` for none.
    pub(crate) tls: Option<Tls>,
}

/// A mutual TLS listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tls {
    /// Address.
    pub(crate) listen: SocketAddr,
    /// Server certificate chain, PEM.
    pub(crate) certificate: PathBuf,
    /// Its key, PEM.
    pub(crate) key: PathBuf,
    /// CA of the clients, PEM.
    pub(crate) client_ca: PathBuf,
}

/// The pages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Web {
    /// Address; a proxy with TLS stands before it.
    pub(crate) listen: SocketAddr,
    /// Base URL under which browsers reach it.
    pub(crate) public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed, for rate limits by address.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// Webhooks and their deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hooks {
    /// What deliveries may take.
    pub(crate) limits: bindery_engine::intake::Limits,
    /// Time between two looks at a hook; zero for none.
    pub(crate) check_interval: Duration,
    /// Time between two comparisons of refs for sources that say nothing; zero for none.
    pub(crate) reconcile_interval: Duration,
}

/// Sources of root keys. Each one that is given is tried.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seal {
    /// Key file.
    pub(crate) key_file: Option<PathBuf>,
    /// Name of a systemd credential.
    pub(crate) systemd_credential: Option<String>,
    /// File that holds a passphrase.
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Plugins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Plugins {
    /// Folders that hold `<name>/<version>/`.
    pub(crate) roots: Vec<PathBuf>,
    /// Enabled plugins: name and version.
    pub(crate) enabled: Vec<(String, String)>,
    /// Lock file.
    pub(crate) lock_file: PathBuf,
    /// Folder of publisher keys.
    pub(crate) keys_dir: PathBuf,
    /// The worker's binary.
    pub(crate) worker: PathBuf,
    /// SHA-256 of libraries that may run unsigned.
    pub(crate) allow_unsigned: Vec<String>,
    /// SHA-256 of libraries that may never run.
    pub(crate) deny: Vec<String>,
    /// Names of plugins that may run without a sandbox.
    pub(crate) allow_unsandboxed: Vec<String>,
    /// Folders of plugins may be writable by others, and manifests unsigned.
    pub(crate) development_trust: bool,
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
            toml::from_str(text).map_err(|error| ConfigErrors(vec![located(&error, text)]))?;
        let mut errors = Vec::new();
        let config = typed(raw, &mut errors);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(errors))
        }
    }
}

/// Line and column, and what is wrong, on one line.
fn located(error: &toml::de::Error, text: &str) -> String {
    let before = error
        .span()
        .map_or("", |span| text.get(..span.start).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    format!("line {line}: {}", error.message().replace('\n', " "))
}

fn typed(raw: raw::File, errors: &mut Vec<String>) -> Config {
    let data_dir = absolute("data_dir", raw.data_dir, errors);
    Config {
        api: api(raw.api, errors),
        web: web(raw.web, raw.dangerous.plaintext_public_url, errors),
        ops_listen: address("ops.listen", &raw.ops.listen, errors),
        seal: seal(raw.seal, errors),
        plugins: plugins(
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
        hooks: hooks(&raw.hooks, errors),
        registries: registries(raw.subscriptions, errors),
        return_addresses: return_addresses(raw.linking.return_addresses, errors),
        ballast_bytes: mebibytes(raw.store.ballast_mib),
        floor_bytes: mebibytes(raw.store.floor_mib),
        log_level: raw.log.level,
        log_json: match raw.log.format {
            raw::LogFormat::Auto => None,
            raw::LogFormat::Json => Some(true),
            raw::LogFormat::Text => Some(false),
        },
        allow_root: raw.dangerous.run_as_root,
        data_dir,
    }
}

fn minutes(count: u32) -> Duration {
    Duration::from_secs(60 * u64::from(count))
}

fn hooks(raw: &raw::Hooks, errors: &mut Vec<String>) -> Hooks {
    let least = [
        ("max_body_mib", u32::from(raw.max_body_mib)),
        ("deliveries_per_second", raw.deliveries_per_second),
        (
            "deliveries_per_second_in_all",
            raw.deliveries_per_second_in_all,
        ),
        ("max_waiting", raw.max_waiting),
        ("keep_days", u32::from(raw.keep_days)),
    ];
    for (key, _) in least.iter().filter(|(_, value)| *value == 0) {
        errors.push(format!("hooks.{key} must be at least 1"));
    }
    // All bodies that are being taken share 64 MiB of memory.
    if raw.max_body_mib > 32 {
        errors.push("hooks.max_body_mib must be at most 32".to_owned());
    }
    Hooks {
        limits: bindery_engine::intake::Limits {
            body_bytes: usize::from(raw.max_body_mib) << 20,
            per_hook: raw.deliveries_per_second,
            in_all: raw.deliveries_per_second_in_all,
            waiting: usize::try_from(raw.max_waiting).unwrap_or(usize::MAX),
            kept: Duration::from_secs(86_400 * u64::from(raw.keep_days)),
        },
        check_interval: minutes(raw.check_interval_minutes),
        reconcile_interval: minutes(raw.reconcile_interval_minutes),
    }
}

fn api(raw: raw::Api, errors: &mut Vec<String>) -> Api {
    let mode = u32::from_str_radix(&raw.socket_mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    if mode.is_none_or(|mode| mode & 0o007 != 0) {
        errors.push(
            "api.socket_mode must be an octal mode without rights for others, like \"0660\""
                .to_owned(),
        );
    }
    Api {
        socket: absolute("api.socket", raw.socket, errors),
        socket_mode: mode.unwrap_or(0o660),
        admin_socket: absolute("api.admin_socket", raw.admin_socket, errors),
        requests_per_second: raw.requests_per_second,
        tls: raw.tls.map(|tls| Tls {
            listen: address("api.tls.listen", &tls.listen, errors),
            certificate: absolute("api.tls.certificate", tls.certificate, errors),
            key: absolute("api.tls.key", tls.key, errors),
            client_ca: absolute("api.tls.client_ca", tls.client_ca, errors),
        }),
    }
}

fn web(raw: raw::Web, plaintext: bool, errors: &mut Vec<String>) -> Web {
    Web {
        listen: address("web.listen", &raw.listen, errors),
        public_url: public_url(&raw.public_url, plaintext, errors),
        trusted_proxies: raw
            .trusted_proxies
            .iter()
            .filter_map(|text| network("web.trusted_proxies", text, errors))
            .collect(),
    }
}

fn registries(raw: raw::Subscriptions, errors: &mut Vec<String>) -> bindery_egress::Registries {
    if raw.allow_ports.contains(&0) {
        errors.push("subscriptions.allow_ports must not hold 0".to_owned());
    }
    let key = "subscriptions.allow_networks";
    let networks = raw.allow_networks.iter();
    bindery_egress::Registries {
        allow_networks: networks
            .filter_map(|text| network(key, text, errors))
            .collect(),
        allow_ports: raw.allow_ports,
    }
}

fn network(key: &str, text: &str, errors: &mut Vec<String>) -> Option<IpNet> {
    let parsed = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok();
    if parsed.is_none() {
        errors.push(format!(
            "{key}: {text:?} must be an address or a range, like \"10.0.0.0/8\""
        ));
    }
    parsed
}

fn public_url(text: &str, plaintext: bool, errors: &mut Vec<String>) -> String {
    let trimmed = text.trim_end_matches('/');
    let parsed = url::Url::parse(trimmed)
        .ok()
        .filter(|url| url.query().is_none() && url.fragment().is_none());
    let Some(url) = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    else {
        errors.push(
            "web.public_url must be set to an absolute https URL, like \"https://bindery.example\""
                .to_owned(),
        );
        return String::new();
    };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !loopback && !plaintext {
        errors.push(
            "web.public_url must be https, since authorization codes travel over it; put a proxy with TLS before it"
                .to_owned(),
        );
    }
    trimmed.to_owned()
}

fn seal(raw: raw::Seal, errors: &mut Vec<String>) -> Seal {
    Seal {
        key_file: raw
            .key_file
            .map(|path| absolute("seal.key_file", path, errors)),
        systemd_credential: raw.systemd_credential,
        passphrase_file: raw
            .passphrase_file
            .map(|path| absolute("seal.passphrase_file", path, errors)),
    }
}

fn plugins(
    raw: raw::Plugins,
    data_dir: &Path,
    development_trust: bool,
    errors: &mut Vec<String>,
) -> Plugins {
    let enabled = raw
        .enabled
        .iter()
        .filter_map(|entry| enabled(entry, errors))
        .collect();
    Plugins {
        roots: raw
            .roots
            .into_iter()
            .map(|path| absolute("plugins.roots", path, errors))
            .collect(),
        enabled,
        lock_file: raw.lock_file.map_or_else(
            || data_dir.join("plugins.lock"),
            |path| absolute("plugins.lock_file", path, errors),
        ),
        keys_dir: absolute("plugins.keys_dir", raw.keys_dir, errors),
        worker: absolute("plugins.worker", raw.worker, errors),
        allow_unsigned: raw.allow_unsigned,
        deny: raw.deny,
        allow_unsandboxed: raw.allow_unsandboxed,
        development_trust,
    }
}

fn enabled(entry: &str, errors: &mut Vec<String>) -> Option<(String, String)> {
    match entry.split_once('@') {
        Some((name, version)) if !name.is_empty() && !version.is_empty() => {
            Some((name.to_owned(), version.to_owned()))
        }
        _ => {
            errors.push(format!("plugins.enabled: {entry:?} must name a plugin and its version, like \"github@0.1.0\""));
            None
        }
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

fn absolute(key: &str, path: PathBuf, errors: &mut Vec<String>) -> PathBuf {
    if !path.is_absolute() {
        errors.push(format!(
            "{key} must be an absolute path, not {:?}",
            path.display().to_string()
        ));
    }
    path
}

fn address(key: &str, text: &str, errors: &mut Vec<String>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        errors.push(format!(
            "{key} must be an address and a port, like \"127.0.0.1:7080\", not {text:?}"
        ));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

const fn mebibytes(count: u64) -> u64 {
    count.saturating_mul(1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[web]\npublic_url = \"https://bindery.example\"\n";

    /// The sample configuration is the manual: it parses, and what it shows are the defaults.
    #[test]
    fn sample_equals_the_defaults() {
        let sample = include_str!("../../../systemd/bindery.toml");
        assert_eq!(Config::parse(sample), Config::parse(LEAST));
        let uncommented: String = sample
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .fold(String::new(), |all, line| all + line + "\n");
        let shown = Config::parse(&uncommented).expect("the commented keys parse");
        assert_eq!(Ok(shown), Config::parse(LEAST));
    }

    /// B3: a misspelt key is an error that names its line, never ignored.
    #[test]
    fn b3_unknown_keys_are_errors() {
        let error = Config::parse("[web]\npublic_url = \"https://b\"\nlisten_adress = \"x\"\n")
            .expect_err("unknown key");
        assert!(error.to_string().starts_with("line 3: "), "{error}");
        assert!(error.to_string().contains("listen_adress"), "{error}");
    }

    /// Limits of webhooks are read, and one that would stop them all is refused.
    #[test]
    fn limits_of_webhooks_are_read() {
        let text = format!(
            "{LEAST}[hooks]\nmax_body_mib = 2\nkeep_days = 1\nreconcile_interval_minutes = 0\n"
        );
        let hooks = Config::parse(&text).expect("parses").hooks;
        assert_eq!(hooks.limits.body_bytes, 2 << 20);
        assert_eq!(hooks.limits.kept, Duration::from_secs(86_400));
        assert_eq!(hooks.reconcile_interval, Duration::ZERO);
        for wrong in ["max_body_mib = 0", "max_body_mib = 33", "max_waiting = 0"] {
            assert!(
                Config::parse(&format!("{LEAST}[hooks]\n{wrong}\n")).is_err(),
                "{wrong}"
            );
        }
    }

    /// What events may be posted to is read, and what is no range is refused with its key.
    #[test]
    fn registries_are_read() {
        let text = format!(
            "{LEAST}[subscriptions]\nallow_networks = [\"10.0.0.0/8\"]\nallow_ports = [8443]\n"
        );
        let registries = Config::parse(&text).expect("parses").registries;
        assert_eq!(
            registries.allow_networks,
            ["10.0.0.0/8".parse().expect("range")]
        );
        assert_eq!(registries.allow_ports, [8443]);
        for wrong in ["allow_networks = [\"ten\"]", "allow_ports = [0]"] {
            let error = Config::parse(&format!("{LEAST}[subscriptions]\n{wrong}\n"));
            let error = error.expect_err("refused").to_string();
            assert!(error.contains("subscriptions.allow_"), "{error}");
        }
    }

    /// All errors are told together.
    #[test]
    fn errors_are_collected() {
        let text = "data_dir = \"relative\"\n[web]\npublic_url = \"http://bindery.example\"\nlisten = \"nowhere\"\n\
                    [api]\nsocket_mode = \"0666\"\n[plugins]\nenabled = [\"github\"]\n";
        let errors = Config::parse(text).expect_err("five errors");
        assert_eq!(errors.0.len(), 5, "{errors}");
    }
}
