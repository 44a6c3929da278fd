//! [`Link`].

use bindery_core::{
    hook::Hook,
    link::{Cause, Desired, Link, Observed, Stage, Wish},
    name::{HostName, LinkId, NamespaceName},
    problem::Who,
    provider::{AccountKind, AuthKind, Identity},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable, ms, name,
    seen::{
        read_open_flow, read_permissions, read_seen, read_upkeep, write_open_flow,
        write_permissions, write_seen, write_upkeep,
    },
    time,
};

impl Stored for Link {
    type Message = disk::Link;

    fn write(&self) -> disk::Link {
        disk::Link {
            namespace: self.namespace.to_string(),
            id: self.id.to_string(),
            host: self.host.to_string(),
            display_name: self.display_name.clone(),
            auth_kind: write_auth_kind(self.auth_kind).into(),
            token_kind: self.token_kind.clone(),
            disabled: write_disabled(&self.desired),
            enabled: write_enabled(&self.desired),
            observed: Some(write_observed(&self.observed)),
            identity: self.identity.as_ref().map(write_identity),
            requested_scopes: self.requested_scopes.clone(),
            granted_scopes: self.granted_scopes.as_ref().map(|scopes| disk::Scopes {
                scopes: scopes.clone(),
            }),
            token_expires_ms: ms(self.token_expires),
            refreshable: self.refreshable,
            refreshed_ms: ms(self.refreshed),
            refresh_failed_ms: ms(self.refresh_failed),
            generation: self.generation,
            created_by: self.created_by.clone(),
            created_ms: self.created.unix_ms(),
            updated_ms: self.updated.unix_ms(),
            permissions: write_permissions(&self.permissions),
            username: self.username.clone(),
            installation_id: self.installation_id.clone(),
            service_account: self.service_account,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            flow: self.flow.as_ref().map(write_open_flow),
            upkeep: Some(write_upkeep(&self.upkeep)),
            seen: Some(write_seen(&self.seen)),
            left_hooks: self.left_hooks.iter().map(Stored::write).collect(),
        }
    }

    fn read(message: disk::Link) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            id: name(LinkId::parse, &message.id, "link id")?,
            host: name(HostName::parse, &message.host, "host")?,
            auth_kind: read_auth_kind(message.auth_kind())?,
            display_name: message.display_name,
            token_kind: message.token_kind,
            desired: read_desired(message.disabled, message.enabled),
            observed: read_observed(message.observed.ok_or(Unreadable("observed state"))?)?,
            identity: message.identity.map(read_identity).transpose()?,
            requested_scopes: message.requested_scopes,
            granted_scopes: message.granted_scopes.map(|scopes| scopes.scopes),
            token_expires: time(message.token_expires_ms),
            refreshable: message.refreshable,
            refreshed: time(message.refreshed_ms),
            refresh_failed: time(message.refresh_failed_ms),
            generation: message.generation,
            created_by: message.created_by,
            created: Timestamp::from_unix_ms(message.created_ms),
            updated: Timestamp::from_unix_ms(message.updated_ms),
            permissions: read_permissions(&message.permissions)?,
            username: message.username,
            installation_id: message.installation_id,
            service_account: message.service_account,
            labels: message.labels,
            annotations: message.annotations,
            flow: message.flow.map(read_open_flow).transpose()?,
            upkeep: read_upkeep(message.upkeep.unwrap_or_default()),
            seen: read_seen(message.seen.unwrap_or_default())?,
            left_hooks: message
                .left_hooks
                .into_iter()
                .map(Hook::read)
                .collect::<Result<_, _>>()?,
        })
    }
}

pub(super) fn write_disabled(desired: &Desired) -> Option<disk::Wish> {
    match desired {
        Desired::Enabled(_) => None,
        Desired::Disabled(wish) => Some(write_wish(wish)),
    }
}

pub(super) fn write_enabled(desired: &Desired) -> Option<disk::Wish> {
    match desired {
        Desired::Enabled(wish) => wish.as_ref().map(write_wish),
        Desired::Disabled(_) => None,
    }
}

fn write_wish(wish: &Wish) -> disk::Wish {
    disk::Wish {
        reason: wish.reason.clone(),
        actor: wish.actor.clone(),
        since_ms: wish.since.unix_ms(),
    }
}

pub(super) fn read_desired(disabled: Option<disk::Wish>, enabled: Option<disk::Wish>) -> Desired {
    match disabled {
        Some(wish) => Desired::Disabled(read_wish(wish)),
        None => Desired::Enabled(enabled.map(read_wish)),
    }
}

fn read_wish(wish: disk::Wish) -> Wish {
    Wish {
        reason: wish.reason,
        actor: wish.actor,
        since: Timestamp::from_unix_ms(wish.since_ms),
    }
}

