//! What the operator is told, and what the daemon must offer for it.

mod audit;
mod plugins;
mod subject;

use bindery_core::{
    port::{BoxFuture, VaultHealth},
    problem::Problem,
    time::Timestamp,
};
use bindery_proto::admin::v1::{self as wire, admin_service_server::AdminService};
use data_encoding::HEXLOWER;
use tonic::Streaming;

use crate::{
    call::{Call, service},
    convert::common::time,
    services::Answers,
    status::Failure,
};

pub use backup::{BackupFacts, BackupPort, KeptFacts, RollbackFacts, StoreVerdict};
pub use keys::{
    AddedSlot, Compacted, EpochFacts, KeyMaterial, KeysPort, RotateWish, Rotated, SlotOpens,
    SlotWish, UnsealProgress, UnsealWith,
};

pub(crate) use subject::Subject;

mod backup;
mod keys;

/// The parts of the daemon that an operator looks at.
pub trait AdminPort: Send + Sync {
    /// How the daemon is. Works while it is sealed.
    fn status(&self) -> BoxFuture<'_, StatusFacts>;
    /// What was checked at run time, always all of it in a fixed order. Works while it is sealed.
    fn diagnose(&self) -> BoxFuture<'_, Vec<CheckFacts>>;
    /// All configured plugins in the order of their names, with those that can't be loaded.
    fn plugins(&self) -> BoxFuture<'_, Vec<PluginFacts>>;
    /// Seal, slots and keys.
    fn keys(&self) -> &dyn KeysPort;
    /// Backups, damage and rollbacks.
    fn backups(&self) -> &dyn BackupPort;
    /// Loads a plugin anew.
    ///
    /// Fails with [`bindery_core::problem::Reason::NotFound`] when none of this name is configured, and with the reason
    /// when it can't be loaded; it then goes on as it was.
    fn reload_plugin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginFacts, Problem>>;
    /// Lets a configured plugin run, now and after a restart.
    ///
    /// Fails as [`Self::reload_plugin`] does; a plugin that can't be loaded is allowed all the same.
    fn enable_plugin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginFacts, Problem>>;
    /// Stops a configured plugin until it is enabled again, also after a restart.
    ///
    /// Fails with [`bindery_core::problem::Reason::NotFound`] when none of this name is configured.
    fn disable_plugin<'a>(
        &'a self,
        name: &'a str,
        actor: &'a str,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<PluginFacts, Problem>>;
}

/// How a daemon is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusFacts {
    /// Version of the daemon.
    pub version: String,
    /// It has no root key.
    pub sealed: bool,
    /// Why it is sealed; empty where it is not.
    pub seal_message: String,
    /// Fewer slots than are safe.
    pub development: bool,
    /// What can open the seal.
    pub slots: Vec<SlotFacts>,
    /// The epochs, oldest first; none while sealed.
    pub epochs: Vec<EpochFacts>,
    /// Bytes of the store on disk.
    pub store_bytes: u64,
    /// How many recovery shares were handed in since the last attempt.
    pub shares_received: u32,
    /// How many recovery shares are needed; 0 without a slot for them.
    pub shares_needed: u32,
    /// Records in the store.
    pub records: u64,
    /// When the daemon started.
    pub started: Timestamp,
}

/// What can open the seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotFacts {
    /// Its number.
    pub id: u32,
    /// Its kind.
    pub kind: SlotKind,
    /// Name for people; may be empty.
    pub label: String,
    /// When it was added, if that is known.
    pub created: Option<Timestamp>,
    /// When it last opened the seal by hand or was verified.
    pub verified: Option<Timestamp>,
}

/// How a slot opens the seal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlotKind {
    /// A key file.
    KeyFile,
    /// A credential of systemd.
    SystemdCredential,
    /// A passphrase.
    Passphrase,
    /// Recovery shares.
    RecoveryShares,
}

/// Something that was checked at run time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckFacts {
    /// What was checked, such as `process.core_limit`.
    pub id: &'static str,
    /// How it is.
    pub outcome: Outcome,
    /// What was found.
    pub message: String,
    /// What to do; empty where nothing is.
    pub action: String,
}

/// How something that was checked is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// As promised.
    Ok,
    /// Weaker than it could be.
    Warning,
    /// A promise does not hold.
    Failed,
}

