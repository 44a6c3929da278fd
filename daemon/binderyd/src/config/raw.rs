//! The file as it is written. Every default stands here, with its reason.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default = "data_dir")]
    pub(crate) data_dir: PathBuf,
    #[serde(default)]
    pub(crate) api: Api,
    #[serde(default)]
    pub(crate) web: Web,
    #[serde(default)]
    pub(crate) ops: Ops,
    #[serde(default)]
    pub(crate) seal: Seal,
    #[serde(default)]
    pub(crate) plugins: Plugins,
    #[serde(default)]
    pub(crate) policy: Policy,
    #[serde(default)]
    pub(crate) linking: Linking,
    #[serde(default)]
    pub(crate) hooks: Hooks,
    #[serde(default)]
    pub(crate) events: Events,
    #[serde(default)]
    pub(crate) subscriptions: Subscriptions,
    #[serde(default)]
    pub(crate) audit: Audit,
    #[serde(default)]
    pub(crate) store: Store,
    #[serde(default)]
    pub(crate) log: Log,
    #[serde(default)]
    pub(crate) dangerous: Dangerous,
}

/// The state folder of the systemd unit.
fn data_dir() -> PathBuf {
    "/var/lib/bindery".into()
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) socket: PathBuf,
    pub(crate) socket_mode: String,
    pub(crate) admin_socket: PathBuf,
    pub(crate) requests_per_second: u32,
    pub(crate) calls_at_once: usize,
    pub(crate) calls_at_once_per_caller: usize,
    pub(crate) alarm_links_per_minute: u32,
    pub(crate) tls: Option<Tls>,
}

impl Default for Api {
    fn default() -> Self {
        let limits = bindery_api::Limits::default();
        Self {
            socket: "/run/bindery/bindery.sock".into(),
            // The group decides who may connect; the policy decides what they may do.
            socket_mode: "0660".to_owned(),
            admin_socket: "/run/bindery/admin.sock".into(),
            // The reasons for the numbers stand with the listeners' other limits.
            requests_per_second: limits.rate,
            calls_at_once: limits.in_flight,
            calls_at_once_per_caller: limits.in_flight_per_identity,
            // As many as a registry that builds for a hundred organizations at once.
            alarm_links_per_minute: 100,
            tls: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) listen: String,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: PathBuf,
    #[serde(default)]
    pub(crate) deny_list: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Web {
    pub(crate) listen: String,
    pub(crate) public_url: String,
    pub(crate) trusted_proxies: Vec<String>,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            // Loopback: a proxy with TLS stands before it.
            listen: "127.0.0.1:7080".to_owned(),
            // There is no good guess: it is asked for.
            public_url: String::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ops {
    pub(crate) listen: String,
}

impl Default for Ops {
    fn default() -> Self {
        // Loopback: health and metrics are not for everybody.
        Self {
            listen: "127.0.0.1:7081".to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Seal {
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) systemd_credential: Option<String>,
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Plugins {
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) enabled: Vec<String>,
    pub(crate) lock_file: Option<PathBuf>,
    pub(crate) keys_dir: PathBuf,
    pub(crate) worker: PathBuf,
    pub(crate) allow_unsigned: Vec<String>,
    pub(crate) deny: Vec<String>,
    pub(crate) allow_unsandboxed: Vec<String>,
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            roots: vec![
                "/usr/lib/bindery/plugins".into(),
                "/var/lib/bindery/plugins".into(),
            ],
            // Nothing runs because it lies there.
            enabled: Vec::new(),
            lock_file: None,
            keys_dir: "/etc/bindery/plugin-keys".into(),
            worker: "/usr/lib/bindery/bindery-plugin-worker".into(),
            allow_unsigned: Vec::new(),
            deny: Vec::new(),
            allow_unsandboxed: Vec::new(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Linking {
    pub(crate) check_interval_minutes: u32,
    pub(crate) return_addresses: BTreeMap<String, String>,
}

impl Default for Linking {
    fn default() -> Self {
        let minutes = bindery_engine::links::CHECK_INTERVAL.as_secs() / 60;
        Self {
            check_interval_minutes: u32::try_from(minutes).unwrap_or(u32::MAX),
            return_addresses: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hooks {
    pub(crate) max_body_mib: u16,
    pub(crate) deliveries_per_second: u32,
    pub(crate) deliveries_per_second_in_all: u32,
    pub(crate) max_waiting: u32,
    pub(crate) keep_days: u16,
    pub(crate) keep_mib: u32,
    pub(crate) check_interval_minutes: u32,
    pub(crate) reconcile_interval_minutes: u32,
}

impl Default for Hooks {
    fn default() -> Self {
        let limits = bindery_engine::intake::Limits::default();
        let minutes = |time: std::time::Duration| u32::try_from(time.as_secs() / 60);
        let check = minutes(bindery_engine::hooks::CHECK_INTERVAL);
        let reconcile = minutes(bindery_engine::hooks::RECONCILE_INTERVAL);
        Self {
            max_body_mib: u16::try_from(limits.body_bytes >> 20).unwrap_or(u16::MAX),
            deliveries_per_second: limits.per_hook,
            deliveries_per_second_in_all: limits.in_all,
            max_waiting: u32::try_from(limits.waiting).unwrap_or(u32::MAX),
            keep_days: u16::try_from(limits.kept.as_secs() / 86_400).unwrap_or(u16::MAX),
            keep_mib: u32::try_from(limits.kept_bytes >> 20).unwrap_or(u32::MAX),
            check_interval_minutes: check.unwrap_or(u32::MAX),
            reconcile_interval_minutes: reconcile.unwrap_or(u32::MAX),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Events {
    pub(crate) keep_days: u16,
    pub(crate) keep_count: u32,
    pub(crate) keep_mib: u32,
}

impl Default for Events {
    fn default() -> Self {
        // The reasons for the numbers stand with the type.
        let kept = bindery_engine::events::EventRetention::default();
        Self {
            keep_days: u16::try_from(kept.time.as_secs() / 86_400).unwrap_or(u16::MAX),
            keep_count: u32::try_from(kept.count).unwrap_or(u32::MAX),
            keep_mib: u32::try_from(kept.bytes >> 20).unwrap_or(u32::MAX),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Subscriptions {
    pub(crate) allow_networks: Vec<String>,
    pub(crate) allow_ports: Vec<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Audit {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) keep_days: u16,
}

impl Default for Audit {
    fn default() -> Self {
        // The reason for the number stands with the log's other limits.
        let kept = bindery_audit::AuditConfig::new("").keep.as_secs() / 86_400;
        Self {
            dir: None,
            keep_days: u16::try_from(kept).unwrap_or(u16::MAX),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) ballast_mib: u64,
    pub(crate) floor_mib: u64,
    pub(crate) highwater_dir: Option<PathBuf>,
    pub(crate) erase_interval_hours: u32,
}

impl Default for Store {
    fn default() -> Self {
        // Enough to open the store once on a full disk, and to say so before it is full (THREATS K8). A day is the goal
        // for what was unlinked to be gone (K14).
        Self {
            ballast_mib: 64,
            floor_mib: 128,
            // Beside the data folder, which is known only when the whole file is read.
            highwater_dir: None,
            erase_interval_hours: 24,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

/// Auto is text on a terminal and JSON elsewhere.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Json,
    Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dangerous {
    pub(crate) run_as_root: bool,
    pub(crate) unconfined: bool,
    pub(crate) plaintext_public_url: bool,
    pub(crate) unsigned_plugins: bool,
}
