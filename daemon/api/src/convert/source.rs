//! Sources and their hooks.

use std::time::Duration;

use bindery_core::{
    hook::{Hook, HookState},
    name::SourceId,
    receipt::ReceiptStep,
    rotation::{HookRotation, HookRotationReport, RotationOutcome},
    source::{Build, Pattern, Rule},
};
use bindery_engine::{
    Engine,
    hooks::Orphan,
    sources::{SourceSettings, SourceView},
};
use bindery_proto::v1::{self as wire, hook::State, hook_rotation, pattern, rule};

use super::common::{self, duration, time};
use crate::{
    fields::{Fields, wrong},
    names::{self, RepositoryRef},
    status::Failure,
};

/// Shortest time between two comparisons of refs.
const SHORTEST: Duration = Duration::from_secs(60);

/// A source with its hook.
pub(crate) fn source(engine: &Engine, view: SourceView) -> wire::Source {
    let (record, version) = (view.source.record, view.source.version);
    wire::Source {
        name: record.name().to_string(),
        repository: record.repository,
        repository_full_name: record.full_name,
        display_name: record.display_name,
        rules: record.rules.into_iter().map(rule_out).collect(),
        max_triggers_per_minute: record.max_triggers_per_minute,
        ignore_skip_marks: record.ignore_skip_marks,
        paused: record.paused,
        reconcile_interval: record.reconcile.and_then(|wait| wait.try_into().ok()),
        hook: view.hook.map(|hook| self::hook(engine, hook)),
        labels: record.labels,
        annotations: record.annotations,
        created_by: Some(common::principal(&record.created_by)),
        create_time: Some(time(record.created)),
        update_time: Some(time(record.updated)),
        etag: version.to_string(),
    }
}

/// A hook. One that the app's serves has neither address nor secret of its own.
pub(crate) fn hook(engine: &Engine, hook: Hook) -> wire::Hook {
    let facts = wire::SecretFacts {
        create_time: Some(time(hook.secret_created)),
        fingerprint: hook.secret_fingerprint,
        ..wire::SecretFacts::default()
    };
    wire::Hook {
        delivery_uri: if hook.by_app {
            String::new()
        } else {
            engine.hook_url(&hook.id)
        },
        stable_id: hook.provider_id,
        state: state(hook.state).into(),
        message: hook.message,
        who_must_act: common::who(hook.who).into(),
        action_uri: hook.action_uri,
        verify_time: hook.verified.map(time),
        last_delivery_time: hook.last_delivery.map(time),
        secret_facts: (!hook.by_app).then_some(facts),
        previous_secret_until_time: hook.previous_secret_until.map(time),
        source_count: i32::try_from(hook.sources.len()).unwrap_or(i32::MAX),
        by_app: hook.by_app,
    }
}

/// The state of a hook, as callers see it.
pub(crate) const fn state(state: HookState) -> State {
    match state {
        HookState::Pending => State::Pending,
        HookState::Verified => State::Verified,
        HookState::Silent => State::Silent,
        HookState::Rejecting => State::Rejecting,
        HookState::DisabledByProvider => State::DisabledByProvider,
        HookState::Missing => State::Missing,
        HookState::Forbidden => State::Forbidden,
        HookState::Changed => State::Changed,
    }
}

/// What people say about a source, checked field by field.
pub(crate) fn settings(given: &wire::Source) -> Result<SourceSettings, Failure> {
    let mut fields = Fields::default();
    fields.text("source.display_name", &given.display_name, 200);
    fields.labels("source.labels", &given.labels);
    fields.annotations("source.annotations", &given.annotations);
    let rules = given.rules.iter().enumerate();
    let rules = rules
        .filter_map(|(at, rule)| fields.take(&format!("source.rules[{at}]"), rule_in(rule)))
        .collect();
    let reconcile = fields.take("source.reconcile_interval", interval(given));
    fields.finish()?;
    Ok(SourceSettings {
        display_name: given.display_name.clone(),
        rules,
        max_triggers_per_minute: given.max_triggers_per_minute,
        ignore_skip_marks: given.ignore_skip_marks,
        paused: given.paused,
        reconcile: reconcile.flatten(),
        labels: given.labels.clone(),
        annotations: given.annotations.clone(),
    })
}

