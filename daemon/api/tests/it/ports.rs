//! A forge and its plugin in memory; the vault is the real one.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_api::{
    AddedSlot, AdminPort, BackupFacts, BackupPort, CheckFacts, Compacted, EpochFacts, KeptFacts,
    KeysPort, Outcome, PluginFacts, PluginState, RotateWish, Rotated, SlotFacts, SlotKind,
    SlotWish, StatusFacts, StoreVerdict, UnsealProgress, UnsealWith,
};
use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, Exchanged, HttpRequest, Post, ProbeReport, Reach,
        RevokeCall, RevokeOutcome, Route, TokenCall, TokenOutcome, TokenReply,
    },
    host::{Certificates, HostNetwork},
    name::ProviderName,
    port::{BoxFuture, Clock, Egress, Entropy, Next, Operation, Providers, Started, Step},
    problem::{Problem, Reason},
    provider::{
        AccountKind, AuthKind, AuthMethod, Call, Description, Endpoints, Failure, FailureCode,
        HookFacts, HookSupport, Identity, Input, OperationKind, Organization, OrganizationAccess,
        Output, Permission, PermissionScopes, RateLimitHeaders, Ref, RefKind, Repository,
        Revocation, RevocationOutcome, RevocationSupport, Rotation, ServerFacts, SignatureKind,
        SignatureScheme, TokenFacts, TokenKind,
    },
    secret::Secret,
    time::Timestamp,
};
use ring::rand::{SecureRandom, SystemRandom};

/// Goes on only when it is told to.
#[derive(Default)]
pub(crate) struct FixedClock(AtomicU64);

impl FixedClock {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(1_790_000_000_000))
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        SystemRandom::new().fill(buffer).expect("random");
    }
}

/// A forge whose plugin answers at once.
#[derive(Default)]
pub(crate) struct Forge {
    /// Operations that were asked for.
    pub(crate) asked: Mutex<Vec<OperationKind>>,
    /// The webhooks of its one repository that has any.
    pub(crate) hooks: Mutex<Vec<HookFacts>>,
}

impl Egress for Forge {
    fn send<'a>(
        &'a self,
        _: &'a HttpRequest,
        _: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        Box::pin(async {
            Err(Problem::new(
                Reason::HostUnreachable,
                "nothing is sent in these tests",
            ))
        })
    }

    fn token<'a>(&'a self, _: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        let problem = Problem::new(Reason::HostUnreachable, "nothing is sent in these tests");
        Box::pin(async { TokenOutcome::NotNow(problem).into() })
    }

    fn revoke<'a>(&'a self, _: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        Box::pin(async { RevokeOutcome::Done })
    }

    fn authorize_device<'a>(
        &'a self,
        call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        let given = DeviceAuthorization {
            device_code: Secret::new("BNDRYCANARYdevice".into()),
            user_code: Secret::new("WDJB-MJHT".into()),
            verification_uri: call.endpoint.replace("/code", ""),
            expires_in: Duration::from_secs(900),
            interval: Duration::from_secs(5),
        };
        Box::pin(async { Ok(given) })
    }

    fn probe<'a>(&'a self, _: &'a str, _: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        let failed = Problem::new(
            Reason::HostUnreachable,
            "no answer; check address and firewall",
        );
        let report = ProbeReport {
            dns: Some(Ok("192.0.2.1".to_owned())),
            tcp: Some(Err(failed)),
            ..ProbeReport::default()
        };
        Box::pin(async { report })
    }

    fn admit(&self, reach: Reach<'_>) -> Result<(), Problem> {
        match reach.host.web_url.starts_with("https://") {
            true => Ok(()),
            false => Err(Problem::new(
                Reason::InvalidArgument,
                "the URL must start with https://",
            )),
        }
    }

    /// A CA bundle that is there has ended long ago.
    fn certificates(&self, network: &HostNetwork) -> Certificates {
        let given = !network.ca_bundle_pem.is_empty();
        Certificates {
            bundle_expires: given.then(Timestamp::default),
            ..Certificates::default()
        }
    }

    fn admit_post(&self, url: &str) -> Result<(), Problem> {
        match url.starts_with("https://") {
            true => Ok(()),
            false => Err(Problem::new(Reason::HostPortForbidden, "allowed is https")),
        }
    }

    fn post<'a>(&'a self, _: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        Box::pin(async { Ok(204) })
    }
}

