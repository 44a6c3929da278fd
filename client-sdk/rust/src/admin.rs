//! What an operator calls, on the admin socket.

use bindery_proto::admin::v1::{
    AddSlotRequest, AddSlotResponse, AuditRecord, Check, CompactStoreRequest, CompactStoreResponse,
    DiagnoseRequest, DisablePluginRequest, EnablePluginRequest, GetStatusRequest,
    ListAuditRecordsRequest, ListPluginsRequest, Plugin, ReloadPluginRequest, ReloadPolicyRequest,
    ReloadPolicyResponse, RemoveSlotRequest, RotateKeysRequest, RotateKeysResponse, SealRequest,
    Slot, SlotKind, Status, UnsealRequest, UnsealResponse, VerifyAuditRequest, VerifyAuditResponse,
    VerifyRecoverySharesRequest, VerifyStoreRequest, VerifyStoreResponse,
    admin_service_client::AdminServiceClient, rotate_keys_request::Target,
};

use crate::{
    Client, Error, Pages, Token,
    call::{Manner, call},
    page::pages,
    random,
};

pub use backup::BackupDownload;

mod backup;

/// What opens the seal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UnsealWith {
    /// A passphrase.
    Passphrase(Token),
    /// One recovery share, as it was printed.
    RecoveryShare(Token),
    /// The bytes of a key file.
    Key(KeyBytes),
}

/// The bytes of a key. They can't be printed.
#[derive(Clone)]
pub struct KeyBytes(Vec<u8>);

impl KeyBytes {
    /// Takes 32 to 4096 random bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A slot that is to be added.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NewSlot {
    /// A passphrase of at least 12 characters.
    Passphrase(Token),
    /// A key file that the caller keeps.
    KeyFile(KeyBytes),
    /// A systemd credential that the caller keeps.
    SystemdCredential(KeyBytes),
    /// Recovery shares: how many are made, and how many are needed.
    RecoveryShares {
        /// How many are made, at most 16.
        count: u8,
        /// How many are needed, at least 2.
        needed: u8,
    },
}

/// These calls answer on the admin socket only; elsewhere they are [`Error::Unsupported`].
impl Client {
    /// Tells whether the daemon is sealed, and how its store does. Works while sealed.
    ///
    /// # Errors
    ///
    /// Those that every call has.
    pub async fn daemon_status(&self) -> Result<Status, Error> {
        let request = GetStatusRequest {};
        call!(
            self,
            Manner::READ,
            AdminServiceClient<_>,
            get_status,
            request
        )
    }

    /// Checks at run time what the daemon's unit and configuration promise. What is wrong is in the answer. Works while
    /// sealed.
    ///
    /// # Errors
    ///
    /// Those that every call has.
    pub async fn diagnose(&self) -> Result<Vec<Check>, Error> {
        let request = DiagnoseRequest {};
        let answer = call!(self, Manner::READ, AdminServiceClient<_>, diagnose, request)?;
        Ok(answer.checks)
    }

    /// Lists the plugins that are configured, with those that can't be loaded. Works while sealed.
    ///
    /// # Errors
    ///
    /// Those that every call has.
    pub async fn list_plugins(&self) -> Result<Vec<Plugin>, Error> {
        let request = ListPluginsRequest {};
        let answer = call!(
            self,
            Manner::READ,
            AdminServiceClient<_>,
            list_plugins,
            request
        )?;
        Ok(answer.plugins)
    }

