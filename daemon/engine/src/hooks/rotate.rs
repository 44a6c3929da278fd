//! New secrets for many hooks: written down as a whole first, then hook by hook, by itself and over restarts.
//!
//! The next secret of a hook is durable, and accepted, before the provider is told. A death in between is made good by sending
//! the same one again.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use bindery_core::{
    hook::{Hook, HookStep},
    name::{HookId, NamespaceName, RotationId},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    rotation::{HookRotation, HookRotationReport, RotationOutcome},
    source::Source,
    time::Timestamp,
};
use futures_util::{StreamExt, stream};

use super::{duplicate, put_secrets, refuses};
use crate::{Engine, RequestKey, Versioned, deeds::Own, flight::lock, records::change};

/// Hooks that are dealt with between two writes of what was done.
const AT_ONCE: usize = 32;

/// Requests that are under way at the same time.
const IN_FLIGHT: usize = 4;

/// A hook whose provider does not answer is tried for so long.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Most reports of one rotation; more are told to be split.
const MOST: usize = 10_000;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The sources whose hooks get new secrets, by their namespaces.
    pub sources: Vec<(NamespaceName, Vec<Source>)>,
    /// How long old and new secret are both accepted.
    pub overlap: Duration,
    /// Who asks.
    pub actor: String,
    /// The hooks are counted, and nothing is changed.
    pub validate_only: bool,
    /// What makes a repetition known.
    pub request: Option<RequestKey>,
}

/// Names a rotation.
pub(super) type Whose = (NamespaceName, RotationId);

/// What became of one hook.
enum Turn {
    Over(RotationOutcome, String),
    Later(String),
}

