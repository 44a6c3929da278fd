//! Sources, hooks and rules as they are printed.

use std::collections::BTreeMap;

use bindery_proto::v1::{
    Build, Hook, Pattern, Rule, Source, hook::State, pattern::Kind, rule::Action,
};

use crate::{
    args::Output,
    moment,
    problem::Problem,
    record::{Record, word},
    resource::short,
    session::Session,
    style::Tone,
    table::{self, Cell},
};

/// A source, and for people its rules as a table.
pub(super) fn source(source: &Source, session: &Session) -> Result<(), Problem> {
    session.show(source)?;
    if session.output != Output::Table || source.rules.is_empty() {
        return Ok(());
    }
    let header = ["RULE", "ACTION", "BRANCHES", "TAGS", "PATHS", "BUILD"];
    let rows: Vec<_> = source.rules.iter().map(rule).collect();
    session.text(&table::render(&header, &rows, session.answers))
}

impl Record for Source {
    const MESSAGE: &'static str = "bindery.v1.Source";
    const COLUMNS: &'static [&'static str] =
        &["SOURCE", "REPOSITORY", "RULES", "HOOK", "LAST DELIVERY"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        let hook = self.hook.clone().unwrap_or_default();
        vec![
            short(&self.name).into(),
            self.repository_full_name.as_str().into(),
            rules(self).into(),
            state(self, &hook),
            moment::relative(hook.last_delivery_time.as_ref()).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let hook = self.hook.clone().unwrap_or_default();
        let mut facts: Vec<(&'static str, Cell)> = vec![
            ("name", self.name.as_str().into()),
            ("repository", repository(self).into()),
            ("display name", self.display_name.as_str().into()),
            ("rules", rules(self).into()),
            ("paused", yes(self.paused).into()),
            ("triggers a minute", limit(self).into()),
            (
                "skip marks",
                if self.ignore_skip_marks {
                    "ignored"
                } else {
                    ""
                }
                .into(),
            ),
            ("reconciled", reconciled(self).into()),
            ("labels", pairs(&self.labels).into()),
        ];
        facts.extend(hook_facts(&hook));
        let created = moment::relative(self.create_time.as_ref());
        facts.push(("created", created.into()));
        facts
    }
}

fn hook_facts(hook: &Hook) -> Vec<(&'static str, Cell)> {
    let who = word(hook.who_must_act().as_str_name(), "WHO_MUST_ACT_");
    let secret = hook.secret_facts.clone().unwrap_or_default();
    let shared = match hook.source_count {
        0 | 1 => String::new(),
        count => format!("{count} sources"),
    };
    vec![
        ("hook", hook_state(hook)),
        ("message", hook.message.as_str().into()),
        ("who must act", who.into()),
        ("see", hook.action_uri.as_str().into()),
        ("delivers to", hook.delivery_uri.as_str().into()),
        ("serves", shared.into()),
        (
            "verified",
            moment::relative(hook.verify_time.as_ref()).into(),
        ),
        (
            "last delivery",
            moment::relative(hook.last_delivery_time.as_ref()).into(),
        ),
        ("secret", secret.fingerprint.into()),
        (
            "old secret ends",
            moment::relative(hook.previous_secret_until_time.as_ref()).into(),
        ),
    ]
}

fn repository(source: &Source) -> String {
    if source.repository_full_name.is_empty() {
        return source.repository.clone();
    }
    format!("{} (id {})", source.repository_full_name, source.repository)
}

fn rules(source: &Source) -> String {
    match source.rules.len() {
        0 => "all branches and tags".to_owned(),
        count => count.to_string(),
    }
}

fn limit(source: &Source) -> String {
    match source.max_triggers_per_minute {
        0 => String::new(),
        limit => format!("at most {limit}"),
    }
}

fn reconciled(source: &Source) -> String {
    match &source.reconcile_interval {
        None => String::new(),
        Some(interval) if interval.seconds == 0 => "never".to_owned(),
        Some(interval) => {
            let length = jiff::SignedDuration::from_secs(interval.seconds);
            format!("every {}", moment::span(length))
        }
    }
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let words = pairs.iter().map(|(key, value)| format!("{key}={value}"));
    words.collect::<Vec<_>>().join(", ")
}

fn yes(set: bool) -> &'static str {
    if set { "yes" } else { "" }
}

fn state(source: &Source, hook: &Hook) -> Cell {
    if source.paused {
        return Cell::toned(format!("paused, {}", hook_state(hook).text), Tone::Waiting);
    }
    hook_state(hook)
}

pub(crate) fn hook_state(hook: &Hook) -> Cell {
    let words = word(hook.state().as_str_name(), "STATE_");
    match hook.state() {
        State::Verified => Cell::toned(words, Tone::Good),
        State::Pending | State::Silent | State::Unspecified => Cell::toned(words, Tone::Waiting),
        _ => Cell::toned(words, Tone::Bad),
    }
}

fn rule(rule: &Rule) -> Vec<Cell> {
    let action = match rule.action() {
        Action::Exclude => "exclude",
        _ => "include",
    };
    vec![
        rule.id.as_str().into(),
        action.into(),
        patterns(&rule.branches).into(),
        patterns(&rule.tags).into(),
        patterns(&rule.paths).into(),
        build(&rule.build.clone().unwrap_or_default()).into(),
    ]
}

fn patterns(patterns: &[Pattern]) -> String {
    let words = patterns.iter().map(|pattern| match &pattern.kind {
        Some(Kind::Glob(glob)) => glob.clone(),
        Some(Kind::Regex(regex)) => format!("/{regex}/"),
        None => String::new(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `acme/api:{short_commit} from docker/Dockerfile.api`.
pub(crate) fn build(build: &Build) -> String {
    let tag = match build.tag_template.as_str() {
        "" => String::new(),
        tag => format!(":{tag}"),
    };
    let paths = [build.context_path.as_str(), build.file_path.as_str()];
    let paths: Vec<_> = paths.into_iter().filter(|path| !path.is_empty()).collect();
    let from = match paths.as_slice() {
        [] => String::new(),
        paths => format!("from {}", paths.join("/")),
    };
    let image = format!("{}{tag}", build.image_repository);
    format!("{image} {from}").trim().to_owned()
}