impl Providers for Forge {
    fn list(&self) -> Vec<Arc<Description>> {
        vec![Arc::new(description())]
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        (provider.as_str() == "gitea").then(|| Arc::new(description()))
    }

    fn start<'a>(
        &'a self,
        _: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        self.asked.lock().expect("lock").push(call.input.kind());
        let answer = self.hook_answer(&call.input);
        let answer = answer.unwrap_or_else(|| answer_of(call.input));
        let answer = answer.map(|output| Started {
            operation: Box::new(Over),
            step: Step {
                partial: Vec::new(),
                cancelled: Vec::new(),
                next: Next::Done(output),
            },
        });
        Box::pin(async { answer })
    }
}

struct Over;

impl Operation for Over {
    fn resume(
        &mut self,
        _: Vec<bindery_core::exchange::EffectResult>,
    ) -> BoxFuture<'_, Result<Step, Failure>> {
        unreachable!("every operation ends with its first step")
    }
}

impl Forge {
    /// What it says about the webhooks of `acme/built`; `None` for all else.
    fn hook_answer(&self, input: &Input) -> Option<Result<Output, Failure>> {
        let mut hooks = self.hooks.lock().expect("lock");
        let output = match input {
            Input::GetRepository { repository: name }
                if name == "acme/built" || name == "id:built" =>
            {
                Output::Repository(Repository {
                    can_administer: true,
                    ..repository("built")
                })
            }
            Input::ListHooks { .. } => Output::Hooks(hooks.clone()),
            Input::CreateHook { hook, .. } => {
                let facts = HookFacts {
                    hook_id: format!("hook-{}", hooks.len()),
                    url: hook.url.clone(),
                    active: true,
                    web_uri: "https://forge.example/acme/built/hooks".into(),
                    ..HookFacts::default()
                };
                hooks.push(facts.clone());
                Output::Hook(facts)
            }
            Input::UpdateHook { hook_id, hook, .. } => {
                let known = hooks.iter_mut().find(|facts| facts.hook_id == *hook_id);
                let Some(known) = known else {
                    return Some(Err(missing()));
                };
                known.url.clone_from(&hook.url);
                Output::Hook(known.clone())
            }
            Input::DeleteHook { hook_id, .. } => {
                let before = hooks.len();
                hooks.retain(|facts| facts.hook_id != *hook_id);
                let outcome = if hooks.len() < before {
                    RevocationOutcome::Done
                } else {
                    RevocationOutcome::AlreadyAbsent
                };
                Output::Revocation(Revocation {
                    outcome,
                    message: String::new(),
                    action_uri: String::new(),
                })
            }
            _ => return None,
        };
        Some(Ok(output))
    }
}

