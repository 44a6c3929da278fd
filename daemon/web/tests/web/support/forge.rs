//! Clock, randomness, and a forge behind egress and the plugin.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, EffectResult, Exchanged, HttpRequest, ProbeReport, Reach,
        RevokeCall, RevokeOutcome, Route, TokenCall, TokenOutcome, TokenReply, Tokens,
    },
    host::{Certificates, HostNetwork},
    name::ProviderName,
    port::{BoxFuture, Clock, Egress, Entropy, Next, Operation, Providers, Started, Step},
    problem::{Problem, Reason},
    provider::{
        AccountKind, AuthKind, AuthMethod, Call, Description, Endpoints, Failure, HookSupport,
        Identity, Input, OperationKind, Output, Permission, PermissionScopes, RateLimitHeaders,
        Ref, RefKind, Revocation, RevocationOutcome, RevocationSupport, Rotation, SignatureKind,
        SignatureScheme, TokenFacts, TokenKind,
    },
    secret::Secret,
    time::Timestamp,
};
use ring::rand::SecureRandom;

use super::lock;

/// A clock that stands still until it is moved.
pub struct FixedClock(pub AtomicU64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _when: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        ring::rand::SystemRandom::new()
            .fill(buffer)
            .expect("randomness");
    }
}

/// The forge behind egress and the plugin.
pub struct Forge {
    /// How often a token endpoint was called.
    pub exchanges: AtomicU64,
    /// How often access was taken back.
    pub revocations: AtomicU64,
    /// Why the token endpoint refuses.
    pub refuses: Mutex<Option<Reason>>,
    /// Whose token it is.
    pub identity: Mutex<Identity>,
    /// Granted scopes.
    pub granted: Mutex<Option<Vec<String>>>,
    description: Mutex<Arc<Description>>,
}

impl Forge {
    /// Changes what the plugin says of its provider.
    pub fn describe_as(&self, change: impl FnOnce(&mut Description)) {
        let mut known = lock(&self.description);
        let mut changed = Description::clone(&known);
        change(&mut changed);
        *known = Arc::new(changed);
    }
}

impl Egress for Forge {
    fn send<'a>(
        &'a self,
        _request: &'a HttpRequest,
        _route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        unreachable!("the plugin of these tests asks for nothing")
    }

    fn token<'a>(&'a self, _call: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        self.exchanges.fetch_add(1, Ordering::SeqCst);
        let outcome = match *lock(&self.refuses) {
            Some(Reason::ClientRefused) => TokenOutcome::ClientRefused,
            Some(Reason::TokenRefused) => TokenOutcome::Refused {
                error: "bad_verification_code".to_owned(),
                dead: false,
            },
            Some(other) => TokenOutcome::NotNow(Problem::new(other, "SENTENCE FOR THE LOG")),
            None => TokenOutcome::Granted(Tokens {
                access_token: Secret::new("gho_BNDRYCANARY".to_owned()),
                refresh_token: None,
                expires_in: None,
                scopes: lock(&self.granted).clone(),
            }),
        };
        Box::pin(async { outcome.into() })
    }

    fn revoke<'a>(&'a self, _call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        unreachable!("the provider of these tests has no revocation endpoint")
    }

    fn authorize_device<'a>(
        &'a self,
        _call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        unreachable!("no page of these tests asks for a code")
    }

    fn probe<'a>(&'a self, _url: &'a str, _reach: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async { ProbeReport::default() })
    }

    fn admit(&self, _reach: Reach<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn certificates(&self, _network: &HostNetwork) -> Certificates {
        Certificates::default()
    }
}

struct Finished;

impl Operation for Finished {
    fn resume(&mut self, _results: Vec<EffectResult>) -> BoxFuture<'_, Result<Step, Failure>> {
        unreachable!("the first step was the last")
    }
}

impl Providers for Forge {
    fn list(&self) -> Vec<Arc<Description>> {
        vec![lock(&self.description).clone()]
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        let known = lock(&self.description).clone();
        (*provider == known.provider).then_some(known)
    }

