//! What an operator calls, on the admin socket.

use bindery_proto::admin::v1::{
    AuditRecord, DisablePluginRequest, EnablePluginRequest, GetStatusRequest,
    ListAuditRecordsRequest, ListPluginsRequest, Plugin, ReloadPluginRequest, ReloadPolicyRequest,
    ReloadPolicyResponse, SealRequest, Status, UnsealRequest, UnsealResponse, VerifyAuditRequest,
    VerifyAuditResponse, VerifyStoreRequest, VerifyStoreResponse,
    admin_service_client::AdminServiceClient,
};

use crate::{
    Client, Error, Pages, Token,
    call::{Manner, call},
    page::pages,
};

/// What opens the seal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UnsealWith {
    /// A passphrase.
    Passphrase(Token),
    /// One recovery share, as it was printed.
    RecoveryShare(Token),
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
        call!(self, Manner::ONCE, AdminServiceClient<_>, seal, request).map(drop)
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