/// A configured plugin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PluginFacts {
    /// Its name, which is also the id of its provider.
    pub name: String,
    /// Its version; empty where it could not be read.
    pub version: String,
    /// Path of its file; empty where it is not known.
    pub path: String,
    /// SHA-256 of its file, hexadecimal; empty where it could not be read.
    pub sha256: String,
    /// How it is.
    pub state: PluginState,
    /// Why it does not run and what to do; empty where it runs.
    pub message: String,
    /// How its worker is confined, such as `seccomp` and `landlock`.
    pub sandbox: Vec<String>,
}

/// How a plugin is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PluginState {
    /// It runs.
    Running,
    /// It is not enabled.
    Disabled,
    /// Its worker is being started again.
    Restarting,
    /// Checksum, signature or file rights are not in order.
    NotTrusted,
    /// It can't be loaded for another reason.
    Failed,
}

service! {
    AdminService, operate;
    serve get_status(wire::GetStatusRequest) -> wire::Status = status;
    serve diagnose(wire::DiagnoseRequest) -> wire::DiagnoseResponse = diagnose;
    serve list_plugins(wire::ListPluginsRequest) -> wire::ListPluginsResponse = list_plugins;
    serve reload_plugin(wire::ReloadPluginRequest) -> wire::Plugin = reload_plugin;
    serve reload_policy(wire::ReloadPolicyRequest) -> wire::ReloadPolicyResponse = reload_policy;
    serve unseal(wire::UnsealRequest) -> wire::UnsealResponse = keys::unseal;
    serve seal(wire::SealRequest) -> wire::SealResponse = keys::seal;
    serve add_slot(wire::AddSlotRequest) -> wire::AddSlotResponse = keys::add_slot;
    serve remove_slot(wire::RemoveSlotRequest) -> wire::RemoveSlotResponse = keys::remove_slot;
    serve verify_recovery_shares(wire::VerifyRecoverySharesRequest) -> wire::VerifyRecoverySharesResponse = keys::verify_recovery_shares;
    serve enable_plugin(wire::EnablePluginRequest) -> wire::Plugin = plugins::enable;
    serve disable_plugin(wire::DisablePluginRequest) -> wire::Plugin = plugins::disable;
    serve list_audit_records(wire::ListAuditRecordsRequest) -> wire::ListAuditRecordsResponse = audit::list;
    serve verify_audit(wire::VerifyAuditRequest) -> wire::VerifyAuditResponse = audit::verify;
    serve backup(wire::BackupRequest) -> Self::BackupStream = backup::backup;
    serve restore(Streaming<wire::RestoreRequest>) -> wire::RestoreResponse = backup::restore;
    serve verify_backup(Streaming<wire::VerifyBackupRequest>) -> wire::VerifyBackupResponse = backup::verify_backup;
    serve verify_store(wire::VerifyStoreRequest) -> wire::VerifyStoreResponse = backup::verify_store;
    serve accept_rollback(wire::AcceptRollbackRequest) -> wire::AcceptRollbackResponse = backup::accept_rollback;
    serve rotate_keys(wire::RotateKeysRequest) -> wire::RotateKeysResponse = keys::rotate_keys;
    serve compact_store(wire::CompactStoreRequest) -> wire::CompactStoreResponse = keys::compact_store;
    also {
        type BackupStream = Answers<wire::BackupResponse>;
    }
}

async fn status(call: Call, _: wire::GetStatusRequest) -> Result<wire::Status, Failure> {
    let facts = call.api.admin().status().await;
    let kept = call.api.admin().backups().kept().await;
    let health = call.engine().health();
    let store = wire::StoreStatus {
        writable: matches!(health, VaultHealth::Serving | VaultHealth::LowSpace),
        message: explain(&health).to_owned(),
        record_count: i64::try_from(facts.records).unwrap_or(i64::MAX),
        size_bytes: i64::try_from(facts.store_bytes).unwrap_or(i64::MAX),
        low_space: health == VaultHealth::LowSpace,
        backup_time: kept.backed_up.map(time),
        ..wire::StoreStatus::default()
    };
    let sealed = if facts.sealed {
        wire::SealState::Sealed
    } else {
        wire::SealState::Unsealed
    };
    Ok(wire::Status {
        version: facts.version,
        seal_state: sealed.into(),
        seal_message: facts.seal_message,
        slots: facts.slots.into_iter().map(slot).collect(),
        epochs: facts.epochs.into_iter().map(keys::epoch).collect(),
        store: Some(store),
        start_time: Some(time(facts.started)),
        development: facts.development,
        rollback: kept.rollback.map(backup::rollback),
        shares_received: count(facts.shares_received),
        shares_needed: count(facts.shares_needed),
    })
}

