//! Connecting a repository: looked at first, written down with the journal of its hook, then asked for at the provider.

use std::sync::Arc;

use bindery_core::{
    hook::{Hook, HookPlace, HookSecrets, HookState, HookStep, KnownRefs},
    host::Host,
    link::Link,
    name::{LinkId, NamespaceName, SourceId},
    port::{Change, Expect, Key, Record, VaultHealth},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description, OperationKind, Permission, Repository},
    secret::Secret,
    source::Source,
};

use super::{SourceSettings, SourceView, key, parse_name};
use crate::{
    Engine, RequestKey, Versioned,
    hooks::{OVERLAP, forgotten, is_installed, put_secrets, put_served, refuses},
    links::scope_problem,
    namespaces::taken,
    records::change,
};

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// Its id; `None` to have one made.
    pub id: Option<SourceId>,
    /// `owner/name`, or the stable id behind `id:`.
    pub repository: String,
    /// What people say about it.
    pub settings: SourceSettings,
    /// Principal that asks.
    pub principal: String,
    /// Everything is checked, at the provider too, and nothing is stored.
    pub validate_only: bool,
}

/// What a source is made on.
struct Ground {
    link: Versioned<Link>,
    description: Arc<Description>,
    repository: Repository,
    /// The state of the app's hook, where that serves the repository.
    served: Option<HookState>,
}

/// The hook that a new source gets, and what must be written for it.
struct Given {
    hook: Hook,
    changes: Vec<Change>,
    /// It was made for this source.
    fresh: bool,
    /// The hook as it was, and its version; for one that was there.
    known: Option<Versioned<Hook>>,
}

impl Engine {
    /// Connects a repository of a link as a build source, and makes its webhook, or shares or takes over the one that is there.
    /// A provider that does not answer leaves a source whose hook is pending and is made by itself later.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `SOURCE_EXISTS`, `ALREADY_EXISTS`, `SCOPE_MISSING`, `PROVIDER_DENIED`, `PROVIDER_NOT_FOUND`,
    /// `PROVIDER_LIMIT_REACHED`, `PROVIDER_UNSUPPORTED`, `INVALID_ARGUMENT` for rules, the reasons of an unusable link,
    /// `STORE_LOW_SPACE`, and what the provider or the vault says.
    pub async fn create_source(
        &self,
        new: NewSource,
        request: Option<&RequestKey>,
    ) -> Result<SourceView, Problem> {
        if let Some(resource) = self.recall(request).await? {
            return self.source_named(&resource).await;
        }
        match self.create_new_source(new, request).await {
            // The same request, asked twice at the same time: the other one was faster.
            Err(problem)
                if matches!(problem.reason, Reason::AlreadyExists | Reason::SourceExists) =>
            {
                match self.recall(request).await? {
                    Some(resource) => self.source_named(&resource).await,
                    None => Err(problem),
                }
            }
            outcome => outcome,
        }
    }

    /// The source that a remembered request led to.
    pub(super) async fn source_named(&self, resource: &str) -> Result<SourceView, Problem> {
        let name = parse_name(resource).ok_or_else(|| {
            Problem::new(Reason::Internal, "a remembered request names no source")
        })?;
        self.source(&name).await
    }

    async fn create_new_source(
        &self,
        new: NewSource,
        request: Option<&RequestKey>,
    ) -> Result<SourceView, Problem> {
        bindery_core::rules::check_rules(&new.settings.rules)?;
        self.room_for_sources()?;
        let ground = self.source_ground(&new).await?;
        if new.validate_only {
            let hook = self.new_hook_id()?;
            let source = self.new_source(&new, &ground, hook)?;
            self.refuse_second(&source).await?;
            return Ok(SourceView {
                source: Versioned {
                    record: source,
                    version: 0,
                },
                hook: None,
            });
        }
        let (engine, request) = (self.clone(), request.cloned());
        // A caller that goes away must not leave it half done.
        let made = tokio::spawn(async move { engine.connect(new, ground, request).await });
        made.await.map_err(|_| stopped())?
    }

