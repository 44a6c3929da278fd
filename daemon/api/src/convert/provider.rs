//! Providers.

use bindery_core::provider::{AuthKind, AuthMethod, Description, OperationKind};
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
        auth_methods: description
            .auth_methods
            .iter()
            .map(|known| method(known, description))
            .collect(),
        permission_scopes: description.permissions.iter().map(scopes).collect(),
        capabilities: Some(capabilities(description)),
    }
}

fn method(method: &AuthMethod, description: &Description) -> wire::AuthMethod {
    let way = match method.kind {
        AuthKind::OAuthCode => "OAuth authentication",
        AuthKind::Device => "device flow",
        AuthKind::AccessToken => "access token",
        AuthKind::AppInstallation => "app installation",
    };
    let public = description
        .endpoints
        .known_hosts
        .first()
        .map_or("", |(web, _)| web.as_str());
    let help = method.help_uri.replace("{web}", public);
    wire::AuthMethod {
        kind: common::method(method.kind).into(),
        display_name: format!("{} {way}", description.display_name),
        pkce: method.pkce,
        refreshable: method.kind == AuthKind::OAuthCode,
        help_uri: if help.starts_with("https://") {
            help
        } else {
            String::new()
        },
        ..wire::AuthMethod::default()
    }
}

fn scopes(entry: &bindery_core::provider::PermissionScopes) -> wire::PermissionScopes {
    wire::PermissionScopes {
        permission: common::permission(entry.permission).into(),
        scopes: entry.scopes.clone(),
    }
}

fn capabilities(description: &Description) -> wire::Capabilities {
    let revocation = &description.revocation;
    let can_revoke = description.operations.contains(&OperationKind::Revoke);
    wire::Capabilities {
        token_revocation: can_revoke && revocation.access_token,
        grant_revocation: can_revoke && revocation.oauth,
        grant_shared_by_identity: revocation.kills_siblings,
        ..wire::Capabilities::default()
    }
}
