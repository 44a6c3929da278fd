//! The webhooks of a forge's one repository, scripted: they are made, changed and taken away as on a real one.

use std::sync::{Arc, Mutex, MutexGuard};

use bindery_core::{
    link::Link,
    name::SourceId,
    problem::Problem,
    provider::{
        Call, Failure, FailureCode, HookFacts, HookSupport, Input, OperationKind, Output,
        Permission, PermissionScopes, Ref, RefKind, Repository, Revocation, RevocationOutcome,
        SignatureKind, SignatureScheme,
    },
    source::SourceName,
};
use bindery_engine::sources::{NewSource, SourceSettings, SourceView};

use super::{World, failure};

/// What the forge has.
pub(crate) struct Held {
    pub(crate) hooks: Vec<HookFacts>,
    pub(crate) full_name: String,
    /// How each call that changes a hook ends: refused before anything is done.
    pub(crate) refuses: Option<FailureCode>,
    /// The next change is made, and its answer is lost.
    pub(crate) loses_answer: bool,
    serial: u64,
}

/// A forge with hooks, behind the scripted plugin.
#[derive(Clone)]
pub(crate) struct HookForge(Arc<Mutex<Held>>);

impl HookForge {
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("lock")
    }

    /// URLs of the hooks that there are.
    pub(crate) fn urls(&self) -> Vec<String> {
        let held = self.held();
        held.hooks.iter().map(|facts| facts.url.clone()).collect()
    }

    pub(crate) fn answer(&self, call: &Call) -> Result<Output, Failure> {
        let mut held = self.held();
        let changes = !matches!(
            call.input,
            Input::GetRepository { .. } | Input::ListRefs { .. }
        );
        if let Some(code) = held.refuses.filter(|_| changes) {
            return Err(Failure {
                action_uri: "https://forge.example/acme/api/settings".to_owned(),
                ..failure(code)
            });
        }
        let output = held.done(&call.input)?;
        let change = matches!(
            call.input,
            Input::CreateHook { .. } | Input::UpdateHook { .. } | Input::DeleteHook { .. }
        );
        if change && std::mem::take(&mut held.loses_answer) {
            return Err(failure(FailureCode::Transport));
        }
        Ok(output)
    }
}

impl Held {
    fn done(&mut self, input: &Input) -> Result<Output, Failure> {
        Ok(match input {
            Input::GetRepository { .. } => Output::Repository(self.repository()),
            Input::ListRefs { .. } => Output::Refs {
                items: vec![Ref {
                    name: "main".to_owned(),
                    kind: RefKind::Branch,
                    commit: "c0ffee".to_owned(),
                    protected: false,
                }],
                next_cursor: String::new(),
            },
            Input::ListRepositories { .. } => Output::Repositories {
                items: vec![self.repository()],
                next_cursor: String::new(),
                partial: false,
            },
            Input::ListHooks { .. } => Output::Hooks(self.hooks.clone()),
            Input::CreateHook { hook, .. } => Output::Hook(self.create(&hook.url)),
            Input::UpdateHook { hook_id, hook, .. } => {
                let known = self.hooks.iter_mut().find(|one| one.hook_id == *hook_id);
                let known = known.ok_or_else(|| failure(FailureCode::NotFound))?;
                known.url.clone_from(&hook.url);
                known.deviations.clear();
                known.active = true;
                Output::Hook(known.clone())
            }
            Input::DeleteHook { hook_id, .. } => {
                let before = self.hooks.len();
                self.hooks.retain(|one| one.hook_id != *hook_id);
                let outcome = if self.hooks.len() < before {
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
            _ => Output::Empty,
        })
    }

    /// Makes a hook that delivers to `url`.
    pub(crate) fn create(&mut self, url: &str) -> HookFacts {
        self.serial += 1;
        let facts = HookFacts {
            hook_id: self.serial.to_string(),
            url: url.to_owned(),
            active: true,
            web_uri: format!("https://forge.example/acme/api/hooks/{}", self.serial),
            ..HookFacts::default()
        };
        self.hooks.push(facts.clone());
        facts
    }

    fn repository(&self) -> Repository {
        Repository {
            stable_id: "42".to_owned(),
            full_name: self.full_name.clone(),
            clone_uri: String::new(),
            web_uri: "https://forge.example/acme/api".to_owned(),
            default_branch: "main".to_owned(),
            description: String::new(),
            private: true,
            archived: false,
            can_read: true,
            can_write: true,
            can_administer: true,
            ..Repository::default()
        }
    }
}

impl World {
    /// Gives the forge one repository, `acme/api`, with webhooks.
    pub(crate) fn hooks(&self) -> HookForge {
        let forge = HookForge(Arc::new(Mutex::new(Held {
            hooks: Vec::new(),
            full_name: "acme/api".to_owned(),
            refuses: None,
            loses_answer: false,
            serial: 0,
        })));
        self.plugin.describe_as(|known| {
            known.hooks = support();
            known.permissions.push(PermissionScopes {
                permission: Permission::Webhooks,
                scopes: vec!["repo".to_owned()],
                covered_by: Vec::new(),
            });
            known.operations.extend([
                OperationKind::ListHooks,
                OperationKind::CreateHook,
                OperationKind::UpdateHook,
                OperationKind::DeleteHook,
            ]);
        });
        for operation in [
            "GetRepository",
            "ListRefs",
            "ListRepositories",
            "ListHooks",
            "CreateHook",
            "UpdateHook",
            "DeleteHook",
            "PingHook",
        ] {
            let forge = forge.clone();
            self.plugin.on(operation, move |call| forge.answer(call));
        }
        forge
    }

    /// Looks at the hook of source `s` now.
    pub(crate) async fn verify(&self, link: &Link) {
        let looked = self.engine.verify_source(&source_of(link)).await;
        looked.expect("looked at");
    }

    /// Connects `acme/api` through a link, as source `s`.
    pub(crate) async fn connect(&self, link: &Link) -> Result<SourceView, Problem> {
        self.engine.create_source(new_source(link), None).await
    }
}

/// What a caller asks for who connects `acme/api`.
pub(crate) fn new_source(link: &Link) -> NewSource {
    NewSource {
        namespace: link.namespace.clone(),
        link: link.id.clone(),
        id: Some(SourceId::parse("s").expect("name")),
        repository: "acme/api".to_owned(),
        settings: SourceSettings::default(),
        principal: "uid:1000".to_owned(),
        validate_only: false,
    }
}

/// Name of the source that [`World::connect`] makes.
pub(crate) fn source_of(link: &Link) -> SourceName {
    SourceName {
        namespace: link.namespace.clone(),
        link: link.id.clone(),
        source: SourceId::parse("s").expect("name"),
    }
}

fn support() -> HookSupport {
    HookSupport {
        schemes: vec![SignatureScheme {
            name: "hmac-sha256".to_owned(),
            kind: SignatureKind::BodyHmacSha256,
            header: "x-forge-signature".to_owned(),
            prefix: String::new(),
            timestamp_header: String::new(),
            weak: false,
        }],
        hooks_per_repository: 20,
        ..HookSupport::default()
    }
}