    /// Loads a plugin anew in a new worker.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] where it is not trusted, and those that every call has.
    pub async fn reload_plugin(&self, name: impl Into<String>) -> Result<Plugin, Error> {
        let request = ReloadPluginRequest { name: name.into() };
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            reload_plugin,
            request
        )
    }

    /// Allows a plugin to run.
    ///
    /// # Errors
    ///
    /// As for [`reload_plugin`](Self::reload_plugin).
    pub async fn enable_plugin(&self, name: impl Into<String>) -> Result<Plugin, Error> {
        let request = EnablePluginRequest { name: name.into() };
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            enable_plugin,
            request
        )
    }

    /// Stops a plugin.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn disable_plugin(
        &self,
        name: impl Into<String>,
        reason: impl Into<String>,
    ) -> Result<Plugin, Error> {
        let request = DisablePluginRequest {
            name: name.into(),
            reason: reason.into(),
        };
        call!(
            self,
            Manner::ONCE,
            AdminServiceClient<_>,
            disable_plugin,
            request
        )
    }

    /// Opens the seal, or hands in one of several shares.
    ///
    /// # Errors
    ///
    /// [`Error::Precondition`] where it does not fit, [`Error::RateLimited`], and those that every call has.
    pub async fn unseal(&self, with: &UnsealWith) -> Result<UnsealResponse, Error> {
        let mut request = UnsealRequest::default();
        match with {
            UnsealWith::Passphrase(secret) => secret.expose().clone_into(&mut request.passphrase),
            UnsealWith::RecoveryShare(share) => {
                share.expose().clone_into(&mut request.recovery_share);
            }
            UnsealWith::Key(key) => request.key.clone_from(&key.0),
        }
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            unseal,
            request
        )
    }

    /// Makes the daemon forget its keys.
    ///
    /// # Errors
    ///
    /// Those that every call has.
    pub async fn seal(&self, reason: impl Into<String>) -> Result<(), Error> {
        let request = SealRequest {
            reason: reason.into(),
        };
        // It waits for refreshes that are under way at a forge.
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            seal,
            request
        )
        .map(drop)
    }

    /// Adds a slot that opens the seal. Recovery shares are in this answer only.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`], [`Error::Sealed`], and those that every call has.
    pub async fn add_slot(
        &self,
        slot: &NewSlot,
        label: impl Into<String>,
    ) -> Result<AddSlotResponse, Error> {
        let mut request = AddSlotRequest {
            label: label.into(),
            ..AddSlotRequest::default()
        };
        let kind = match slot {
            NewSlot::Passphrase(secret) => {
                secret.expose().clone_into(&mut request.passphrase);
                SlotKind::Passphrase
            }
            NewSlot::KeyFile(key) => {
                request.key.clone_from(&key.0);
                SlotKind::KeyFile
            }
            NewSlot::SystemdCredential(key) => {
                request.key.clone_from(&key.0);
                SlotKind::SystemdCredential
            }
            NewSlot::RecoveryShares { count, needed } => {
                request.share_count = (*count).into();
                request.shares_needed = (*needed).into();
                SlotKind::RecoveryShares
            }
        };
        request.set_kind(kind);
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            add_slot,
            request
        )
    }

    /// Removes a slot, and returns those that stay.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`] where too few would stay, [`Error::Sealed`], and those that every
    /// call has.
    pub async fn remove_slot(&self, id: i32) -> Result<Vec<Slot>, Error> {
        let request = RemoveSlotRequest { id };
        let answer = call!(
            self,
            Manner::ONCE,
            AdminServiceClient<_>,
            remove_slot,
            request
        )?;
        Ok(answer.slots)
    }

    /// Begins a new epoch of the key ring, or makes a new root key and an epoch with it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] where nothing that the daemon can read would open the new root key, [`Error::Sealed`],
    /// and those that every call has.
    pub async fn rotate_keys(&self, target: Target) -> Result<RotateKeysResponse, Error> {
        let mut request = RotateKeysRequest {
            request_id: random::uuid()?,
            ..RotateKeysRequest::default()
        };
        request.set_target(target);
        call!(
            self,
            Manner::KEYED_AT_FORGE,
            AdminServiceClient<_>,
            rotate_keys,
            request
        )
    }

    /// Seals every record again under a new key, destroys the old one, and copies the store into a smaller one: what was
    /// removed is gone afterwards. It goes on where the caller's deadline ends before it does.
    ///
    /// # Errors
    ///
    /// [`Error::Sealed`], and those that every call has.
    pub async fn compact_store(&self) -> Result<CompactStoreResponse, Error> {
        let request = CompactStoreRequest {};
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            compact_store,
            request
        )
    }

    /// Tries recovery shares without changing anything, as a drill. Works while sealed.
    ///
    /// # Errors
    ///
    /// [`Error::Precondition`] where they open nothing, [`Error::RateLimited`], and those that every call has.
    pub async fn verify_recovery_shares(&self, shares: &[Token]) -> Result<Option<Slot>, Error> {
        let shares = shares.iter().map(|share| share.expose().to_owned());
        let request = VerifyRecoverySharesRequest {
            recovery_shares: shares.collect(),
        };
        let answer = call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            verify_recovery_shares,
            request
        )?;
        Ok(answer.slot)
    }

    /// Opens every record of the store. Damage is in the answer, not an error.
    ///
    /// # Errors
    ///
    /// [`Error::Sealed`], and those that every call has.
    pub async fn verify_store(&self) -> Result<VerifyStoreResponse, Error> {
        let request = VerifyStoreRequest {};
        call!(
            self,
            Manner::READ_AT_FORGE,
            AdminServiceClient<_>,
            verify_store,
            request
        )
    }

    /// Checks the hash chain of the audit log. A break is in the answer, not an error.
    ///
    /// # Errors
    ///
    /// [`Error::Sealed`], and those that every call has.
    pub async fn verify_audit(&self) -> Result<VerifyAuditResponse, Error> {
        let request = VerifyAuditRequest {};
        call!(
            self,
            Manner::READ_AT_FORGE,
            AdminServiceClient<_>,
            verify_audit,
            request
        )
    }

    /// Lists audit records, the newest first; an empty filter means all.
    pub fn list_audit_records(&self, filter: impl Into<String>) -> Pages<AuditRecord> {
        let request = ListAuditRecordsRequest {
            filter: filter.into(),
            ..ListAuditRecordsRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            AdminServiceClient<_>,
            list_audit_records,
            request,
            records
        )
    }

    /// Reads the policy file anew, or with `validate_only` checks it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] with what is wrong and where; the old policy then stays.
    pub async fn reload_policy(&self, validate_only: bool) -> Result<ReloadPolicyResponse, Error> {
        let request = ReloadPolicyRequest { validate_only };
        call!(
            self,
            Manner::ONCE,
            AdminServiceClient<_>,
            reload_policy,
            request
        )
    }
}