impl Engine {
    /// Starts to give hooks new secrets, and returns at once. There is one record for each namespace, all under one id.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` where there are too many hooks, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn rotate_hook_secrets(&self, asked: Rotate) -> Result<Vec<HookRotation>, Problem> {
        if let Some(id) = self.recall(asked.request.as_ref()).await? {
            return self.rotations_again(&asked, &id).await;
        }
        let id = RotationId::parse(&self.new_id())
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let rotations = self.drawn_rotations(&asked, &id)?;
        if asked.validate_only {
            return Ok(rotations);
        }
        let put = |rotation: &HookRotation| {
            let write = Some(Record::HookRotation(rotation.clone()));
            change(rotation_key(rotation), Expect::Absent, write)
        };
        let mut changes: Vec<_> = rotations.iter().map(put).collect();
        changes.extend(self.remember(asked.request.as_ref(), id.as_str()).await?);
        self.commit(changes).await?;
        for rotation in &rotations {
            let whose = (rotation.namespace.clone(), id.clone());
            lock(&self.hooks().rotations).insert(whose.clone());
            let engine = self.clone();
            tokio::spawn(async move { engine.go_on_with(&whose).await });
        }
        Ok(rotations)
    }

    /// What the same request led to before.
    async fn rotations_again(
        &self,
        asked: &Rotate,
        id: &str,
    ) -> Result<Vec<HookRotation>, Problem> {
        let id = RotationId::parse(id)
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let mut all = Vec::new();
        for (namespace, _) in &asked.sources {
            let found = self.find_rotation(namespace, &id).await?;
            all.extend(found.map(|entry| entry.record));
        }
        Ok(all)
    }

    fn drawn_rotations(
        &self,
        asked: &Rotate,
        id: &RotationId,
    ) -> Result<Vec<HookRotation>, Problem> {
        let now = self.now();
        let parts = asked.sources.iter();
        let rotations: Vec<_> = parts
            .map(|(namespace, sources)| {
                let hooks = reports(sources);
                HookRotation {
                    namespace: namespace.clone(),
                    id: id.clone(),
                    overlap: asked.overlap,
                    actor: asked.actor.clone(),
                    created: now,
                    finished: hooks.is_empty().then_some(now),
                    hooks,
                }
            })
            .collect();
        if rotations.iter().any(|rotation| rotation.hooks.len() > MOST) {
            let why = format!("names more than {MOST} webhooks of a namespace; split it");
            return Err(Problem::invalid("filter", why));
        }
        Ok(rotations)
    }

    /// A rotation.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn rotation(
        &self,
        namespace: &NamespaceName,
        id: &RotationId,
    ) -> Result<HookRotation, Problem> {
        let found = self.find_rotation(namespace, id).await?;
        let found = found.map(|entry| entry.record);
        found
            .ok_or_else(|| Problem::not_found(format!("namespaces/{namespace}/hookRotations/{id}")))
    }

    /// Goes on with rotations that are not finished. Part of the sweep, which does not wait: a large one takes hours.
    pub(crate) async fn resume_rotations(&self) -> Result<(), Problem> {
        if !self.hooks().rotations_known.load(Ordering::SeqCst) {
            self.find_rotations().await?;
        }
        let open: Vec<_> = lock(&self.hooks().rotations).iter().cloned().collect();
        if open.is_empty() {
            return Ok(());
        }
        let engine = self.clone();
        tokio::spawn(async move {
            // One that somebody goes on with already is left to them.
            let each = |whose| {
                let engine = &engine;
                async move { engine.go_on_with(&whose).await }
            };
            stream::iter(open)
                .for_each_concurrent(IN_FLIGHT, each)
                .await;
        });
        Ok(())
    }

    /// What the last stop left. Done once: from then on every rotation is known from its start.
    async fn find_rotations(&self) -> Result<(), Problem> {
        for namespace in self.namespace_names().await? {
            let listing = Listing::HookRotations(namespace);
            for entry in self.list_all(&listing, as_rotation).await? {
                let rotation = entry.record;
                if rotation.finished.is_none() {
                    lock(&self.hooks().rotations).insert((rotation.namespace, rotation.id));
                }
            }
        }
        self.hooks().rotations_known.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// One at a time goes on with a rotation.
    async fn go_on_with(&self, whose: &Whose) {
        let busy = &self.hooks().rotating;
        if !lock(busy).insert(whose.clone()) {
            return;
        }
        let outcome = self.rotate_open(whose).await;
        lock(busy).remove(whose);
        match outcome {
            Ok(true) => drop(lock(&self.hooks().rotations).remove(whose)),
            Ok(false) => {}
            Err(problem) => {
                tracing::warn!(error = %problem, "A rotation of webhook secrets waits; it goes on by itself");
            }
        }
    }

    /// Deals with the hooks that were not dealt with. Says whether that was all.
    async fn rotate_open(&self, whose: &Whose) -> Result<bool, Problem> {
        let Some(entry) = self.find_rotation(&whose.0, &whose.1).await? else {
            return Ok(true);
        };
        let rotation = entry.record;
        let open = |report: &&HookRotationReport| report.outcome.is_none();
        let hooks = rotation.hooks.iter().filter(open);
        let hooks: Vec<_> = hooks.map(|report| report.hook.clone()).collect();
        for some in hooks.chunks(AT_ONCE) {
            let mut turns = Vec::new();
            for id in some {
                turns.push(self.rotate_one(&rotation, id.clone()));
            }
            let turns = stream::iter(turns).buffered(IN_FLIGHT);
            let done = turns.collect::<Vec<_>>().await;
            if self.note_turns(whose, done).await? {
                return Ok(true);
            }
        }
        Ok(hooks.is_empty())
    }

    /// Writes what became of some hooks. Says whether the rotation is finished.
    async fn note_turns(&self, whose: &Whose, done: Vec<(HookId, Turn)>) -> Result<bool, Problem> {
        loop {
            let Some(Versioned {
                record: mut rotation,
                version,
            }) = self.find_rotation(&whose.0, &whose.1).await?
            else {
                return Ok(true);
            };
            for (hook, turn) in &done {
                if let Some(report) = rotation.hooks.iter_mut().find(|one| one.hook == *hook) {
                    note(report, turn);
                }
            }
            let over = rotation.hooks.iter().all(|one| one.outcome.is_some());
            rotation.finished = over.then(|| self.now());
            let key = rotation_key(&rotation);
            let put = Some(Record::HookRotation(rotation));
            match self
                .commit(vec![change(key, Expect::Version(version), put)])
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome.map(|()| over),
            }
        }
    }

    async fn rotate_one(&self, rotation: &HookRotation, id: HookId) -> (HookId, Turn) {
        let turn = self.turn_of(rotation, &id).await;
        if let Turn::Over(outcome, _) = &turn {
            self.did(rotated(rotation, &id, *outcome)).await;
        }
        (id, turn)
    }

    async fn turn_of(&self, rotation: &HookRotation, id: &HookId) -> Turn {
        if let Ok(Some(hook)) = self.find_hook(id).await
            && hook.record.by_app
        {
            let message = "its deliveries are signed with the secret of the app, which the host's operator changes";
            return Turn::Over(RotationOutcome::Skipped, message.to_owned());
        }
        match self.give_secret(id, rotation).await {
            Ok(Some(until)) => Turn::Over(RotationOutcome::Done(until), String::new()),
            Ok(None) => {
                let message = "the webhook is gone by now, or is being taken away";
                Turn::Over(RotationOutcome::Skipped, message.to_owned())
            }
            Err(problem) => {
                let late = self.now().since(rotation.created) >= PATIENCE;
                if late || refuses(&problem) {
                    let failed = RotationOutcome::Failed(problem.reason);
                    return Turn::Over(failed, problem.message);
                }
                Turn::Later(problem.message)
            }
        }
    }

    /// Gives one hook its next secret. Returns until when the old one is accepted; nothing for a hook that is gone.
    async fn give_secret(
        &self,
        id: &HookId,
        rotation: &HookRotation,
    ) -> Result<Option<Timestamp>, Problem> {
        let Some(entry) = self.find_hook(id).await? else {
            return Ok(None);
        };
        let (host, repository) = (&entry.record.host, &entry.record.repository);
        let _alone = self.hooks().place(host, repository).await;
        let Some(Versioned { record: hook, .. }) = self.find_hook(id).await? else {
            return Ok(None);
        };
        if hook.step == Some(HookStep::Delete) {
            return Ok(None);
        }
        if !is_rotated(&hook, rotation.created) {
            self.plan_secret(&hook).await?;
            self.settle(id, rotation.overlap).await?;
        }
        let hook = self.find_hook(id).await?;
        let until = hook.and_then(|entry| entry.record.previous_secret_until);
        Ok(Some(until.unwrap_or(rotation.created)))
    }

    /// The next secret is durable, and accepted, before the provider is told.
    async fn plan_secret(&self, hook: &Hook) -> Result<(), Problem> {
        let description = self.hook_description(hook).await?;
        let mut secrets = self.secrets_of(hook).await?;
        if secrets.next.is_none() {
            secrets.next = Some(self.new_hook_secret(&description.hooks, &hook.scheme));
        }
        self.change_hook_with(&hook.id, |hook| {
            hook.step = hook.step.or(Some(HookStep::Update));
            vec![put_secrets(&hook.id, &secrets)]
        })
        .await
        .map(drop)
    }

    /// Forgets the secret before, once it is not accepted any more.
    pub(super) async fn drop_old_secret(&self, hook: &Hook) -> Result<(), Problem> {
        let now = self.now();
        if hook.previous_secret_until.is_none_or(|until| until > now) {
            return Ok(());
        }
        let mut secrets = duplicate(&self.secrets_of(hook).await?);
        secrets.previous = None;
        self.change_hook_with(&hook.id, |hook| {
            hook.previous_secret_until = None;
            vec![put_secrets(&hook.id, &secrets)]
        })
        .await
        .map(drop)
    }
}