const fn explain(health: &VaultHealth) -> &'static str {
    match health {
        VaultHealth::Serving => "",
        VaultHealth::LowSpace => {
            "the disk is nearly full; new links are refused until there is space"
        }
        VaultHealth::ReadOnly => {
            "the store had an I/O error and takes no writes; check the disk and restart"
        }
        VaultHealth::Stalled => "the disk has not answered for some seconds; look at it",
        VaultHealth::Sealed => "the daemon is sealed",
    }
}

fn slot(facts: SlotFacts) -> wire::Slot {
    let kind = match facts.kind {
        SlotKind::KeyFile => wire::SlotKind::KeyFile,
        SlotKind::SystemdCredential => wire::SlotKind::SystemdCredential,
        SlotKind::Passphrase => wire::SlotKind::Passphrase,
        SlotKind::RecoveryShares => wire::SlotKind::RecoveryShares,
    };
    wire::Slot {
        id: i32::try_from(facts.id).unwrap_or(i32::MAX),
        kind: kind.into(),
        label: facts.label,
        create_time: facts.created.map(time),
        verify_time: facts.verified.map(time),
    }
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

async fn diagnose(call: Call, _: wire::DiagnoseRequest) -> Result<wire::DiagnoseResponse, Failure> {
    let checks = call.api.admin().diagnose().await;
    Ok(wire::DiagnoseResponse {
        checks: checks.into_iter().map(check).collect(),
    })
}

fn check(facts: CheckFacts) -> wire::Check {
    use wire::check::Outcome as Wire;
    let outcome = match facts.outcome {
        Outcome::Ok => Wire::Ok,
        Outcome::Warning => Wire::Warning,
        Outcome::Failed => Wire::Failed,
    };
    wire::Check {
        id: facts.id.to_owned(),
        outcome: outcome.into(),
        message: facts.message,
        action: facts.action,
    }
}

async fn list_plugins(
    call: Call,
    _: wire::ListPluginsRequest,
) -> Result<wire::ListPluginsResponse, Failure> {
    let plugins = call.api.admin().plugins().await;
    Ok(wire::ListPluginsResponse {
        plugins: plugins.into_iter().map(plugin).collect(),
    })
}

async fn reload_plugin(
    call: Call,
    request: wire::ReloadPluginRequest,
) -> Result<wire::Plugin, Failure> {
    let reloaded = call.api.admin().reload_plugin(&request.name).await?;
    Ok(plugin(reloaded))
}

fn plugin(facts: PluginFacts) -> wire::Plugin {
    use wire::plugin::State;
    let state = match facts.state {
        PluginState::Running => State::Running,
        PluginState::Disabled => State::Disabled,
        PluginState::Restarting => State::Restarting,
        PluginState::NotTrusted => State::NotTrusted,
        PluginState::Failed => State::Failed,
    };
    wire::Plugin {
        name: facts.name,
        version: facts.version,
        path: facts.path,
        sha256: facts.sha256,
        state: state.into(),
        message: facts.message,
        sandbox: facts.sandbox,
        ..wire::Plugin::default()
    }
}

async fn reload_policy(
    call: Call,
    request: wire::ReloadPolicyRequest,
) -> Result<wire::ReloadPolicyResponse, Failure> {
    let changed = call.api.read_again(request.validate_only)?;
    let policy = call.api.policy().current();
    call.note.fact("changed", changed.to_string());
    call.note
        .fact("policy_sha256", HEXLOWER.encode(&policy.sha256()));
    Ok(wire::ReloadPolicyResponse {
        policy_sha256: HEXLOWER.encode(&policy.sha256()),
        rule_count: i32::try_from(policy.len()).unwrap_or(i32::MAX),
        changed,
        findings: Vec::new(),
    })
}