fn answer_of(input: Input) -> Result<Output, Failure> {
    Ok(match input {
        Input::Identify => Output::Identity(Identity {
            stable_id: "7".into(),
            login: "octo".into(),
            display_name: "Octo".into(),
            kind: AccountKind::Bot,
            web_uri: "https://forge.example/octo".into(),
        }),
        Input::InspectToken => Output::TokenFacts(TokenFacts {
            scopes: Some(vec!["read".into(), "write".into(), "orgs".into()]),
            expires: None,
            active: true,
        }),
        Input::ListOrganizations { .. } => Output::Organizations {
            items: ["acme", "tools", "labs"].map(organization).into(),
            partial: false,
            partial_reason: String::new(),
            partial_uri: String::new(),
        },
        Input::ListRepositories { cursor, .. } => Output::Repositories {
            items: vec![repository(if cursor.is_empty() { "api" } else { "web" })],
            next_cursor: if cursor.is_empty() {
                "page=2".into()
            } else {
                String::new()
            },
            partial: false,
        },
        Input::GetRepository { repository: name } => match name.as_str() {
            "acme/api" | "id:api" => Output::Repository(repository("api")),
            _ => return Err(missing()),
        },
        Input::ListRefs { .. } => Output::Refs {
            items: vec![Ref {
                name: "main".into(),
                kind: RefKind::Branch,
                commit: "c0ffee".into(),
                protected: true,
            }],
            next_cursor: String::new(),
        },
        Input::Revoke { .. } => Output::Revocation(Revocation {
            outcome: RevocationOutcome::Impossible,
            message: "a person must do it".into(),
            action_uri: "https://forge.example/settings".into(),
        }),
        Input::MintToken { .. }
        | Input::RotateToken { .. }
        | Input::GetInstallation { .. }
        | Input::ListHooks { .. }
        | Input::CreateHook { .. }
        | Input::UpdateHook { .. }
        | Input::DeleteHook { .. }
        | Input::PingHook { .. }
        | Input::ListDeliveries { .. }
        | Input::Redeliver { .. }
        | Input::ParseDelivery { .. } => {
            return Err(Failure {
                code: FailureCode::Unsupported,
                message: "this forge has neither apps, nor tokens that rotate, nor hooks".into(),
                http_status: 0,
                retry_after: None,
                missing_scopes: Vec::new(),
                action_uri: String::new(),
            });
        }
        Input::Probe => Output::Server(ServerFacts {
            app_slug: String::new(),
            version: "1.24.0".into(),
            product: "Gitea".into(),
        }),
    })
}

fn missing() -> Failure {
    Failure {
        code: FailureCode::NotFound,
        message: "provider(gitea): no such repository".into(),
        http_status: 404,
        retry_after: Some(Duration::from_secs(3)),
        missing_scopes: Vec::new(),
        action_uri: String::new(),
    }
}

fn organization(login: &str) -> Organization {
    Organization {
        role: String::new(),
        stable_id: login.to_owned(),
        login: login.to_owned(),
        display_name: String::new(),
        access: OrganizationAccess::Granted,
        reason: String::new(),
        who: None,
        action_uri: String::new(),
    }
}

fn repository(name: &str) -> Repository {
    Repository {
        stable_id: name.to_owned(),
        full_name: format!("acme/{name}"),
        clone_uri: format!("https://forge.example/acme/{name}.git"),
        web_uri: format!("https://forge.example/acme/{name}"),
        default_branch: "main".into(),
        description: String::new(),
        private: true,
        archived: false,
        can_read: true,
        can_write: true,
        can_administer: false,
        display_name: "The built one".into(),
        ssh_uri: format!("git@forge.example:acme/{name}.git"),
        fork: true,
        updated: Some(Timestamp::from_unix_ms(7_000)),
        internal: true,
    }
}

fn description() -> Description {
    let method = |kind| AuthMethod {
        kind,
        pkce: true,
        basic_client_auth: false,
        scope_separator: " ".into(),
        response_scope_separator: " ".into(),
        rotation: Rotation::Always,
        reuse_is_fatal: true,
        authorize_parameters: Vec::new(),
        help_uri: "{web}/user/settings/applications".into(),
        dead_grant_errors: vec!["invalid_grant".into()],
        errors_with_status_ok: false,
        ..AuthMethod::new(kind)
    };
    let scope = |permission, scope: &str| PermissionScopes {
        permission,
        scopes: vec![scope.to_owned()],
        covered_by: Vec::new(),
    };
    Description {
        provider: ProviderName::parse("gitea").expect("name"),
        version: "0.1.0".into(),
        display_name: "Gitea".into(),
        platform_versions: "1.20 and later".into(),
        trigger_limits: "None".into(),
        operations: vec![
            OperationKind::Identify,
            OperationKind::Revoke,
            OperationKind::ListHooks,
            OperationKind::CreateHook,
            OperationKind::UpdateHook,
            OperationKind::DeleteHook,
        ],
        endpoints: Endpoints {
            api_from_web: "{web}/api/v1".into(),
            authorize: "{web}/login/oauth/authorize".into(),
            token: "{web}/login/oauth/access_token".into(),
            device: "{web}/login/device/code".into(),
            ..Endpoints::default()
        },
        auth_methods: vec![
            method(AuthKind::OAuthCode),
            method(AuthKind::AccessToken),
            method(AuthKind::Device),
            method(AuthKind::AppInstallation),
        ],
        token_kinds: vec![TokenKind {
            name: "token".into(),
            prefix: String::new(),
            auth_kind: None,
            git_username: "{login}".into(),
            needs_username: false,
        }],
        permissions: vec![
            scope(Permission::Organizations, "orgs"),
            scope(Permission::ReadCode, "read"),
            scope(Permission::WriteCode, "write"),
        ],
        revocation: RevocationSupport::default(),
        rate_limits: RateLimitHeaders::default(),
        isolation: "none".into(),
        sha256: "00".into(),
        edition: String::new(),
        edition_webs: Vec::new(),
        hooks: HookSupport {
            schemes: vec![SignatureScheme {
                name: "hmac-sha256".into(),
                kind: SignatureKind::BodyHmacSha256,
                header: "x-gitea-signature".into(),
                prefix: String::new(),
                timestamp_header: String::new(),
                weak: false,
            }],
            ..HookSupport::default()
        },
        editions: Vec::new(),
        app_install_uri: String::new(),
    }
}

