//! A plugin, scripted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    exchange::{Answer, Capture, Effect, EffectKind, EffectResult, HttpRequest},
    name::ProviderName,
    port::{BoxFuture, Next, Operation, Providers, Started, Step},
    provider::{
        AccountKind, AuthKind, AuthMethod, Call, Description, Endpoints, Failure, FailureCode,
        HookSupport, Identity, Input, Installation, MINTED_TOKEN, Minted, OperationKind, Output,
        Permission, PermissionScopes, ROTATED_TOKEN, RateLimitHeaders, Revocation,
        RevocationOutcome, RevocationSupport, Rotation, TokenFacts, TokenKind,
    },
};
use tokio::sync::watch;

type Look = Box<dyn Fn(&Call) + Send + Sync>;
type Reply = Box<dyn Fn(&Call) -> Result<Output, Failure> + Send + Sync>;

/// A plugin that answers at once.
pub(crate) struct ScriptedPlugin {
    answers: Mutex<BTreeMap<&'static str, Reply>>,
    watched: Mutex<BTreeMap<&'static str, Look>>,
    pub(crate) calls: Mutex<Vec<OperationKind>>,
    client_secret: Mutex<Option<&'static str>>,
    held: watch::Sender<bool>,
    description: Mutex<Arc<Description>>,
    unloaded: AtomicBool,
}

impl ScriptedPlugin {
    pub(super) fn new() -> Self {
        Self {
            answers: Mutex::default(),
            watched: Mutex::default(),
            calls: Mutex::default(),
            client_secret: Mutex::default(),
            held: watch::channel(false).0,
            description: Mutex::new(Arc::new(description())),
            unloaded: AtomicBool::new(false),
        }
    }

    /// Changes what the plugin says of its provider.
    pub(crate) fn describe_as(&self, change: impl FnOnce(&mut Description)) {
        let mut known = self.description.lock().expect("lock");
        let mut changed = Description::clone(&known);
        change(&mut changed);
        *known = Arc::new(changed);
    }

    /// Whether the plugin is there at all.
    pub(crate) fn load(&self, loaded: bool) {
        self.unloaded.store(!loaded, Ordering::SeqCst);
    }

    /// Holds every answer until [`Self::release`].
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// The forge ends a token for this client secret only.
    pub(crate) fn revokes_for(&self, client_secret: &'static str) {
        *self.client_secret.lock().expect("lock") = Some(client_secret);
    }

    /// What stands between a call and its answer: the client secret is compared by the daemon, for no plugin sees one.
    fn client_check(&self, call: &Call) -> Option<Effect> {
        let expected = (*self.client_secret.lock().expect("lock"))?;
        matches!(call.input, Input::Revoke { .. }).then(|| Effect {
            id: 1,
            kind: EffectKind::VerifyMac {
                secret: "client_secret".to_owned(),
                algorithm: "equal".to_owned(),
                message: Vec::new(),
                mac: expected.as_bytes().to_vec(),
            },
        })
    }

    /// How often an operation was asked for.
    pub(crate) fn count(&self, operation: OperationKind) -> usize {
        let calls = self.calls.lock().expect("lock");
        calls.iter().filter(|kind| **kind == operation).count()
    }

    pub(crate) fn on(
        &self,
        operation: &'static str,
        answer: impl Fn(&Call) -> Result<Output, Failure> + Send + Sync + 'static,
    ) {
        self.answers().insert(operation, Box::new(answer));
    }

    /// Looks at the calls of an operation, and leaves the answer as it is.
    pub(crate) fn watch(
        &self,
        operation: &'static str,
        look: impl Fn(&Call) + Send + Sync + 'static,
    ) {
        self.watched
            .lock()
            .expect("lock")
            .insert(operation, Box::new(look));
    }

    /// Answers an operation as at first.
    pub(crate) fn forget(&self, operation: &'static str) {
        self.answers().remove(operation);
    }

