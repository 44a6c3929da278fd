//! Composition: from a configuration to a daemon that serves.

use std::sync::{Arc, Mutex};

use bindery_api::{Api, PolicyHandle};
use bindery_audit::{AuditConfig, AuditLog};
use bindery_core::port::{Clock, Vault};
use bindery_egress::{EgressConfig, HttpEgress};
use bindery_engine::{Engine, EngineConfig, Ports};
use bindery_host::{Enabled, LoadFailure, PluginHost};
use bindery_vault::SealedVault;
use bindery_web::{EngineReadiness, WebState};
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    admin::Admin,
    backups::Backups,
    config::Config,
    disabled::Disabled,
    doctor::{self, Terms},
    failure::Failure,
    listeners::{Listeners, Serving},
    plugins,
    ports::{SystemClock, SystemEntropy},
    sealing::{Keeping, Sealing},
    seam,
    systemd::{self, sockets::Passed, watchdog},
    vault,
};

/// Runs until it is told to stop.
pub(crate) async fn run(config: &Config, development: bool, passed: Passed) -> Result<(), Failure> {
    let started = SystemClock.now();
    refuse_root(config, development)?;
    vault::prepare_folder(&config.data_dir)?;
    let store = vault::open_store(config)?;
    let vault::Found { vault, sealed } =
        vault::open(config, Arc::clone(&store), development).await?;
    let terms = Terms::new(config, development);
    doctor::admit(config, terms)?;
    let audit = audit_log(config, &vault).await;
    let disabled = Disabled::load(&config.data_dir)?;
    let (host, failures) = load_plugins(config, &disabled, development).await?;
    let engine = engine(config, Arc::clone(&vault), host.clone());
    engine.keep_audit(Arc::new(audit.clone()));
    let keeping = Keeping::new(
        Arc::clone(&vault),
        Arc::clone(&store),
        engine.clone(),
        config,
        development,
    );
    let seal = Sealing::new(vault, engine.clone(), keeping, audit.clone());
    match sealed {
        None => seal.begin().await?,
        Some(why) => seal.wait_for_keys(&why),
    }
    let backups = Backups::new(Arc::clone(&seal), config, development);
    let policy = policy(config)?;
    let metrics = Arc::new(Mutex::new(Registry::default()));
    let api = api(
        &engine,
        &policy,
        Admin::new(
            Arc::clone(&seal),
            backups,
            host,
            failures,
            started,
            (plugins::configured(config)?, disabled),
            (config.clone(), terms),
        ),
        &audit,
        &metrics,
    );
    api.set_grant_alarm(config.api.alarm_links_per_minute);
    let readiness = seam::readiness(Arc::new(EngineReadiness(engine.clone())));
    let web = WebState::new(engine, Arc::new(audit.clone()), metrics, readiness)
        .map_err(|error| Failure::Config(format!("web.public_url: {error}")))?
        .with_trusted_proxies(&config.web.trusted_proxies);
    let serving = Listeners::bind(config, passed)
        .await?
        .serve(api.clone(), web);
    let watchdog = watchdog::start(store);
    systemd::ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "Ready");
    let ended = wait_for_the_end(&api, &serving).await;
    systemd::stopping();
    tracing::info!("Stopping");
    seal.stop().await;
    serving.stop().await;
    if let Err(error) = audit.close().await {
        tracing::error!(%error, "The audit log is not closed");
    }
    if let Some(watchdog) = watchdog {
        watchdog.abort();
    }
    ended
}

/// The audit log. Where it can't be written to, the daemon serves all the same: what changes nothing works, and the rest is
/// refused with the reason.
async fn audit_log(config: &Config, vault: &Arc<SealedVault>) -> AuditLog {
    let settings = AuditConfig {
        keep: config.audit.keep,
        ..AuditConfig::new(&config.audit.folder)
    };
    let vault = Arc::clone(vault) as Arc<dyn Vault>;
    let audit = AuditLog::new(settings, vault, Arc::new(SystemClock));
    if let Err(error) = audit.start().await {
        tracing::error!(%error, "Nothing is handed out and nothing can be changed");
    }
    audit
}

/// THREATS §7.4: a daemon that holds other people's keys is nobody's root.
fn refuse_root(config: &Config, development: bool) -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() && !config.allow_root && !development {
        let message =
            "binderyd does not run as root; use a user of its own, or set dangerous.run_as_root";
        return Err(Failure::Config(message.to_owned()));
    }
    Ok(())
}

async fn load_plugins(
    config: &Config,
    disabled: &Disabled,
    development: bool,
) -> Result<(PluginHost, Vec<LoadFailure>), Failure> {
    if development {
        tracing::warn!(
            "DEVELOPMENT MODE: plugins run without signatures from folders that others may write"
        );
    }
    let mut settings = plugins::host_config(config, development)?;
    let runs = |one: &Enabled| disabled.why(one.name.as_str()).is_none();
    settings.enabled.retain(runs);
    let (host, failures) = PluginHost::start(settings)
        .await
        .map_err(|error| Failure::Config(error.to_string()))?;
    for failure in &failures {
        tracing::error!(plugin = %failure.name, error = %failure.error, "Plugin is not loaded; links of this provider do not work");
    }
    Ok((host, failures))
}

fn engine(config: &Config, vault: Arc<SealedVault>, host: PluginHost) -> Engine {
    let ports = Ports {
        vault: vault as Arc<dyn Vault>,
        egress: Arc::new(HttpEgress::new(EgressConfig {
            registries: config.registries.clone(),
            ..EgressConfig::default()
        })),
        providers: Arc::new(host),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::new()),
    };
    let linking = EngineConfig {
        public_url: config.web.public_url.clone(),
        return_addresses: config.return_addresses.clone(),
    };
    let engine = Engine::new(seam::ports(ports, &config.data_dir), linking);
    engine.set_check_interval(config.check_interval);
    engine.set_hook_check_interval(config.hooks.check_interval);
    engine.set_reconcile_interval(config.hooks.reconcile_interval);
    engine.set_intake_limits(config.hooks.limits.clone());
    engine.set_event_retention(config.events);
    engine
}

fn policy(config: &Config) -> Result<PolicyHandle, Failure> {
    match &config.policy_file {
        Some(path) => {
            PolicyHandle::load(path).map_err(|errors| Failure::Config(errors.to_string()))
        }
        None => Ok(PolicyHandle::owner_only(
            rustix::process::geteuid().as_raw(),
        )),
    }
}

fn api(
    engine: &Engine,
    policy: &PolicyHandle,
    admin: Admin,
    audit: &AuditLog,
    metrics: &Mutex<Registry>,
) -> Api {
    let mut registry = metrics
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    seam::metrics(&mut registry);
    Api::new(
        engine.clone(),
        policy.clone(),
        Arc::new(admin),
        Arc::new(audit.clone()),
        &mut registry,
    )
}

/// Ends at SIGTERM or SIGINT, or when a listener dies. SIGHUP reads policy and certificates again.
async fn wait_for_the_end(api: &Api, serving: &Serving) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => reload(api).await,
            () = serving.failed() => return Err(anyhow::anyhow!("a listener has ended").into()),
        }
    }
}

async fn reload(api: &Api) {
    systemd::reloading();
    api.reload().await;
    systemd::ready();
}