/// An operator's view with one good and one broken plugin.
pub(crate) struct Operator;

/// Backups that hold the word `whole`; the passphrase decides whether they open.
impl BackupPort for Operator {
    fn kept(&self) -> BoxFuture<'_, KeptFacts> {
        Box::pin(async { KeptFacts::default() })
    }

    fn backup(
        &self,
        passphrase: Option<Secret>,
        out: tokio::sync::mpsc::Sender<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>> {
        Box::pin(async move {
            for piece in [b"who".to_vec(), b"le".to_vec()] {
                out.send(piece).await.expect("a reader");
            }
            open_backup(passphrase.as_ref(), b"whole")
        })
    }

    fn restore(
        &self,
        directory: std::path::PathBuf,
        passphrase: Option<Secret>,
        source: tokio::sync::mpsc::Receiver<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>> {
        assert!(directory.is_absolute(), "checked before");
        self.verify_backup(passphrase, source)
    }

    fn verify_backup(
        &self,
        passphrase: Option<Secret>,
        mut source: tokio::sync::mpsc::Receiver<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>> {
        Box::pin(async move {
            let mut bytes = Vec::new();
            while let Some(piece) = source.recv().await {
                bytes.extend(piece);
            }
            open_backup(passphrase.as_ref(), &bytes)
        })
    }

    fn verify_store(&self) -> BoxFuture<'_, Result<StoreVerdict, Problem>> {
        let damage = vec!["one record does not open".to_owned()];
        Box::pin(async { Ok(StoreVerdict { records: 3, damage }) })
    }

    fn accept_rollback<'a>(&'a self, etag: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            match etag {
                "right" => Ok(()),
                _ => Err(Problem::not_found("rollback")),
            }
        })
    }
}

fn open_backup(passphrase: Option<&Secret>, bytes: &[u8]) -> Result<BackupFacts, Problem> {
    let opens = passphrase.is_none_or(|text| text.expose() == "words");
    if bytes != b"whole" || !opens {
        return Err(Problem::new(Reason::BackupInvalid, "it is not whole"));
    }
    Ok(BackupFacts {
        store_id: [1; 16],
        created: Timestamp::from_unix_ms(1),
        records: 3,
        size: 5,
        sha256: [2; 32],
        generation: 7,
    })
}

