//! The operator's side of plugins: the host's configuration, and `binderyd plugin pin`.

use std::io::{IsTerminal, Write};

use bindery_core::name::ProviderName;
use bindery_host::{
    Catalog, Digest, Enabled, HostConfig, Limits, PinDiff, PinPlan, PluginTrust, Version,
    WorkerConfig, WorkerUser,
};

use crate::{config::Config, failure::Failure};

/// The user and group `nobody`: workers run as it where the daemon runs as root.
const NOBODY: WorkerUser = WorkerUser {
    uid: 65534,
    gid: 65534,
};

/// What the host of plugins is told.
pub(crate) fn host_config(config: &Config, development: bool) -> Result<HostConfig, Failure> {
    let worker = WorkerConfig {
        path: config.plugins.worker.clone(),
        user: rustix::process::geteuid().is_root().then_some(NOBODY),
        allow_unsandboxed: config.plugins.allow_unsandboxed.clone(),
        ..WorkerConfig::default()
    };
    Ok(HostConfig {
        catalog: catalog(config, development)?,
        enabled: configured(config)?,
        worker,
        limits: Limits::default(),
    })
}

/// The plugins that the configuration enables, also those that are stopped.
pub(crate) fn configured(config: &Config) -> Result<Vec<Enabled>, Failure> {
    let all = config.plugins.enabled.iter();
    all.map(|(name, version)| enabled(name, version)).collect()
}

fn catalog(config: &Config, development: bool) -> Result<Catalog, Failure> {
    let relaxed = development || config.plugins.development_trust;
    Ok(Catalog {
        roots: config.plugins.roots.clone(),
        lock_file: config.plugins.lock_file.clone(),
        keys: config.plugins.keys_dir.clone(),
        owner: Some(rustix::process::geteuid().as_raw()),
        trust: if relaxed {
            PluginTrust::Development
        } else {
            PluginTrust::default()
        },
        allow_unsigned: digests(&config.plugins.allow_unsigned, "plugins.allow_unsigned")?,
        deny: digests(&config.plugins.deny, "plugins.deny")?,
    })
}

fn enabled(name: &str, version: &str) -> Result<Enabled, Failure> {
    let wrong =
        |error: String| Failure::Config(format!("plugins.enabled: {name}@{version}: {error}"));
    Ok(Enabled {
        name: ProviderName::parse(name).map_err(|error| wrong(error.to_string()))?,
        version: version
            .parse::<Version>()
            .map_err(|error| wrong(error.to_string()))?,
    })
}

fn digests(texts: &[String], key: &str) -> Result<Vec<Digest>, Failure> {
    let parse = |text: &String| {
        text.trim_start_matches("sha256:")
            .parse::<Digest>()
            .map_err(|error| Failure::Config(format!("{key}: {text:?}: {error}")))
    };
    texts.iter().map(parse).collect()
}

/// `binderyd plugin pin`.
pub(crate) fn pin(
    config: &Config,
    plugin: &str,
    yes: bool,
    allow_downgrade: bool,
) -> Result<(), Failure> {
    let Some((name, version)) = plugin.split_once('@') else {
        return Err(Failure::Config(format!(
            "{plugin:?} must name a plugin and its version, like github@0.1.0"
        )));
    };
    let one = enabled(name, version)?;
    crate::vault::prepare_folder(&config.data_dir)?;
    let catalog = catalog(config, false)?;
    let plan = PinPlan::prepare(&catalog, &one.name, &one.version, allow_downgrade)
        .map_err(|error| Failure::Config(error.to_string()))?;
    show(plan.diff());
    if plan.diff().is_empty() {
        println!("nothing changes");
        return Ok(());
    }
    if !yes && !agreed()? {
        return Err(Failure::Config("nothing was written".to_owned()));
    }
    plan.write(&catalog)
        .map_err(|error| Failure::Config(error.to_string()))?;
    println!("pinned {plugin} in {}", catalog.lock_file.display());
    Ok(())
}

fn show(diff: &PinDiff) {
    let before = diff.old.as_ref();
    println!("plugin     {} {}", diff.new.name, diff.new.version);
    println!("publisher  {}", diff.new.publisher);
    println!(
        "signed by  {}",
        diff.signed_by.as_deref().unwrap_or("nobody")
    );
    println!("sha256     {}", diff.new.sha256);
    if let Some(old) = before {
        println!("before     {} sha256 {}", old.version, old.sha256);
    }
    for line in &diff.requests_added {
        println!("+ {line}");
    }
    for line in &diff.requests_removed {
        println!("- {line}");
    }
}

fn agreed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Config(
            "nobody can be asked; give --yes to agree".to_owned(),
        ));
    }
    eprint!("Run this plugin from now on? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
