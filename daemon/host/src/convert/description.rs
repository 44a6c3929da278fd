//! `Description`: what a plugin is

use std::{sync::Arc, time::Duration};

use bindery_core::{
    name::ProviderName,
    provider::{
        AuthKind, AuthMethod, Description, Endpoints, OperationKind, Permission, PermissionScopes,
        RateLimitHeaders, RevocationSupport, Rotation, TokenKind, UserName,
    },
};
use bindery_plugin_abi::frame::{Isolation, Landlock};
use bindery_plugin_proto::v1;
use prost::Message as _;
use thiserror::Error;

use super::{
    check::{Checked, Invalid, at_most, invalid, name, names, optional_name, prose, template, uri},
    hooks::hooks,
};
use crate::{digest::Digest, manifest::Manifest, text};

/// Revision of the messages that this daemon speaks.
pub(crate) const SCHEMA: u32 = 1;

/// Why a description is not accepted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DescriptionError {
    /// No such message.
    #[error("the plugin's description is no Description message")]
    NotDecodable,
    /// A field is not acceptable.
    #[error("the plugin's description is not acceptable: {0}")]
    Field(#[from] Invalid),
    /// It is another plugin.
    #[error(
        "the plugin says that it is {actual}, and its manifest {expected}; install matching files"
    )]
    OtherPlugin {
        /// What the manifest says.
        expected: String,
        /// What the plugin says.
        actual: String,
    },
    /// It speaks other messages.
    #[error("the plugin speaks messages {}..={}, its manifest says {}..={}, and this daemon speaks {SCHEMA}", .plugin.0, .plugin.1, .manifest.0, .manifest.1)]
    Schema {
        /// What the plugin says.
        plugin: (u32, u32),
        /// What the manifest says.
        manifest: (u32, u32),
    },
    /// It offers what its manifest does not.
    #[error("the plugin offers {0}, which its manifest lacks")]
    NotInManifest(String),
}

/// Decodes and checks a description, against the manifest too.
pub(crate) fn description(
    bytes: &[u8],
    manifest: &Manifest,
    sha256: Digest,
    isolation: &'static str,
) -> Result<Description, DescriptionError> {
    let raw = v1::Description::decode(bytes).map_err(|_| DescriptionError::NotDecodable)?;
    check_identity(&raw, manifest)?;
    check_schema(&raw, manifest)?;
    let operations = operations(&raw, manifest)?;
    if let Some(extra) = raw
        .secrets
        .iter()
        .find(|secret| !manifest.secrets.contains(*secret))
    {
        return Err(DescriptionError::NotInManifest(format!(
            "secret '{}'",
            text::clean(extra, 64)
        )));
    }
    Ok(convert(
        raw,
        manifest.name.clone(),
        operations,
        sha256,
        isolation,
    )?)
}

/// What a worker reports, as the API names it.
pub(crate) const fn isolation_name(isolation: Isolation) -> &'static str {
    match (isolation.seccomp, isolation.landlock) {
        (true, Landlock::Fully) => "full",
        (true, Landlock::Partly | Landlock::NotEnforced) => "seccomp",
        (false, _) => "process",
    }
}

fn check_identity(raw: &v1::Description, manifest: &Manifest) -> Result<(), DescriptionError> {
    if raw.provider == manifest.name.as_str() && raw.version == manifest.version.as_str() {
        return Ok(());
    }
    Err(DescriptionError::OtherPlugin {
        expected: format!("{} {}", manifest.name, manifest.version),
        actual: text::clean(&format!("{} {}", raw.provider, raw.version), 160),
    })
}

fn check_schema(raw: &v1::Description, manifest: &Manifest) -> Result<(), DescriptionError> {
    let plugin = (raw.schema_min, raw.schema_max);
    let manifest = (manifest.schema_min, manifest.schema_max);
    if plugin == manifest && (plugin.0..=plugin.1).contains(&SCHEMA) {
        return Ok(());
    }
    Err(DescriptionError::Schema { plugin, manifest })
}

fn operations(
    raw: &v1::Description,
    manifest: &Manifest,
) -> Result<Vec<OperationKind>, DescriptionError> {
    at_most("operations", raw.operations.len(), 64)?;
    let mut operations = Vec::new();
    for operation in &raw.operations {
        let operation = v1::Operation::try_from(*operation).unwrap_or_default();
        let kind = operation_kind(operation)
            .ok_or(invalid("operations", "has an unset or unknown item"))?;
        if !manifest.operations.contains(&kind) {
            return Err(DescriptionError::NotInManifest(format!(
                "operation {}",
                operation.as_str_name()
            )));
        }
        if !operations.contains(&kind) {
            operations.push(kind);
        }
    }
    Ok(operations)
}