impl AdminPort for Operator {
    fn status(&self) -> BoxFuture<'_, StatusFacts> {
        let facts = StatusFacts {
            version: "0.1.0".into(),
            sealed: false,
            seal_message: String::new(),
            development: true,
            slots: Vec::new(),
            epochs: vec![epoch()],
            store_bytes: 4096,
            records: 3,
            shares_received: 0,
            shares_needed: 2,
            started: Timestamp::from_unix_ms(1),
        };
        Box::pin(async { facts })
    }

    fn diagnose(&self) -> BoxFuture<'_, Vec<CheckFacts>> {
        let check = |id, outcome, action: &str| CheckFacts {
            id,
            outcome,
            message: "found".into(),
            action: action.into(),
        };
        let checks = vec![
            check("process.user", Outcome::Ok, ""),
            check("state.folder", Outcome::Failed, "chmod 700"),
        ];
        Box::pin(async { checks })
    }

    fn plugins(&self) -> BoxFuture<'_, Vec<PluginFacts>> {
        let plugins = vec![
            plugin("gitea", PluginState::Running),
            plugin("hub", PluginState::NotTrusted),
        ];
        Box::pin(async { plugins })
    }

    fn keys(&self) -> &dyn KeysPort {
        self
    }

    fn backups(&self) -> &dyn BackupPort {
        self
    }

    fn reload_plugin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginFacts, Problem>> {
        Box::pin(async move {
            match name {
                "gitea" => Ok(plugin("gitea", PluginState::Running)),
                _ => Err(Problem::not_found(format!("plugin {name}"))),
            }
        })
    }

    fn enable_plugin<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<PluginFacts, Problem>> {
        self.reload_plugin(name)
    }

    fn disable_plugin<'a>(
        &'a self,
        name: &'a str,
        actor: &'a str,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<PluginFacts, Problem>> {
        let message = format!("{actor}: {reason}");
        let stopped = PluginFacts {
            message,
            ..plugin(name, PluginState::Disabled)
        };
        Box::pin(async { Ok(stopped) })
    }
}

/// An operator's keys: one share is never enough, and one slot always stays.
impl KeysPort for Operator {
    fn seal<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }

    fn unseal(&self, with: UnsealWith) -> BoxFuture<'_, Result<UnsealProgress, Problem>> {
        Box::pin(async move {
            match with {
                UnsealWith::Share(_) => Ok(UnsealProgress {
                    sealed: true,
                    shares_received: 1,
                    shares_needed: 2,
                }),
                _ => Err(Problem::new(Reason::UnsealRejected, "it opens no slot")),
            }
        })
    }

    fn add_slot(&self, wish: SlotWish) -> BoxFuture<'_, Result<AddedSlot, Problem>> {
        Box::pin(async move {
            Ok(AddedSlot {
                slot: key_file(&wish.label),
                shares: vec![Secret::new("A-SHARE".into())],
            })
        })
    }

    fn remove_slot(&self, _: u8) -> BoxFuture<'_, Result<Vec<SlotFacts>, Problem>> {
        Box::pin(async { Ok(vec![key_file("the last")]) })
    }

    fn rotate(&self, wish: RotateWish) -> BoxFuture<'_, Result<Rotated, Problem>> {
        Box::pin(async move {
            Ok(Rotated {
                epochs: vec![epoch()],
                lost: wish
                    .root_key
                    .then(|| key_file("lost"))
                    .into_iter()
                    .collect(),
            })
        })
    }

    fn compact(&self) -> BoxFuture<'_, Result<Compacted, Problem>> {
        Box::pin(async {
            Ok(Compacted {
                before: 9,
                after: 3,
            })
        })
    }

    fn verify_shares(&self, _: Vec<Secret>) -> BoxFuture<'_, Result<SlotFacts, Problem>> {
        Box::pin(async { Ok(key_file("the last")) })
    }
}

fn epoch() -> EpochFacts {
    EpochFacts {
        id: 1,
        active: true,
        created: Timestamp::from_unix_ms(1000),
        records: 3,
    }
}

fn key_file(label: &str) -> SlotFacts {
    SlotFacts {
        id: 1,
        kind: SlotKind::KeyFile,
        label: label.to_owned(),
        created: Some(Timestamp::from_unix_ms(1000)),
        verified: None,
    }
}

fn plugin(name: &str, state: PluginState) -> PluginFacts {
    PluginFacts {
        name: name.to_owned(),
        version: "0.1.0".into(),
        path: format!("/plugins/{name}.so"),
        sha256: String::new(),
        state,
        message: String::new(),
        sandbox: Vec::new(),
    }
}