    fn start<'a>(
        &'a self,
        _provider: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        let output = match call.input {
            Input::Identify => Output::Identity(lock(&self.identity).clone()),
            Input::InspectToken => Output::TokenFacts(TokenFacts {
                scopes: lock(&self.granted).clone(),
                expires: None,
                active: true,
            }),
            Input::Revoke { .. } => {
                self.revocations.fetch_add(1, Ordering::SeqCst);
                Output::Revocation(Revocation {
                    outcome: RevocationOutcome::Done,
                    message: "revoked".to_owned(),
                    action_uri: String::new(),
                })
            }
            Input::ListRefs { .. } => Output::Refs {
                items: vec![Ref {
                    name: "main".to_owned(),
                    kind: RefKind::Branch,
                    commit: "c0ffee".to_owned(),
                    protected: false,
                }],
                next_cursor: String::new(),
            },
            _ => Output::Empty,
        };
        let step = Step {
            partial: Vec::new(),
            cancelled: Vec::new(),
            next: Next::Done(output),
        };
        let operation = Box::new(Finished);
        Box::pin(async { Ok(Started { operation, step }) })
    }
}

fn description() -> Description {
    let needs = |permission, scopes: &[&str]| PermissionScopes {
        permission,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        covered_by: Vec::new(),
    };
    Description {
        provider: ProviderName::parse("github").expect("name"),
        version: "1.0.0".to_owned(),
        display_name: "GitHub".to_owned(),
        platform_versions: String::new(),
        trigger_limits: String::new(),
        operations: vec![
            OperationKind::Identify,
            OperationKind::InspectToken,
            OperationKind::ListRefs,
            OperationKind::Revoke,
        ],
        endpoints: Endpoints {
            api_from_web: "{web}/api/v3".to_owned(),
            authorize: "{web}/login/oauth/authorize".to_owned(),
            token: "{web}/login/oauth/access_token".to_owned(),
            ..Endpoints::default()
        },
        auth_methods: vec![oauth()],
        token_kinds: vec![TokenKind {
            name: "oauth".to_owned(),
            prefix: String::new(),
            auth_kind: None,
            git_username: "x-access-token".to_owned(),
            needs_username: false,
        }],
        permissions: vec![
            needs(Permission::Identity, &[]),
            needs(Permission::Organizations, &["read:org"]),
            needs(Permission::ReadCode, &["repo"]),
            needs(Permission::Webhooks, &["admin:repo_hook"]),
        ],
        revocation: RevocationSupport {
            oauth: true,
            ..RevocationSupport::default()
        },
        rate_limits: RateLimitHeaders::default(),
        isolation: "full".to_owned(),
        sha256: "0".repeat(64),
        edition: String::new(),
        edition_webs: Vec::new(),
        hooks: HookSupport {
            schemes: vec![SignatureScheme {
                name: "hmac-sha256".to_owned(),
                kind: SignatureKind::BodyHmacSha256,
                header: "x-hub-signature-256".to_owned(),
                prefix: "sha256=".to_owned(),
                timestamp_header: String::new(),
                weak: false,
            }],
            event_header: "x-github-event".to_owned(),
            id_headers: vec!["x-github-delivery".to_owned()],
            ..HookSupport::default()
        },
        editions: Vec::new(),
        app_install_uri: String::new(),
    }
}

fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OAuthCode,
        pkce: true,
        basic_client_auth: false,
        scope_separator: " ".to_owned(),
        response_scope_separator: ",".to_owned(),
        rotation: Rotation::Never,
        reuse_is_fatal: false,
        authorize_parameters: Vec::new(),
        help_uri: String::new(),
        dead_grant_errors: Vec::new(),
        errors_with_status_ok: true,
        ..AuthMethod::new(AuthKind::OAuthCode)
    }
}

/// The forge, where the person is `login`.
pub fn forge(login: &str) -> Forge {
    let identity = Identity {
        stable_id: "583231".to_owned(),
        login: login.to_owned(),
        display_name: format!("{login} the person"),
        kind: AccountKind::User,
        web_uri: String::new(),
    };
    let granted = ["read:org", "repo"].map(str::to_owned).to_vec();
    Forge {
        exchanges: AtomicU64::new(0),
        revocations: AtomicU64::new(0),
        refuses: Mutex::new(None),
        identity: Mutex::new(identity),
        granted: Mutex::new(Some(granted)),
        description: Mutex::new(Arc::new(description())),
    }
}