const fn operation_kind(operation: v1::Operation) -> Option<OperationKind> {
    Some(match operation {
        v1::Operation::Unspecified => return None,
        v1::Operation::Identify => OperationKind::Identify,
        v1::Operation::InspectToken => OperationKind::InspectToken,
        v1::Operation::ListOrganizations => OperationKind::ListOrganizations,
        v1::Operation::ListRepositories => OperationKind::ListRepositories,
        v1::Operation::GetRepository => OperationKind::GetRepository,
        v1::Operation::ListRefs => OperationKind::ListRefs,
        v1::Operation::Revoke => OperationKind::Revoke,
        v1::Operation::Probe => OperationKind::Probe,
        v1::Operation::MintToken => OperationKind::MintToken,
        v1::Operation::RotateToken => OperationKind::RotateToken,
        v1::Operation::GetInstallation => OperationKind::GetInstallation,
        v1::Operation::ListHooks => OperationKind::ListHooks,
        v1::Operation::CreateHook => OperationKind::CreateHook,
        v1::Operation::UpdateHook => OperationKind::UpdateHook,
        v1::Operation::DeleteHook => OperationKind::DeleteHook,
        v1::Operation::PingHook => OperationKind::PingHook,
        v1::Operation::ListDeliveries => OperationKind::ListDeliveries,
        v1::Operation::Redeliver => OperationKind::Redeliver,
        v1::Operation::ParseDelivery => OperationKind::ParseDelivery,
    })
}

fn convert(
    mut raw: v1::Description,
    provider: ProviderName,
    operations: Vec<OperationKind>,
    sha256: Digest,
    isolation: &'static str,
) -> Checked<Description> {
    let editions = std::mem::take(&mut raw.editions);
    let own = one_edition(raw, provider, operations, sha256, isolation)?;
    at_most("editions", editions.len(), 8)?;
    let editions = editions
        .into_iter()
        .map(|edition| self::edition(edition, &own));
    let editions = editions.collect::<Checked<Vec<_>>>()?;
    Ok(Description { editions, ..own })
}

/// An edition is what its plugin is, but for the data that it may differ in.
fn edition(raw: v1::Description, plugin: &Description) -> Checked<Arc<Description>> {
    name("editions.edition", raw.edition.clone())?;
    at_most("editions.editions", raw.editions.len(), 0)?;
    let own = one_edition(
        raw,
        plugin.provider.clone(),
        plugin.operations.clone(),
        Digest::of(&[]),
        "",
    )?;
    Ok(Arc::new(Description {
        version: plugin.version.clone(),
        isolation: plugin.isolation.clone(),
        sha256: plugin.sha256.clone(),
        ..own
    }))
}

fn one_edition(
    raw: v1::Description,
    provider: ProviderName,
    operations: Vec<OperationKind>,
    sha256: Digest,
    isolation: &'static str,
) -> Checked<Description> {
    Ok(Description {
        provider,
        version: raw.version,
        display_name: prose(&raw.display_name),
        platform_versions: prose(&raw.platform_versions),
        trigger_limits: prose(&raw.trigger_limits),
        operations,
        endpoints: endpoints(raw.endpoints.unwrap_or_default())?,
        auth_methods: each("auth_methods", raw.auth_methods, auth_method)?,
        token_kinds: each("token_kinds", raw.token_kinds, token_kind)?,
        permissions: each("permissions", raw.permissions, permission)?,
        revocation: revocation(raw.revocation.unwrap_or_default())?,
        rate_limits: rate_limits(raw.rate_limits.unwrap_or_default())?,
        isolation: isolation.into(),
        sha256: sha256.to_string(),
        edition: optional_name("edition", raw.edition)?,
        edition_webs: each("edition_webs", raw.edition_webs, pattern)?,
        editions: Vec::new(),
        app_install_uri: template("app_install_uri", raw.app_install_uri)?,
        hooks: hooks(raw.hooks.unwrap_or_default())?,
    })
}

/// A web base in which one label of the host name may be `*`.
fn pattern(value: String) -> Checked<String> {
    let field = "edition_webs";
    let host = value.split('/').nth(2).unwrap_or_default();
    let stars = value.matches('*').count();
    let label = host.split('.').filter(|label| *label == "*").count();
    if stars > 1 || label != stars {
        return Err(invalid(field, "has '*' elsewhere than as one label"));
    }
    uri(field, value.replacen('*', "x", 1)).map(|_| value)
}

fn each<T, U>(field: &'static str, items: Vec<T>, convert: fn(T) -> Checked<U>) -> Checked<Vec<U>> {
    at_most(field, items.len(), 32)?;
    items.into_iter().map(convert).collect()
}

fn endpoints(raw: v1::Endpoints) -> Checked<Endpoints> {
    Ok(Endpoints {
        api_from_web: template("endpoints.api_from_web", raw.api_from_web)?,
        authorize: template("endpoints.authorize", raw.authorize)?,
        token: template("endpoints.token", raw.token)?,
        revoke: template("endpoints.revoke", raw.revoke)?,
        device: template("endpoints.device", raw.device)?,
        known_hosts: each("endpoints.known_hosts", raw.known_hosts, |host| {
            Ok((pattern(host.web)?, pattern(host.api)?))
        })?,
    })
}

