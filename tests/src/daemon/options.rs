//! What a daemon is started with.

use std::path::PathBuf;

use crate::artifacts::Plugin;

/// What a daemon is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Plugins that it loads.
    pub plugins: Vec<Plugin>,
    /// Filter of the log.
    pub log: String,
    /// Policy; none allows the own user everything.
    pub policy: Option<String>,
    /// Mutual TLS on loopback, with these files.
    pub tls: Option<TlsFiles>,
    /// Another `binderyd` than the one of the build.
    pub binary: Option<PathBuf>,
    /// Another plugin worker than the one of the build.
    pub worker: Option<PathBuf>,
    /// Lines that are added to the section `[api]` of the configuration.
    pub api: String,
    /// As an operator runs it: signed plugins, a key file that `binderyd init` makes, no development mode.
    pub production: bool,
    /// Lines that are added to the configuration.
    pub extra: String,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// It leaks on purpose: what it leaves behind is no failure.
    pub leaky: bool,
}

/// Files of a mutual TLS listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Server certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// CA of the clients, PEM.
    pub client_ca: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plugins: vec![Plugin::GitHub, Plugin::Gitea],
            log: std::env::var("BINDERY_TEST_LOG").unwrap_or_else(|_| "info".to_owned()),
            policy: None,
            tls: None,
            binary: None,
            worker: None,
            api: String::new(),
            production: false,
            extra: String::new(),
            environment: Vec::new(),
            leaky: false,
        }
    }
}