    fn room_for_sources(&self) -> Result<(), Problem> {
        if self.health() != VaultHealth::LowSpace {
            return Ok(());
        }
        let message = "the disk is nearly full, so no new source is taken; existing ones are served; free some space";
        Err(Problem::new(Reason::StoreLowSpace, message))
    }

    /// Looks at all that a source stands on, before anything is written.
    async fn source_ground(&self, new: &NewSource) -> Result<Ground, Problem> {
        let link = self.link(&new.namespace, &new.link).await?;
        link.record.usable()?;
        let host = self.host(&link.record.host).await?.record;
        let description = self.description(&host)?;
        offers_hooks(&description)?;
        may_hook(&description, &link.record, &host)?;
        let served = if is_installed(&link.record) {
            self.app_serves(&host.name).await?
        } else {
            None
        };
        let repository = self
            .repository(&new.namespace, &new.link, &new.repository)
            .await?;
        // What an installation may do is a matter of its permissions alone, which the provider judges.
        if served.is_none() && !is_installed(&link.record) {
            administers(&link.record, &repository)?;
        }
        Ok(Ground {
            link,
            description,
            repository,
            served,
        })
    }

    fn new_source(
        &self,
        new: &NewSource,
        ground: &Ground,
        hook: bindery_core::name::HookId,
    ) -> Result<Source, Problem> {
        let now = self.now();
        let settings = new.settings.clone();
        let id = match &new.id {
            Some(id) => id.clone(),
            None => SourceId::parse(&self.new_id())
                .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?,
        };
        Ok(Source {
            namespace: new.namespace.clone(),
            link: new.link.clone(),
            id,
            host: ground.link.record.host.clone(),
            repository: ground.repository.stable_id.clone(),
            full_name: ground.repository.full_name.clone(),
            display_name: settings.display_name,
            rules: settings.rules,
            max_triggers_per_minute: settings.max_triggers_per_minute,
            ignore_skip_marks: settings.ignore_skip_marks,
            paused: settings.paused,
            reconcile: settings.reconcile,
            hook,
            labels: settings.labels,
            annotations: settings.annotations,
            created_by: new.principal.clone(),
            created: now,
            updated: now,
            behind: None,
            disconnected: None,
        })
    }

    /// `SOURCE_EXISTS` where the link has this repository already, and `ALREADY_EXISTS` where the id is taken.
    async fn refuse_second(&self, source: &Source) -> Result<(), Problem> {
        if let Some(found) = self.find_source_or_trace(&source.name()).await? {
            let name = source.name().to_string();
            return Err(match found.record.disconnected {
                None => taken(Problem::new(Reason::StoreConflict, ""), &name),
                Some(_) => used_before(&name),
            });
        }
        let place = self
            .find_hook_place(&source.host, &source.repository)
            .await?;
        let Some(place) = place else {
            return Ok(());
        };
        match self.find_hook(&place.record.hook).await? {
            Some(hook) => refuse_twin(&hook.record, source),
            None => Ok(()),
        }
    }