fn auth_method(raw: v1::AuthMethod) -> Checked<AuthMethod> {
    let or_space = |separator: String| {
        if separator.is_empty() {
            " ".into()
        } else {
            separator
        }
    };
    Ok(AuthMethod {
        kind: auth_kind(raw.kind()).ok_or(invalid("auth_methods.kind", "is not set"))?,
        pkce: raw.pkce() == v1::PkceSupport::S256,
        basic_client_auth: raw.client_authentication() == v1::ClientAuthentication::Basic,
        rotation: match raw.rotation() {
            v1::RefreshRotation::Never => Rotation::Never,
            v1::RefreshRotation::Always => Rotation::Always,
            v1::RefreshRotation::Configurable | v1::RefreshRotation::Unspecified => {
                Rotation::Configurable
            }
        },
        user_name: match raw.user_name() {
            v1::UserName::Unspecified => UserName::Optional,
            v1::UserName::Login => UserName::Login,
            v1::UserName::Email => UserName::Email,
        },
        reuse_is_fatal: raw.reuse() != v1::RefreshReuse::Graceful,
        scope_separator: or_space(optional_name(
            "auth_methods.scope_separator",
            raw.scope_separator,
        )?),
        response_scope_separator: or_space(optional_name(
            "auth_methods.response_scope_separator",
            raw.response_scope_separator,
        )?),
        authorize_parameters: each("authorize_parameters", raw.authorize_parameters, parameter)?,
        help_uri: template("auth_methods.help_uri", raw.help_uri)?,
        dead_grant_errors: names("dead_grant_errors", raw.dead_grant_errors, 32)?,
        errors_with_status_ok: raw.errors_with_status_ok,
        display_name: prose(&raw.display_name),
        token_lifetime: seconds(raw.token_lifetime_s),
        refresh_idle: seconds(raw.refresh_idle_s),
        scopes_fixed_by_client: raw.scopes_fixed_by_client,
        redirect_uri_on_refresh: raw.redirect_uri_on_refresh,
        scopes_member: match raw.scopes_member.as_str() {
            "" => "scope".into(),
            _ => name("auth_methods.scopes_member", raw.scopes_member)?,
        },
    })
}

fn seconds(value: u64) -> Option<Duration> {
    const LONGEST: u64 = 10 * 366 * 86_400;
    (value != 0).then(|| Duration::from_secs(value.min(LONGEST)))
}

/// Parameters that make the flow what it is are the daemon's alone.
fn parameter(raw: v1::PlainHeader) -> Checked<(String, String)> {
    const OURS: [&str; 8] = [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "request_uri",
        "response_type",
        "scope",
        "state",
    ];
    let key = name("authorize_parameters.name", raw.name)?;
    if OURS.contains(&key.as_str()) {
        return Err(invalid(
            "authorize_parameters.name",
            "is one that the daemon sets",
        ));
    }
    Ok((key, optional_name("authorize_parameters.value", raw.value)?))
}

const fn auth_kind(kind: v1::AuthKind) -> Option<AuthKind> {
    Some(match kind {
        v1::AuthKind::Unspecified => return None,
        v1::AuthKind::OauthCode => AuthKind::OAuthCode,
        v1::AuthKind::Device => AuthKind::Device,
        v1::AuthKind::AccessToken => AuthKind::AccessToken,
        v1::AuthKind::AppInstallation => AuthKind::AppInstallation,
    })
}

fn token_kind(raw: v1::TokenKind) -> Checked<TokenKind> {
    Ok(TokenKind {
        auth_kind: auth_kind(raw.auth_kind()),
        name: name("token_kinds.name", raw.name)?,
        prefix: optional_name("token_kinds.prefix", raw.prefix)?,
        git_username: optional_name("token_kinds.git_username", raw.git_username)?,
        needs_username: raw.needs_username,
    })
}

fn permission(raw: v1::PermissionScopes) -> Checked<PermissionScopes> {
    let permission = match raw.permission() {
        v1::Permission::Unspecified => return Err(invalid("permissions.permission", "is not set")),
        v1::Permission::Identity => Permission::Identity,
        v1::Permission::Organizations => Permission::Organizations,
        v1::Permission::ReadCode => Permission::ReadCode,
        v1::Permission::WriteCode => Permission::WriteCode,
        v1::Permission::Webhooks => Permission::Webhooks,
    };
    let scopes = names("permissions.scopes", raw.scopes, 32)?;
    Ok(PermissionScopes {
        permission,
        scopes,
        covered_by: names("permissions.covered_by", raw.covered_by, 32)?,
    })
}

fn revocation(raw: v1::RevocationSupport) -> Checked<RevocationSupport> {
    Ok(RevocationSupport {
        oauth: raw.oauth,
        access_token: raw.access_token,
        oauth_page: template("revocation.oauth_page", raw.oauth_page)?,
        access_token_page: template("revocation.access_token_page", raw.access_token_page)?,
        kills_siblings: raw.kills_siblings,
    })
}

fn rate_limits(raw: v1::RateLimitHeaders) -> Checked<RateLimitHeaders> {
    let header = |value: String| optional_name("rate_limits", value.to_ascii_lowercase());
    Ok(RateLimitHeaders {
        limit: header(raw.limit)?,
        remaining: header(raw.remaining)?,
        reset: header(raw.reset)?,
    })
}