fn interval(given: &wire::Source) -> Result<Option<Duration>, &'static str> {
    let Some(wire) = given.reconcile_interval else {
        return Ok(None);
    };
    match duration(wire) {
        Some(wait) if wait.is_zero() || wait >= SHORTEST => Ok(Some(wait)),
        _ => Err("is shorter than a minute and not zero; give 60s or more, or 0s for never"),
    }
}

fn rule_in(given: &wire::Rule) -> Result<Rule, String> {
    let exclude = match rule::Action::try_from(given.action) {
        Ok(rule::Action::Unspecified | rule::Action::Include) => false,
        Ok(rule::Action::Exclude) => true,
        Err(_) => return Err("names no known action".to_owned()),
    };
    Ok(Rule {
        id: given.id.clone(),
        exclude,
        branches: patterns(&given.branches)?,
        tags: patterns(&given.tags)?,
        paths: patterns(&given.paths)?,
        build: given.build.clone().map(build_in),
    })
}

fn patterns(given: &[wire::Pattern]) -> Result<Vec<Pattern>, String> {
    let one = |pattern: &wire::Pattern| match &pattern.kind {
        Some(pattern::Kind::Glob(glob)) => Ok(Pattern::Glob(glob.clone())),
        Some(pattern::Kind::Regex(regex)) => Ok(Pattern::Regex(regex.clone())),
        None => Err("has a pattern without a glob or regex".to_owned()),
    };
    given.iter().map(one).collect()
}

fn build_in(given: wire::Build) -> Build {
    Build {
        image_repository: given.image_repository,
        tag_template: given.tag_template,
        context_path: given.context_path,
        file_path: given.file_path,
        arguments: given.arguments,
    }
}

fn rule_out(rule: Rule) -> wire::Rule {
    let action = if rule.exclude {
        rule::Action::Exclude
    } else {
        rule::Action::Include
    };
    let out = |patterns: Vec<Pattern>| patterns.into_iter().map(pattern_out).collect();
    wire::Rule {
        id: rule.id,
        action: action.into(),
        branches: out(rule.branches),
        tags: out(rule.tags),
        paths: out(rule.paths),
        build: rule.build.map(build),
    }
}

fn pattern_out(pattern: Pattern) -> wire::Pattern {
    let kind = match pattern {
        Pattern::Glob(glob) => pattern::Kind::Glob(glob),
        Pattern::Regex(regex) => pattern::Kind::Regex(regex),
    };
    wire::Pattern { kind: Some(kind) }
}

/// What a registry builds.
fn build(build: Build) -> wire::Build {
    wire::Build {
        image_repository: build.image_repository,
        tag_template: build.tag_template,
        context_path: build.context_path,
        file_path: build.file_path,
        arguments: build.arguments,
    }
}

/// The id that a caller chose; `None` to have one made.
pub(crate) fn source_id(text: &str) -> Result<Option<SourceId>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = SourceId::parse(text).map(Some);
    parsed.map_err(|error| wrong("source_id", format!("is no id: {error}")))
}

/// The repository that is asked for, as the engine names it.
pub(crate) fn repository(text: &str) -> Result<String, Failure> {
    let parsed = RepositoryRef::parse(text);
    parsed.map(|name| name.to_engine()).ok_or_else(|| {
        let why =
            "is no repository; give its full name, such as acme/api, or the provider's stable id";
        wrong("source.repository", why)
    })
}