    /// Writes the source with the journal of its hook, then does what the journal says.
    async fn connect(
        &self,
        new: NewSource,
        ground: Ground,
        request: Option<RequestKey>,
    ) -> Result<SourceView, Problem> {
        let (host, repository) = (&ground.link.record.host, &ground.repository.stable_id);
        let _alone = self.hooks().place(host, repository).await;
        let (source, given) = loop {
            match self.write_source(&new, &ground, request.as_ref()).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => break outcome?,
            }
        };
        let settled = self.settle(&given.hook.id, OVERLAP).await;
        match settled {
            Err(problem) if given.fresh && refuses(&problem) => {
                self.take_back(&source, &given.hook, request.as_ref())
                    .await?;
                Err(problem)
            }
            // What it waits for is said in the hook's state.
            _ => self.source(&source.name()).await,
        }
    }

    /// One transaction: the source, its place in the hook, the hook where there was none, and the link as it was looked at.
    async fn write_source(
        &self,
        new: &NewSource,
        ground: &Ground,
        request: Option<&RequestKey>,
    ) -> Result<(Source, Given), Problem> {
        let link = self.link(&new.namespace, &new.link).await?;
        // It may have been disabled or unlinked meanwhile.
        link.record.usable()?;
        let mut given = self.hook_for(ground, new).await?;
        let source = self.new_source(new, ground, given.hook.id.clone())?;
        self.refuse_second(&source).await?;
        given.hook.sources.push(source.name());
        let resource = source.name().to_string();
        let mut changes = std::mem::take(&mut given.changes);
        changes.push(change(
            key(&source.name()),
            Expect::Absent,
            Some(Record::Source(source.clone())),
        ));
        changes.extend(self.remember(request, &resource).await?);
        // The link goes with it, so that an unlink either finds the source or keeps it from being made.
        changes.push(change(
            Key::Link(new.namespace.clone(), new.link.clone()),
            Expect::Version(link.version),
            Some(Record::Link(link.record)),
        ));
        match &given.known {
            Some(before) => {
                let after = given.hook.clone();
                self.put_hook(&before.record, after, before.version, changes)
                    .await?;
            }
            None => {
                let put = Some(Record::Hook(given.hook.clone()));
                let key = Key::Hook(given.hook.id.clone());
                changes.push(change(key, Expect::Absent, put));
                self.commit(changes).await?;
                self.hook_written(&given.hook);
            }
        }
        Ok((source, given))
    }

    /// The hook of the repository: the one that is there, or a new one.
    async fn hook_for(&self, ground: &Ground, new: &NewSource) -> Result<Given, Problem> {
        let (host, repository) = (&ground.link.record.host, &ground.repository);
        let place = self.find_hook_place(host, &repository.stable_id).await?;
        let known = match &place {
            Some(place) => self.find_hook(&place.record.hook).await?,
            None => None,
        };
        match known {
            Some(known) => Ok(joined(known, &repository.full_name)),
            None => self.fresh_hook(ground, new).await,
        }
    }

    async fn fresh_hook(&self, ground: &Ground, new: &NewSource) -> Result<Given, Problem> {
        let (now, id) = (self.now(), self.new_hook_id()?);
        let support = &ground.description.hooks;
        let scheme = support.schemes.first().map(|scheme| scheme.name.clone());
        let scheme = scheme.unwrap_or_default();
        let secret = self.new_hook_secret(support, &scheme);
        let host = &ground.link.record.host;
        let mut hook = Hook {
            full_name: ground.repository.full_name.clone(),
            scheme,
            message: "the webhook is being made".to_owned(),
            step: Some(HookStep::Create),
            secret_fingerprint: self.secret_print(host, &secret).await?,
            ..Hook::new(id, host.clone(), ground.repository.stable_id.clone(), now)
        };
        if let Some(state) = ground.served {
            put_served(&mut hook, state);
            hook.checked = Some(now);
        }
        // Before the hook is there: what is pushed from here on is either delivered, or found by comparing.
        let refs = self.first_refs(new, &ground.repository.stable_id).await;
        let changes = born(&hook, secret, refs);
        Ok(Given {
            hook,
            changes,
            fresh: true,
            known: None,
        })
    }

    /// The provider refused: nothing was made there, and nothing stays here.
    async fn take_back(
        &self,
        source: &Source,
        hook: &Hook,
        request: Option<&RequestKey>,
    ) -> Result<(), Problem> {
        let mut changes = forgotten(hook);
        changes.push(change(key(&source.name()), Expect::Any, None));
        changes.extend(request.map(RequestKey::forget));
        self.commit(changes).await?;
        self.hook_forgotten(hook);
        Ok(())
    }
}

