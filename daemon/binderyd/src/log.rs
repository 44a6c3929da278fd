//! The log: text on a terminal, JSON elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::Config;

/// Installs the log. `BINDERY_LOG` goes before the configured level.
pub(crate) fn install(config: &Config) -> anyhow::Result<()> {
    let level = std::env::var("BINDERY_LOG").unwrap_or_else(|_| config.log_level.clone());
    let filter = EnvFilter::try_new(&level)
        .map_err(|error| anyhow::anyhow!("log.level {level:?} is no filter: {error}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let terminal = std::io::stderr().is_terminal();
    if config.log_json.unwrap_or(!terminal) {
        // The list of spans ends with the current one: once is enough, and each costs a parse.
        let lines = fmt::layer().json().with_current_span(false);
        registry.with(lines.with_writer(std::io::stderr)).init();
    } else {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        registry
            .with(fmt::layer().with_ansi(colour).with_writer(std::io::stderr))
            .init();
    }
    Ok(())
}