fn write_observed(observed: &Observed) -> disk::Observed {
    let (stage, cause) = write_stage(observed.stage);
    disk::Observed {
        stage: stage.into(),
        cause: cause.into(),
        message: observed.message.clone(),
        action_uri: observed.action_uri.clone(),
        who: write_who(observed.who).into(),
        until_ms: ms(observed.until),
        since_ms: observed.since.unix_ms(),
        trouble: observed
            .trouble
            .map_or(disk::Cause::Unspecified, write_cause)
            .into(),
    }
}

fn read_observed(message: disk::Observed) -> Result<Observed, Unreadable> {
    Ok(Observed {
        stage: read_stage(&message)?,
        trouble: read_trouble(message.trouble)?,
        who: read_who(message.who)?,
        message: message.message,
        action_uri: message.action_uri,
        until: time(message.until_ms),
        since: Timestamp::from_unix_ms(message.since_ms),
    })
}

fn read_trouble(number: i32) -> Result<Option<Cause>, Unreadable> {
    // None is a value here, so an unknown number must not read as that.
    match disk::Cause::try_from(number) {
        Ok(disk::Cause::Unspecified) => Ok(None),
        Ok(cause) => read_cause(cause).map(Some),
        Err(_) => Err(Unreadable("trouble")),
    }
}

const fn write_stage(stage: Stage) -> (disk::Stage, disk::Cause) {
    let none = disk::Cause::Unspecified;
    match stage {
        Stage::PendingAuthorization => (disk::Stage::PendingAuthorization, none),
        Stage::PendingConfirmation => (disk::Stage::PendingConfirmation, none),
        Stage::Bound => (disk::Stage::Bound, none),
        Stage::NeedsReauthorization(cause) => {
            (disk::Stage::NeedsReauthorization, write_cause(cause))
        }
        Stage::Unlinking => (disk::Stage::Unlinking, none),
        Stage::Unlinked => (disk::Stage::Unlinked, none),
    }
}

fn read_stage(message: &disk::Observed) -> Result<Stage, Unreadable> {
    Ok(match message.stage() {
        disk::Stage::PendingAuthorization => Stage::PendingAuthorization,
        disk::Stage::PendingConfirmation => Stage::PendingConfirmation,
        disk::Stage::Bound => Stage::Bound,
        disk::Stage::NeedsReauthorization => {
            Stage::NeedsReauthorization(read_cause(message.cause())?)
        }
        disk::Stage::Unlinking => Stage::Unlinking,
        disk::Stage::Unlinked => Stage::Unlinked,
        disk::Stage::Unspecified => return Err(Unreadable("stage")),
    })
}

const fn write_cause(cause: Cause) -> disk::Cause {
    match cause {
        Cause::GrantRevoked => disk::Cause::GrantRevoked,
        Cause::TokenExpired => disk::Cause::TokenExpired,
        Cause::RotationLost => disk::Cause::RotationLost,
        Cause::TokenRefused => disk::Cause::TokenRefused,
        Cause::NotConfirmed => disk::Cause::NotConfirmed,
        Cause::RefreshTokenExpired => disk::Cause::RefreshTokenExpired,
        Cause::RefreshOutcomeUnknown => disk::Cause::RefreshOutcomeUnknown,
        Cause::ScopeMissing => disk::Cause::ScopeMissing,
        Cause::IdentitySuspended => disk::Cause::IdentitySuspended,
        Cause::AppUninstalled => disk::Cause::AppUninstalled,
        Cause::AppSuspended => disk::Cause::AppSuspended,
        Cause::IdentityChanged => disk::Cause::IdentityChanged,
        Cause::ClientRefused => disk::Cause::ClientRefused,
        Cause::HostOriginChanged => disk::Cause::HostOriginChanged,
        Cause::HostUnreachable => disk::Cause::HostUnreachable,
        Cause::RateLimited => disk::Cause::RateLimited,
        Cause::ProviderUnavailable => disk::Cause::ProviderUnavailable,
        Cause::PluginFailed => disk::Cause::PluginFailed,
        Cause::HostDisabled => disk::Cause::HostDisabled,
        Cause::ConsentDenied => disk::Cause::ConsentDenied,
        Cause::FlowExpired => disk::Cause::FlowExpired,
        Cause::FlowCancelled => disk::Cause::FlowCancelled,
    }
}