/// What is written with a new hook.
fn born(hook: &Hook, current: Secret, refs: KnownRefs) -> Vec<Change> {
    let place = HookPlace {
        host: hook.host.clone(),
        repository: hook.repository.clone(),
        hook: hook.id.clone(),
    };
    let secrets = HookSecrets {
        current,
        previous: None,
        next: None,
    };
    vec![
        put_secrets(&hook.id, &secrets),
        change(
            Key::HookPlace(hook.host.clone(), hook.repository.clone()),
            // One whose hook is gone may be left from a write that failed.
            Expect::Any,
            Some(Record::HookPlace(place)),
        ),
        change(
            Key::KnownRefs(hook.id.clone()),
            Expect::Any,
            Some(Record::KnownRefs(refs)),
        ),
    ]
}

/// The hook of others takes one more source. One that is not as it should be is put right: the new link may be able to.
fn joined(known: Versioned<Hook>, full_name: &str) -> Given {
    let mut hook = known.record.clone();
    full_name.clone_into(&mut hook.full_name);
    match (hook.step, hook.state) {
        (Some(HookStep::Delete), _) => {
            // It was to go; the links that were to do it have no part in it any more.
            hook.step = Some(HookStep::Create);
            hook.state = HookState::Pending;
            hook.sources.clear();
        }
        (None, HookState::Missing | HookState::Forbidden | HookState::Changed) => {
            hook.step = Some(HookStep::Update);
        }
        _ => {}
    }
    Given {
        hook,
        changes: Vec::new(),
        fresh: false,
        known: Some(known),
    }
}

/// Events and receipts name a source by its id, so it never means another repository.
fn used_before(name: &str) -> Problem {
    let message = format!(
        "{name} was disconnected, and ids are never used again; choose another id, or none to have one made"
    );
    Problem::new(Reason::AlreadyExists, message).with("resource", name)
}

fn refuse_twin(hook: &Hook, source: &Source) -> Result<(), Problem> {
    let going = hook.step == Some(HookStep::Delete);
    let same = |name: &&bindery_core::source::SourceName| {
        name.namespace == source.namespace && name.link == source.link
    };
    match hook.sources.iter().find(same).filter(|_| !going) {
        None => Ok(()),
        Some(twin) => {
            let message = format!(
                "{} is a source of this link already: {twin}",
                source.full_name
            );
            Err(Problem::new(Reason::SourceExists, message).with("source", twin.to_string()))
        }
    }
}

fn offers_hooks(description: &Description) -> Result<(), Problem> {
    let able = description.operations.contains(&OperationKind::CreateHook);
    if able && !description.hooks.schemes.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the plugin of {} makes no webhooks, so its repositories can't be sources",
        description.display_name
    );
    Err(Problem::new(Reason::ProviderUnsupported, message))
}

/// Preflight: a missing scope is named before a hook is attempted (DESIGN §5.6).
fn may_hook(description: &Description, link: &Link, host: &Host) -> Result<(), Problem> {
    if link.auth_kind == AuthKind::AppInstallation {
        return Ok(());
    }
    let Some(granted) = &link.granted_scopes else {
        return Ok(());
    };
    let missing = description.missing(&[Permission::Webhooks], granted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(scope_problem(&missing, description, host))
}

fn administers(link: &Link, repository: &Repository) -> Result<(), Problem> {
    if repository.can_administer {
        return Ok(());
    }
    let login = link.identity.as_ref().map(|identity| &identity.login);
    let message = format!(
        "{} may not make webhooks of {}; give it the right to administer the repository",
        login.map_or("the identity of the link", String::as_str),
        repository.full_name
    );
    Err(Problem::new(Reason::ProviderDenied, message)
        .act(Who::OrganizationOwner, repository.web_uri.clone()))
}

fn stopped() -> Problem {
    Problem::new(Reason::ShuttingDown, "the daemon stops; try again")
}
