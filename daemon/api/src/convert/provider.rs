//! Providers.

use bindery_core::provider::{
    AuthKind, AuthMethod, Description, OperationKind, TokenKind, UserName,
};
use bindery_proto::v1 as wire;

use super::common;

pub(crate) fn provider(description: &Description) -> wire::Provider {
    wire::Provider {
        name: format!("providers/{}", description.provider),
        display_name: description.display_name.clone(),
        platform_versions: description.platform_versions.clone(),
        trigger_limits: description.trigger_limits.clone(),
        plugin_version: description.version.clone(),
        plugin_sha256: description.sha256.clone(),
        state: wire::provider::State::Ready.into(),
        state_message: String::new(),
        auth_methods: methods(description),
        permission_scopes: description.permissions.iter().map(scopes).collect(),
        capabilities: Some(capabilities(description)),
        editions: description
            .editions
            .iter()
            .map(|known| edition(known))
            .collect(),
    }
}

fn edition(edition: &Description) -> wire::provider::Edition {
    wire::provider::Edition {
        name: edition.edition.clone(),
        display_name: edition.display_name.clone(),
        platform_versions: edition.platform_versions.clone(),
        trigger_limits: edition.trigger_limits.clone(),
        web_uris: edition.edition_webs.clone(),
        auth_methods: methods(edition),
        permission_scopes: edition.permissions.iter().map(scopes).collect(),
        capabilities: Some(capabilities(edition)),
    }
}

fn methods(description: &Description) -> Vec<wire::AuthMethod> {
    let known = description.auth_methods.iter();
    known.map(|known| method(known, description)).collect()
}

fn method(method: &AuthMethod, description: &Description) -> wire::AuthMethod {
    wire::AuthMethod {
        kind: common::method(method.kind).into(),
        display_name: name(method, description),
        pkce: method.pkce,
        refreshable: refreshable(method, description),
        token_lifetime: method.token_lifetime.and_then(|time| time.try_into().ok()),
        refresh_idle_lifetime: method.refresh_idle.and_then(|time| time.try_into().ok()),
        username_required: username_required(method, description),
        help_uri: help(method, description),
    }
}

fn name(method: &AuthMethod, description: &Description) -> String {
    if !method.display_name.is_empty() {
        return method.display_name.clone();
    }
    let way = match method.kind {
        AuthKind::OAuthCode => "OAuth authentication",
        AuthKind::Device => "device flow",
        AuthKind::AccessToken => "access token",
        AuthKind::AppInstallation => "app installation",
    };
    format!("{} {way}", description.display_name)
}

/// New tokens come from a refresh token, from the app, or from the old token where the provider lets it be exchanged.
fn refreshable(method: &AuthMethod, description: &Description) -> bool {
    match method.kind {
        AuthKind::OAuthCode | AuthKind::Device => true,
        AuthKind::AppInstallation => description.operations.contains(&OperationKind::MintToken),
        AuthKind::AccessToken => description.operations.contains(&OperationKind::RotateToken),
    }
}

/// A login always; an e-mail only where every kind of token that a person makes needs one.
fn username_required(method: &AuthMethod, description: &Description) -> bool {
    let by_hand = |kind: &&TokenKind| {
        kind.auth_kind
            .is_none_or(|only| only == AuthKind::AccessToken)
    };
    let mut kinds = description.token_kinds.iter().filter(by_hand);
    match method.user_name {
        UserName::Optional => false,
        UserName::Login => true,
        UserName::Email => kinds.all(|kind| kind.needs_username),
    }
}

/// The page on the public host; empty where there is none.
fn help(method: &AuthMethod, description: &Description) -> String {
    let public = description.endpoints.known_hosts.first();
    let public = public.map_or("", |(web, _)| web.as_str());
    let help = method.help_uri.replace("{web}", public);
    Some(help)
        .filter(|help| help.starts_with("https://"))
        .unwrap_or_default()
}

fn scopes(entry: &bindery_core::provider::PermissionScopes) -> wire::PermissionScopes {
    wire::PermissionScopes {
        permission: common::permission(entry.permission).into(),
        scopes: entry.scopes.clone(),
    }
}

fn capabilities(description: &Description) -> wire::Capabilities {
    let (revocation, hooks) = (&description.revocation, &description.hooks);
    let can = |operation| description.operations.contains(&operation);
    let can_revoke = can(OperationKind::Revoke);
    let webhooks = can(OperationKind::CreateHook) && !hooks.schemes.is_empty();
    wire::Capabilities {
        webhooks,
        max_webhooks_per_repository: if webhooks {
            hooks.hooks_per_repository
        } else {
            0
        },
        redelivery: webhooks && can(OperationKind::ListDeliveries) && can(OperationKind::Redeliver),
        token_revocation: can_revoke && revocation.access_token,
        grant_revocation: (can_revoke || !description.endpoints.revoke.is_empty())
            && revocation.oauth,
        grant_shared_by_identity: revocation.kills_siblings,
        narrowing: can(OperationKind::MintToken),
    }
}

#[cfg(test)]
mod tests;