/// Rotations of one id, as one.
pub(crate) fn rotation(name: String, parts: &[HookRotation]) -> wire::HookRotation {
    let reports = || parts.iter().flat_map(|part| &part.hooks);
    let count = |is: fn(&HookRotationReport) -> bool| {
        i32::try_from(reports().filter(|one| is(one)).count()).unwrap_or(i32::MAX)
    };
    let failed = count(|one| matches!(one.outcome, Some(RotationOutcome::Failed(_))));
    let running = parts.iter().any(|part| part.finished.is_none());
    let state = match (running, failed) {
        (true, _) => hook_rotation::State::Running,
        (false, 0) => hook_rotation::State::Done,
        (false, _) => hook_rotation::State::DoneWithFailures,
    };
    let first = parts.first();
    let finished = parts.iter().filter_map(|part| part.finished).max();
    wire::HookRotation {
        name,
        state: state.into(),
        total_count: count(|_| true),
        done_count: count(|one| matches!(one.outcome, Some(RotationOutcome::Done(_)))),
        failed_count: failed,
        skipped_count: count(|one| one.outcome == Some(RotationOutcome::Skipped)),
        overlap: first.and_then(|part| part.overlap.try_into().ok()),
        actor: first.map(|part| common::principal(&part.actor)),
        create_time: first.map(|part| time(part.created)),
        finish_time: finished.filter(|_| !running).map(time),
    }
}

/// What a rotation did to one hook.
pub(crate) fn report(report: HookRotationReport) -> wire::HookRotationReport {
    let (state, reason, until) = match report.outcome {
        None => (hook_rotation::State::Running, "", None),
        Some(RotationOutcome::Done(until)) => (hook_rotation::State::Done, "", Some(until)),
        Some(RotationOutcome::Failed(reason)) => (
            hook_rotation::State::DoneWithFailures,
            reason.as_str(),
            None,
        ),
        Some(RotationOutcome::Skipped) => (hook_rotation::State::Skipped, "", None),
    };
    wire::HookRotationReport {
        source: report.source.to_string(),
        state: state.into(),
        reason: reason.to_owned(),
        message: report.message,
        previous_secret_until_time: until.map(time),
    }
}

/// An orphaned hook.
pub(crate) fn orphan(orphan: Orphan) -> wire::OrphanHook {
    wire::OrphanHook {
        link: format!("namespaces/{}/links/{}", orphan.namespace, orphan.link),
        repository: orphan.repository,
        repository_full_name: orphan.full_name,
        hook_id: orphan.hook_id,
        delivery_uri: orphan.url,
        action_uri: orphan.action_uri,
    }
}

/// An orphaned hook that is to be removed, as it was listed.
pub(crate) fn orphan_in(given: wire::OrphanHook) -> Result<Orphan, Failure> {
    let (namespace, link) = names::link(&given.link)?;
    let plain = |text: &str| (1..=1000).contains(&text.len()) && !text.contains(char::is_control);
    let mut fields = Fields::default();
    fields.check(plain(&given.hook_id), "hooks.hook_id", "is no id of a hook");
    let repository = matches!(
        RepositoryRef::parse(&given.repository),
        Some(RepositoryRef::StableId(_))
    );
    fields.check(
        repository,
        "hooks.repository",
        "is no stable id of a repository",
    );
    fields.text(
        "hooks.repository_full_name",
        &given.repository_full_name,
        1000,
    );
    fields.finish()?;
    Ok(Orphan {
        namespace,
        link,
        repository: given.repository,
        full_name: given.repository_full_name,
        hook_id: given.hook_id,
        url: given.delivery_uri,
        action_uri: given.action_uri,
    })
}

/// Steps of cleaning up.
pub(crate) fn steps(steps: &[ReceiptStep]) -> Vec<wire::CleanupStep> {
    steps.iter().map(super::receipt::step).collect()
}

/// What a filter compares a source with.
pub(crate) fn field_of(source: &wire::Source, field: &str) -> String {
    let hook = || source.hook.clone().unwrap_or_default();
    match field {
        "repository" => source.repository.clone(),
        "hook.state" => {
            let name = hook().state().as_str_name();
            name.strip_prefix("STATE_").unwrap_or(name).to_owned()
        }
        "paused" => source.paused.to_string(),
        label => crate::filter::label_of(&source.labels, label),
    }
}
