//! Links and what hangs on them.

mod ask;

use std::{collections::BTreeSet, sync::Arc};

use bindery_core::{
    link::{Cause, Desired, Link, Note, Stage, Wish},
    name::HostName,
    provider::{AccountKind, AuthKind, Description, Identity, Permission},
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::{Versioned, links::Authorization};
use bindery_proto::v1::{self as wire, desired_state, identity, observed_state};

pub(crate) use self::ask::{new_link, reauthorize};
use super::common::{self, time};

/// What a link says whose token nobody renews.
const ENDS: &str =
    "its token ends and is not renewed; make a new one and authorize the link again before";

/// A link with what its provider says about scopes.
pub(crate) fn link(entry: &Versioned<Link>, description: Option<&Description>) -> wire::Link {
    let link = &entry.record;
    let permissions = permissions(link, description);
    let missing = description
        .map(|known| missing(link, known, &permissions))
        .unwrap_or_default();
    wire::Link {
        name: link.resource(),
        host: format!("hosts/{}", link.host),
        display_name: link.display_name.clone(),
        desired: Some(desired(link)),
        observed: Some(observed(link, &missing)),
        identity: shown_identity(link, false),
        method: common::method(link.auth_kind).into(),
        permissions: permissions
            .iter()
            .map(|known| common::permission(*known).into())
            .collect(),
        granted_scopes: link.granted_scopes.clone().unwrap_or_default(),
        missing_scopes: missing,
        token: (link.generation > 0).then(|| token(link)),
        flow: flow(link),
        service_account: serves_machines(link),
        installation_id: link.installation_id.clone(),
        labels: link.labels.clone(),
        annotations: link.annotations.clone(),
        created_by: Some(common::principal(&link.created_by)),
        create_time: Some(time(link.created)),
        update_time: Some(time(link.updated)),
        check_time: link.seen.at.map(time),
        rotate_token: link.upkeep.rotate_token,
        findings: link.seen.notes.iter().map(noted).collect(),
        etag: entry.version.to_string(),
        ..wire::Link::default()
    }
}

/// Whether builds hang on no single person, as the provider says or the caller.
fn serves_machines(link: &Link) -> bool {
    let told = |who: &Identity| matches!(who.kind, AccountKind::Bot | AccountKind::App);
    link.service_account || link.identity.as_ref().is_some_and(told)
}

/// Whether a flow is under way.
pub(crate) const fn is_pending(link: &Link) -> bool {
    matches!(
        link.observed.stage,
        Stage::PendingAuthorization | Stage::PendingConfirmation
    )
}

/// An identity is `pending` until it is confirmed.
fn shown_identity(link: &Link, pending: bool) -> Option<wire::Identity> {
    let waits = link.observed.stage == Stage::PendingConfirmation;
    link.identity
        .as_ref()
        .filter(|_| waits == pending)
        .map(identity)
}

fn identity(known: &Identity) -> wire::Identity {
    let kind = match known.kind {
        AccountKind::Unknown => identity::Kind::Unspecified,
        AccountKind::User => identity::Kind::User,
        AccountKind::Bot => identity::Kind::Bot,
        AccountKind::Organization => identity::Kind::Organization,
        AccountKind::App => identity::Kind::App,
    };
    wire::Identity {
        stable_id: known.stable_id.clone(),
        login: known.login.clone(),
        display_name: known.display_name.clone(),
        kind: kind.into(),
        profile_uri: known.web_uri.clone(),
    }
}

/// What the link is meant to be used for; of one that was made before this was kept, what its scopes are good for.
fn permissions(link: &Link, description: Option<&Description>) -> Vec<Permission> {
    let Some(description) = description.filter(|_| link.permissions.is_empty()) else {
        return link.permissions.clone();
    };
    let asked = |scopes: &[String]| {
        scopes
            .iter()
            .all(|scope| link.requested_scopes.contains(scope))
    };
    let entries = description
        .permissions
        .iter()
        .filter(|entry| asked(&entry.scopes));
    entries.map(|entry| entry.permission).collect()
}

fn missing(link: &Link, description: &Description, permissions: &[Permission]) -> Vec<String> {
    let Some(granted) = &link.granted_scopes else {
        return Vec::new();
    };
    let entries = description.missing(permissions, granted);
    let scopes = entries.into_iter().flat_map(|entry| entry.scopes);
    scopes.collect::<BTreeSet<_>>().into_iter().collect()
}

fn desired(link: &Link) -> wire::DesiredState {
    let (state, wish) = match &link.desired {
        Desired::Enabled(wish) => (desired_state::State::Enabled, wish.as_ref()),
        Desired::Disabled(wish) => (desired_state::State::Disabled, Some(wish)),
    };
    let told = |wish: &Wish| wire::DesiredState {
        state: state.into(),
        reason: wish.reason.clone(),
        actor: Some(common::principal(&wish.actor)),
        set_time: Some(time(wish.since)),
    };
    wish.map_or_else(
        || wire::DesiredState {
            state: state.into(),
            ..wire::DesiredState::default()
        },
        told,
    )
}

fn observed(link: &Link, missing: &[String]) -> wire::ObservedState {
    use observed_state::Stage as Wire;
    let observed = &link.observed;
    let (stage, cause) = match observed.stage {
        Stage::PendingAuthorization => (Wire::PendingAuthorization, None),
        Stage::PendingConfirmation => (Wire::PendingConfirmation, None),
        Stage::Bound => (Wire::Bound, observed.trouble),
        Stage::NeedsReauthorization(cause) => (Wire::NeedsReauthorization, Some(cause)),
        Stage::Unlinking => (Wire::Unlinking, None),
        Stage::Unlinked => (Wire::Unlinked, None),
    };
    // Whoever has the page of a pending flow can act as the one who started it: it is in no link (THREATS O1).
    let action_uri = if is_pending(link) {
        String::new()
    } else {
        observed.action_uri.clone()
    };
    let shown = wire::ObservedState {
        stage: stage.into(),
        cause: cause
            .map_or(observed_state::Cause::Unspecified, self::cause)
            .into(),
        message: observed.message.clone(),
        action_uri,
        who_must_act: common::who(observed.who).into(),
        until_time: observed.until.map(time),
        since_time: Some(time(observed.since)),
    };
    if observed.stage != Stage::Bound || observed.trouble.is_some() {
        return shown;
    }
    let shown = match link.ends() {
        Some(ends) => until_the_end(shown, ends),
        None => shown,
    };
    // What an installation may do, its owner decides: that is no scope.
    match missing.is_empty() || link.auth_kind == AuthKind::AppInstallation {
        true => shown,
        false => lacking(shown, missing),
    }
}

/// A link that works, but not for all that it is meant for.
fn lacking(shown: wire::ObservedState, missing: &[String]) -> wire::ObservedState {
    let cause = cause(Cause::ScopeMissing);
    wire::ObservedState {
        cause: cause.into(),
        message: format!(
            "its token lacks {}; authorize it again, and grant that",
            missing.join(", ")
        ),
        who_must_act: wire::WhoMustAct::User.into(),
        ..shown
    }
}

/// A link that works, and whose token a person must replace before it ends.
fn until_the_end(shown: wire::ObservedState, ends: Timestamp) -> wire::ObservedState {
    wire::ObservedState {
        message: ENDS.to_owned(),
        who_must_act: wire::WhoMustAct::User.into(),
        until_time: Some(time(ends)),
        ..shown
    }
}

const fn cause(cause: Cause) -> observed_state::Cause {
    match cause {
        Cause::GrantRevoked => observed_state::Cause::GrantRevoked,
        Cause::TokenExpired => observed_state::Cause::TokenExpired,
        Cause::RotationLost => observed_state::Cause::RotationLost,
        Cause::TokenRefused => observed_state::Cause::TokenRefused,
        Cause::NotConfirmed => observed_state::Cause::NotConfirmed,
        Cause::RefreshTokenExpired => observed_state::Cause::RefreshTokenExpired,
        Cause::RefreshOutcomeUnknown => observed_state::Cause::RefreshOutcomeUnknown,
        Cause::ScopeMissing => observed_state::Cause::ScopeMissing,
        Cause::IdentitySuspended => observed_state::Cause::IdentitySuspended,
        Cause::AppUninstalled => observed_state::Cause::AppUninstalled,
        Cause::AppSuspended => observed_state::Cause::AppSuspended,
        Cause::IdentityChanged => observed_state::Cause::IdentityChanged,
        Cause::ClientRefused => observed_state::Cause::ClientRefused,
        Cause::HostOriginChanged => observed_state::Cause::HostOriginChanged,
        Cause::HostUnreachable => observed_state::Cause::HostUnreachable,
        Cause::RateLimited => observed_state::Cause::RateLimited,
        Cause::ProviderUnavailable => observed_state::Cause::ProviderUnavailable,
        Cause::PluginFailed => observed_state::Cause::PluginFailed,
        Cause::HostDisabled => observed_state::Cause::HostDisabled,
        Cause::ConsentDenied => observed_state::Cause::ConsentDenied,
        Cause::FlowExpired => observed_state::Cause::FlowExpired,
        Cause::FlowCancelled => observed_state::Cause::FlowCancelled,
    }
}

fn token(link: &Link) -> wire::TokenFacts {
    wire::TokenFacts {
        kind: link.token_kind.clone(),
        expire_time: link.token_expires.map(time),
        refreshable: link.refreshable,
        generation: i64::try_from(link.generation).unwrap_or(i64::MAX),
        last_refresh_success_time: link.refreshed.map(time),
        last_refresh_failure_time: link.refresh_failed.map(time),
        refresh_expire_time: link.upkeep.refresh_expires.map(time),
        last_refresh_failure_reason: link.upkeep.failure_reason.clone(),
        refresh_failures: i32::try_from(link.upkeep.failures).unwrap_or(i32::MAX),
        next_refresh_time: link.upkeep.next_refresh.map(time),
        last_fetch_time: link.upkeep.handed_out.map(time),
    }
}

/// The flow that is under way, as far as it may be shown: never its id (THREATS O1).
fn flow(link: &Link) -> Option<wire::Flow> {
    if let Some(open) = &link.flow {
        return Some(wire::Flow {
            method: common::method(open.method).into(),
            started_by: Some(common::principal(&open.started_by)),
            start_time: Some(time(open.started)),
            expire_time: Some(time(open.expires)),
            requested_scopes: open.requested_scopes.clone(),
            pending_identity: open.identity.as_ref().map(identity),
            reauthorization: open.reauthorization,
            findings: open.notes.iter().map(noted).collect(),
        });
    }
    // A link that was made before flows were noted in links.
    is_pending(link).then(|| wire::Flow {
        method: common::method(link.auth_kind).into(),
        started_by: Some(common::principal(&link.created_by)),
        start_time: Some(time(link.created)),
        expire_time: link.observed.until.map(time),
        requested_scopes: link.requested_scopes.clone(),
        pending_identity: shown_identity(link, true),
        reauthorization: false,
        findings: Vec::new(),
    })
}

/// A finding that was kept.
fn noted(note: &Note) -> wire::Finding {
    wire::Finding {
        severity: common::severity(note.severity).into(),
        reason: note.reason.clone(),
        message: note.message.clone(),
        who_must_act: common::who(note.who).into(),
        action_uri: note.action_uri.clone(),
        until_time: note.until.map(time),
    }
}

pub(crate) fn authorization(authorization: Authorization) -> wire::Authorization {
    let code = authorization.user_code.as_ref().map(Secret::expose);
    wire::Authorization {
        authorization_uri: authorization.uri,
        user_code: code.unwrap_or_default().to_owned(),
        expire_time: Some(time(authorization.expires)),
    }
}

/// The description of a link's provider, shared between the links of one answer.
pub(crate) type Descriptions = std::collections::HashMap<HostName, Option<Arc<Description>>>;

#[cfg(test)]
mod tests;
