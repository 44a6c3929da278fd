//! The forges of a run: how each does OAuth, and what its plugin says about that.

use std::{sync::Arc, time::Duration};

use bindery_core::{
    name::ProviderName,
    provider::{
        AuthKind, AuthMethod, Description, Endpoints, HookSupport, OperationKind, RateLimitHeaders,
        RevocationSupport, Rotation as Described, TokenKind,
    },
};
use bindery_twins::{
    bitbucket, gitea, gitee, gitlab,
    oauth::{Pkce, Refreshing, Reply, Reuse, Rotation, Rules, Shape},
};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// One kind of forge.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// Its name, which is its provider's too.
    pub(crate) name: &'static str,
    /// What the twin does.
    pub(crate) rules: Rules,
    /// Error codes that its plugin says to mean a dead grant, besides `invalid_grant`.
    dead: &'static [&'static str],
}

/// All kinds, with the rotation rules of PROVIDERS: dead at once, dead with the family, with grace, never.
pub(crate) fn kinds() -> Vec<Kind> {
    let kind = |name, rules, dead| Kind { name, rules, dead };
    vec![
        kind("github", github(), &["bad_refresh_token"][..]),
        kind("gitlab", gitlab::rules(), &[]),
        kind("bitbucket", bitbucket::cloud::rules(), &[]),
        kind("bitbucket-dc", bitbucket::data_center::rules(), &[]),
        kind("gitee", gitee::rules(), &[]),
        kind("gitea", gitea::rules(false), &["unauthorized_client"]),
        kind("gitea-strict", gitea::rules(true), &["unauthorized_client"]),
        kind("strict", Rules::strict(), &[]),
    ]
}

fn rotating(idle_ms: Option<u64>, reuse: Reuse, old_access_dies: bool) -> Option<Refreshing> {
    Some(Refreshing {
        shape: Shape::opaque("", 64),
        idle_ms,
        rotation: Rotation::Always { reuse },
        old_access_dies,
    })
}

/// OAuth apps in the expiry mode of 2026: eight hours, six months, and both old tokens die at once.
fn github() -> Rules {
    Rules {
        pkce: Pkce::Optional,
        access_ms: Some(8 * HOUR),
        refreshing: rotating(Some(182 * DAY), Reuse::Refused, true),
        reply: Reply {
            errors_with_200: true,
            ..Reply::rfc()
        },
        ..Rules::strict()
    }
}

impl Kind {
    /// What its plugin says about it.
    pub(crate) fn description(&self) -> Arc<Description> {
        let provider = ProviderName::parse(self.name).expect("a provider's name");
        Arc::new(Description {
            provider,
            version: "1.0.0".to_owned(),
            display_name: self.name.to_owned(),
            platform_versions: String::new(),
            trigger_limits: String::new(),
            operations: vec![
                OperationKind::Identify,
                OperationKind::InspectToken,
                OperationKind::Revoke,
            ],
            endpoints: Endpoints {
                api_from_web: "{web}/api".to_owned(),
                authorize: "{web}/authorize".to_owned(),
                token: "{web}/token".to_owned(),
                revoke: self.revocation("{web}/revoke"),
                ..Endpoints::default()
            },
            auth_methods: vec![self.method()],
            token_kinds: vec![TokenKind {
                name: "oauth".to_owned(),
                prefix: String::new(),
                auth_kind: None,
                git_username: "oauth2".to_owned(),
                needs_username: false,
            }],
            permissions: Vec::new(),
            revocation: RevocationSupport {
                oauth: self.rules.revocation.is_some(),
                oauth_page: "{web}/authorizations".to_owned(),
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
        })
    }

    /// Where tokens are revoked, if that is possible.
    fn revocation(&self, endpoint: &str) -> String {
        let there = self.rules.revocation.map(|_| endpoint.to_owned());
        there.unwrap_or_default()
    }

    fn method(&self) -> AuthMethod {
        let refreshing = self.rules.refreshing.as_ref();
        let (rotation, fatal) = match refreshing.map(|rules| rules.rotation) {
            Some(Rotation::Always {
                reuse: Reuse::Grace { .. },
            }) => (Described::Always, false),
            Some(Rotation::Always { .. }) => (Described::Always, true),
            Some(Rotation::Never { .. }) | None => (Described::Never, false),
        };
        AuthMethod {
            rotation,
            reuse_is_fatal: fatal,
            dead_grant_errors: self.dead.iter().map(|&code| code.to_owned()).collect(),
            token_lifetime: self.rules.access_ms.map(Duration::from_millis),
            refresh_idle: refreshing
                .and_then(|rules| rules.idle_ms)
                .map(Duration::from_millis),
            ..AuthMethod::new(AuthKind::OAuthCode)
        }
    }
}