    /// Whatever an answer did: one may panic on purpose.
    fn answers(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Reply>> {
        let answers = self.answers.lock();
        answers.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn answer(&self, call: &Call) -> Result<Output, Failure> {
        let name = format!("{:?}", call.input.kind());
        if let Some(look) = self.watched.lock().expect("lock").get(name.as_str()) {
            look(call);
        }
        if let Some(answer) = self.answers().get(name.as_str()) {
            return answer(call);
        }
        Ok(match call.input {
            Input::Identify => Output::Identity(octo()),
            Input::InspectToken => Output::TokenFacts(TokenFacts {
                scopes: None,
                expires: None,
                active: true,
            }),
            Input::Revoke { .. } => Output::Revocation(Revocation {
                outcome: RevocationOutcome::Done,
                message: "revoked".to_owned(),
                action_uri: String::new(),
            }),
            Input::MintToken {
                ref repositories, ..
            } => Output::Minted(Minted {
                expires: call.now.after(Duration::from_secs(3600)),
                narrowed: !repositories.is_empty(),
                scopes: Vec::new(),
            }),
            // As every plugin on the SDK answers.
            Input::RotateToken { expires } => Output::TokenFacts(TokenFacts {
                scopes: None,
                expires,
                active: true,
            }),
            Input::GetInstallation {
                ref installation_id,
                ..
            } => Output::Installation(installation(installation_id)),
            _ => Output::Empty,
        })
    }
}

/// An installation on the organization `tools`.
pub(crate) fn installation(id: &str) -> Installation {
    Installation {
        installation_id: id.to_owned(),
        account: Identity {
            stable_id: "9".to_owned(),
            login: "tools".to_owned(),
            kind: AccountKind::Organization,
            ..octo()
        },
        scopes: vec!["contents:read".to_owned()],
        suspended: false,
        all_repositories: true,
        web_uri: "https://forge.example/tools/installation".to_owned(),
    }
}

pub(crate) fn octo() -> Identity {
    Identity {
        stable_id: "583231".to_owned(),
        login: "octo".to_owned(),
        display_name: "Octo".to_owned(),
        kind: AccountKind::User,
        web_uri: "https://forge.example/octo".to_owned(),
    }
}

pub(crate) fn failure(code: FailureCode) -> Failure {
    Failure {
        code,
        message: "provider(forge): no".to_owned(),
        http_status: 0,
        retry_after: None,
        missing_scopes: Vec::new(),
        action_uri: String::new(),
    }
}

impl Providers for ScriptedPlugin {
    fn list(&self) -> Vec<Arc<Description>> {
        vec![Arc::clone(&self.description.lock().expect("lock"))]
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        let known = self.description.lock().expect("lock");
        let there = provider.as_str() == "forge" && !self.unloaded.load(Ordering::SeqCst);
        there.then(|| Arc::clone(&known))
    }

    fn start<'a>(
        &'a self,
        _: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        self.calls.lock().expect("lock").push(call.input.kind());
        let mut held = self.held.subscribe();
        Box::pin(async move {
            held.wait_for(|held| !held).await.expect("the plugin lives");
            let answer = self.answer(&call);
            let asked = self
                .client_check(&call)
                .or_else(|| new_token(&call, &answer));
            let (last, next) = match asked {
                Some(check) => (Some(answer?), Next::Effects(vec![check])),
                None => (None, Next::Done(answer?)),
            };
            Ok(Started {
                operation: Box::new(Checking(last)),
                step: step(next),
            })
        })
    }
}

/// A token that is made comes in an answer, and is captured there.
fn new_token(call: &Call, answer: &Result<Output, Failure>) -> Option<Effect> {
    let secret = match (&call.input, answer) {
        (Input::MintToken { .. }, Ok(_)) => MINTED_TOKEN,
        (Input::RotateToken { .. }, Ok(_)) => ROTATED_TOKEN,
        // The forge gets the secret of a hook with the request; nothing is captured.
        (Input::CreateHook { .. } | Input::UpdateHook { .. }, Ok(_)) => "",
        _ => return None,
    };
    let capture = Capture {
        pointer: "/token".to_owned(),
        secret: secret.to_owned(),
    };
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: "https://forge.example/api/tokens".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        capture: [capture]
            .into_iter()
            .filter(|one| !one.secret.is_empty())
            .collect(),
        max_response_bytes: 0,
    };
    Some(Effect {
        id: 1,
        kind: EffectKind::Http(request),
    })
}