/// That a hook has a new secret, or keeps its old one, for the audit log.
fn rotated(rotation: &HookRotation, id: &HookId, outcome: RotationOutcome) -> Own {
    let report = rotation.hooks.iter().find(|report| report.hook == *id);
    let source = report.map(|report| report.source.to_string());
    let own = Own::new("rotate-hook-secret", source.unwrap_or_default())
        .with("hook", id.as_str())
        .with("rotation", rotation.id.as_str())
        .with("asked_by", &rotation.actor);
    match outcome {
        RotationOutcome::Done(_) => own,
        RotationOutcome::Failed(reason) => own.ended::<()>(&Err(Problem::new(reason, ""))),
        RotationOutcome::Skipped => own.with("outcome", "SKIPPED"),
    }
}

/// Whether a hook got its secret since `asked`: by this rotation, or by whatever came after it.
fn is_rotated(hook: &Hook, asked: Timestamp) -> bool {
    hook.step.is_none()
        && match hook.previous_secret_until {
            Some(_) => hook.secret_created >= asked,
            None => hook.secret_created > asked,
        }
}

/// One report for each hook, with the first of its sources.
fn reports(sources: &[Source]) -> Vec<HookRotationReport> {
    let mut known = BTreeSet::new();
    let fresh = sources
        .iter()
        .filter(|source| known.insert(source.hook.as_str().to_owned()));
    fresh
        .map(|source| HookRotationReport {
            hook: source.hook.clone(),
            source: source.name(),
            outcome: None,
            message: String::new(),
        })
        .collect()
}

fn note(report: &mut HookRotationReport, turn: &Turn) {
    match turn {
        Turn::Over(outcome, message) => {
            report.outcome = Some(*outcome);
            report.message.clone_from(message);
        }
        Turn::Later(message) => report.message.clone_from(message),
    }
}

fn rotation_key(rotation: &HookRotation) -> Key {
    Key::HookRotation(rotation.namespace.clone(), rotation.id.clone())
}

fn as_rotation(record: Record) -> Option<HookRotation> {
    if let Record::HookRotation(rotation) = record {
        Some(rotation)
    } else {
        None
    }
}
