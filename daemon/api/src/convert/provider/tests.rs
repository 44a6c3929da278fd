use std::{sync::Arc, time::Duration};

use bindery_core::{
    name::ProviderName,
    provider::{
        Endpoints, HookSupport, Permission, RateLimitHeaders, RevocationSupport, SignatureKind,
        SignatureScheme,
    },
};

use super::*;

fn method_of(kind: AuthKind) -> AuthMethod {
    AuthMethod {
        help_uri: "{web}/settings/tokens".to_owned(),
        ..AuthMethod::new(kind)
    }
}

fn token_kind(name: &str, needs_username: bool) -> TokenKind {
    TokenKind {
        name: name.to_owned(),
        prefix: String::new(),
        auth_kind: Some(AuthKind::AccessToken),
        git_username: "oauth2".to_owned(),
        needs_username,
    }
}

fn description() -> Description {
    Description {
        provider: ProviderName::parse("forge").expect("name"),
        version: "1.0.0".to_owned(),
        display_name: "Forge".to_owned(),
        platform_versions: "All".to_owned(),
        trigger_limits: "None".to_owned(),
        operations: vec![OperationKind::Revoke, OperationKind::MintToken],
        endpoints: Endpoints {
            known_hosts: vec![("https://forge.example".to_owned(), String::new())],
            ..Endpoints::default()
        },
        auth_methods: vec![
            AuthMethod {
                token_lifetime: Some(Duration::from_secs(7200)),
                refresh_idle: Some(Duration::from_secs(86_400)),
                ..method_of(AuthKind::OAuthCode)
            },
            method_of(AuthKind::AccessToken),
            method_of(AuthKind::AppInstallation),
        ],
        token_kinds: vec![token_kind("one", true), token_kind("other", false)],
        permissions: vec![bindery_core::provider::PermissionScopes {
            permission: Permission::ReadCode,
            scopes: vec!["repo".to_owned()],
            covered_by: Vec::new(),
        }],
        revocation: RevocationSupport {
            oauth: true,
            ..RevocationSupport::default()
        },
        rate_limits: RateLimitHeaders::default(),
        isolation: String::new(),
        sha256: String::new(),
        edition: String::new(),
        edition_webs: Vec::new(),
        hooks: HookSupport::default(),
        editions: Vec::new(),
        app_install_uri: String::new(),
    }
}

/// What the table of a registry's page says of a provider is there: names, lifetimes, what can be refreshed without a
/// person, and where a token is made.
#[test]
fn methods_are_told_whole() {
    let shown = provider(&description());
    let [code, token, app] = shown.auth_methods.as_slice() else {
        panic!("three methods");
    };
    assert_eq!(code.display_name, "Forge OAuth authentication");
    assert_eq!(code.token_lifetime.map(|time| time.seconds), Some(7200));
    assert_eq!(
        code.refresh_idle_lifetime.map(|time| time.seconds),
        Some(86_400)
    );
    assert!(code.refreshable && app.refreshable && !token.refreshable);
    assert_eq!(token.help_uri, "https://forge.example/settings/tokens");
    let rotating = Description {
        operations: vec![OperationKind::RotateToken],
        ..description()
    };
    let shown = provider(&rotating);
    assert!(shown.auth_methods[1].refreshable && !shown.auth_methods[2].refreshable);
}

/// A user name is required where the login is, and where an e-mail is for every kind of token: not for some kinds only.
#[test]
fn user_names_are_required_where_every_token_needs_one() {
    let required = |user_name: UserName, kinds: &[bool]| {
        let known = Description {
            auth_methods: vec![AuthMethod {
                user_name,
                ..AuthMethod::new(AuthKind::AccessToken)
            }],
            token_kinds: kinds.iter().map(|needs| token_kind("t", *needs)).collect(),
            ..description()
        };
        provider(&known).auth_methods[0].username_required
    };
    assert!(required(UserName::Login, &[false]));
    assert!(required(UserName::Email, &[true, true]));
    assert!(!required(UserName::Email, &[true, false]));
    assert!(!required(UserName::Optional, &[true]));
}

/// Nothing is promised that the provider can't do, and what the daemon does by itself counts.
#[test]
fn capabilities_are_true() {
    let can = |known: &Description| provider(known).capabilities.expect("capabilities");
    let here = can(&description());
    assert!(here.narrowing && here.grant_revocation && !here.token_revocation);
    assert!(!here.webhooks && !here.redelivery);
    let hooked = Description {
        operations: vec![
            OperationKind::CreateHook,
            OperationKind::ListDeliveries,
            OperationKind::Redeliver,
        ],
        hooks: HookSupport {
            schemes: vec![SignatureScheme {
                name: "token".to_owned(),
                kind: SignatureKind::Token,
                header: "x-token".to_owned(),
                prefix: String::new(),
                timestamp_header: String::new(),
                weak: true,
            }],
            hooks_per_repository: 20,
            ..HookSupport::default()
        },
        ..description()
    };
    let can_hook = can(&hooked);
    assert!(can_hook.webhooks && can_hook.redelivery);
    assert_eq!(can_hook.max_webhooks_per_repository, 20);
    let once = Description {
        operations: vec![OperationKind::CreateHook],
        ..hooked.clone()
    };
    assert!(can(&once).webhooks && !can(&once).redelivery);
    let unsigned = Description {
        hooks: HookSupport::default(),
        ..hooked
    };
    assert!(!can(&unsigned).webhooks && !can(&unsigned).redelivery);
    let nothing = Description {
        operations: Vec::new(),
        ..description()
    };
    assert!(!can(&nothing).narrowing && !can(&nothing).grant_revocation);
    let by_endpoint = Description {
        endpoints: Endpoints {
            revoke: "{web}/oauth/revoke".to_owned(),
            ..Endpoints::default()
        },
        ..nothing
    };
    assert!(can(&by_endpoint).grant_revocation);
}

/// Editions are rows of their own: each with its versions, its methods, and where it is found.
#[test]
fn editions_are_rows() {
    let cloud = Description {
        edition: "cloud".to_owned(),
        display_name: "Forge Cloud".to_owned(),
        edition_webs: vec!["https://forge.example".to_owned()],
        auth_methods: vec![method_of(AuthKind::AccessToken)],
        ..description()
    };
    let known = Description {
        editions: vec![Arc::new(cloud)],
        ..description()
    };
    let shown = provider(&known);
    let [edition] = shown.editions.as_slice() else {
        panic!("one edition");
    };
    assert_eq!(
        (edition.name.as_str(), edition.display_name.as_str()),
        ("cloud", "Forge Cloud")
    );
    assert_eq!(edition.web_uris, ["https://forge.example"]);
    assert_eq!(edition.auth_methods.len(), 1);
    assert_eq!(shown.auth_methods.len(), 3);
}