fn step(next: Next) -> Step {
    Step {
        partial: Vec::new(),
        cancelled: Vec::new(),
        next,
    }
}

/// The answer of an operation that asked for a check of the client secret.
struct Checking(Option<Output>);

impl Operation for Checking {
    fn resume(&mut self, results: Vec<EffectResult>) -> BoxFuture<'_, Result<Step, Failure>> {
        let answer = self
            .0
            .take()
            .expect("the scripted plugin asks for one effect");
        let taken = results
            .iter()
            .all(|one| matches!(one.answer, Answer::Verified(true) | Answer::Http(_)));
        let outcome = if taken {
            Ok(step(Next::Done(answer)))
        } else {
            Err(failure(FailureCode::ClientRefused))
        };
        Box::pin(async { outcome })
    }
}

fn description() -> Description {
    let method = |kind| AuthMethod {
        kind,
        pkce: true,
        basic_client_auth: false,
        scope_separator: " ".to_owned(),
        response_scope_separator: " ".to_owned(),
        rotation: Rotation::Always,
        reuse_is_fatal: true,
        authorize_parameters: Vec::new(),
        help_uri: "{web}/tokens".to_owned(),
        dead_grant_errors: Vec::new(),
        errors_with_status_ok: false,
        ..AuthMethod::new(kind)
    };
    let needs = |permission, scope: &str| PermissionScopes {
        permission,
        scopes: vec![scope.to_owned()],
        covered_by: Vec::new(),
    };
    Description {
        provider: ProviderName::parse("forge").expect("name"),
        version: "1.0.0".to_owned(),
        display_name: "Forge".to_owned(),
        platform_versions: "All".to_owned(),
        trigger_limits: "None".to_owned(),
        operations: vec![
            OperationKind::ListOrganizations,
            OperationKind::ListRepositories,
        ],
        endpoints: Endpoints {
            api_from_web: "{web}/api".to_owned(),
            authorize: "{web}/authorize".to_owned(),
            token: "{web}/token".to_owned(),
            device: "{web}/device/code".to_owned(),
            ..Endpoints::default()
        },
        auth_methods: vec![
            method(AuthKind::OAuthCode),
            method(AuthKind::AccessToken),
            method(AuthKind::Device),
            method(AuthKind::AppInstallation),
        ],
        token_kinds: vec![
            TokenKind {
                name: "app".to_owned(),
                prefix: "fa_".to_owned(),
                auth_kind: Some(AuthKind::OAuthCode),
                git_username: "{login}".to_owned(),
                needs_username: false,
            },
            TokenKind {
                name: "any".to_owned(),
                prefix: String::new(),
                auth_kind: None,
                git_username: "{login}".to_owned(),
                needs_username: false,
            },
        ],
        permissions: vec![
            needs(Permission::Identity, "user"),
            needs(Permission::ReadCode, "repo"),
        ],
        revocation: RevocationSupport {
            oauth: true,
            kills_siblings: true,
            ..RevocationSupport::default()
        },
        rate_limits: RateLimitHeaders::default(),
        isolation: "full".to_owned(),
        sha256: String::new(),
        edition: String::new(),
        edition_webs: Vec::new(),
        hooks: HookSupport::default(),
        editions: Vec::new(),
        app_install_uri: "{web}/apps/{app_slug}/new".to_owned(),
    }
}