const fn read_cause(cause: disk::Cause) -> Result<Cause, Unreadable> {
    Ok(match cause {
        disk::Cause::GrantRevoked => Cause::GrantRevoked,
        disk::Cause::TokenExpired => Cause::TokenExpired,
        disk::Cause::RotationLost => Cause::RotationLost,
        disk::Cause::TokenRefused => Cause::TokenRefused,
        disk::Cause::NotConfirmed => Cause::NotConfirmed,
        disk::Cause::RefreshTokenExpired => Cause::RefreshTokenExpired,
        disk::Cause::RefreshOutcomeUnknown => Cause::RefreshOutcomeUnknown,
        disk::Cause::ScopeMissing => Cause::ScopeMissing,
        disk::Cause::IdentitySuspended => Cause::IdentitySuspended,
        disk::Cause::AppUninstalled => Cause::AppUninstalled,
        disk::Cause::AppSuspended => Cause::AppSuspended,
        disk::Cause::IdentityChanged => Cause::IdentityChanged,
        disk::Cause::ClientRefused => Cause::ClientRefused,
        disk::Cause::HostOriginChanged => Cause::HostOriginChanged,
        disk::Cause::HostUnreachable => Cause::HostUnreachable,
        disk::Cause::RateLimited => Cause::RateLimited,
        disk::Cause::ProviderUnavailable => Cause::ProviderUnavailable,
        disk::Cause::PluginFailed => Cause::PluginFailed,
        disk::Cause::HostDisabled => Cause::HostDisabled,
        disk::Cause::ConsentDenied => Cause::ConsentDenied,
        disk::Cause::FlowExpired => Cause::FlowExpired,
        disk::Cause::FlowCancelled => Cause::FlowCancelled,
        disk::Cause::Unspecified => return Err(Unreadable("cause")),
    })
}

pub(super) const fn write_who(who: Option<Who>) -> disk::Who {
    match who {
        None => disk::Who::Unspecified,
        Some(Who::User) => disk::Who::User,
        Some(Who::OrganizationOwner) => disk::Who::OrganizationOwner,
        Some(Who::HostOperator) => disk::Who::HostOperator,
    }
}

pub(super) fn read_who(who: i32) -> Result<Option<Who>, Unreadable> {
    // Nobody is a value here, so an unknown number must not read as that.
    Ok(match disk::Who::try_from(who) {
        Ok(disk::Who::Unspecified) => None,
        Ok(disk::Who::User) => Some(Who::User),
        Ok(disk::Who::OrganizationOwner) => Some(Who::OrganizationOwner),
        Ok(disk::Who::HostOperator) => Some(Who::HostOperator),
        Err(_) => return Err(Unreadable("actor")),
    })
}

pub(super) const fn write_auth_kind(kind: AuthKind) -> disk::AuthKind {
    match kind {
        AuthKind::OAuthCode => disk::AuthKind::OauthCode,
        AuthKind::Device => disk::AuthKind::Device,
        AuthKind::AccessToken => disk::AuthKind::AccessToken,
        AuthKind::AppInstallation => disk::AuthKind::AppInstallation,
    }
}

pub(super) const fn read_auth_kind(kind: disk::AuthKind) -> Result<AuthKind, Unreadable> {
    Ok(match kind {
        disk::AuthKind::OauthCode => AuthKind::OAuthCode,
        disk::AuthKind::Device => AuthKind::Device,
        disk::AuthKind::AccessToken => AuthKind::AccessToken,
        disk::AuthKind::AppInstallation => AuthKind::AppInstallation,
        disk::AuthKind::Unspecified => return Err(Unreadable("authorization kind")),
    })
}

pub(super) fn write_identity(identity: &Identity) -> disk::Identity {
    let kind = match identity.kind {
        AccountKind::Unknown => disk::AccountKind::Unknown,
        AccountKind::User => disk::AccountKind::User,
        AccountKind::Bot => disk::AccountKind::Bot,
        AccountKind::Organization => disk::AccountKind::Organization,
        AccountKind::App => disk::AccountKind::App,
    };
    disk::Identity {
        stable_id: identity.stable_id.clone(),
        login: identity.login.clone(),
        display_name: identity.display_name.clone(),
        kind: kind.into(),
        web_uri: identity.web_uri.clone(),
    }
}

pub(super) fn read_identity(message: disk::Identity) -> Result<Identity, Unreadable> {
    let kind = match message.kind() {
        disk::AccountKind::Unknown => AccountKind::Unknown,
        disk::AccountKind::User => AccountKind::User,
        disk::AccountKind::Bot => AccountKind::Bot,
        disk::AccountKind::Organization => AccountKind::Organization,
        disk::AccountKind::App => AccountKind::App,
        disk::AccountKind::Unspecified => return Err(Unreadable("account kind")),
    };
    Ok(Identity {
        stable_id: message.stable_id,
        login: message.login,
        display_name: message.display_name,
        kind,
        web_uri: message.web_uri,
    })
}
