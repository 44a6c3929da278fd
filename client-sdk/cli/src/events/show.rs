//! Events and consumers as they are printed.

use bindery_proto::v1::{
    Consumer, Event,
    event::{Change, TriggerVerdict},
};

use crate::{
    moment,
    record::{Record, id, word},
    resource::short,
    source::{build, hook_state},
    style::{Style, Tone},
    table::Cell,
};

impl Record for Event {
    const MESSAGE: &'static str = "bindery.v1.Event";
    const COLUMNS: &'static [&'static str] = &[
        "EVENT",
        "RECEIVED",
        "REPOSITORY",
        "CHANGE",
        "VERDICT",
        "BUILD",
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            short(&self.name).into(),
            moment::relative(self.receive_time.as_ref()).into(),
            self.repository_full_name.as_str().into(),
            change(self).into(),
            verdict(self),
            built(self).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let actor = self.actor.clone().unwrap_or_default();
        vec![
            ("name", self.name.as_str().into()),
            ("change", change(self).into()),
            ("repository", self.repository_full_name.as_str().into()),
            ("repository id", self.repository_stable_id.as_str().into()),
            ("by", actor.login.into()),
            (
                "happened",
                moment::exact(self.provider_time.as_ref()).into(),
            ),
            ("received", moment::exact(self.receive_time.as_ref()).into()),
            (
                "learned by",
                word(self.origin().as_str_name(), "ORIGIN_").into(),
            ),
            ("verdict", verdict(self)),
            ("rule", self.rule.as_str().into()),
            ("build", built(self).into()),
            ("commits", commits(self).into()),
            ("source", self.source.as_str().into()),
            ("link", self.link.as_str().into()),
            ("delivery", self.delivery.as_str().into()),
        ]
    }
}

/// An event on one line: number, time, repository, change, verdict, build.
pub(super) fn line(event: &Event, style: Style) -> String {
    let cells = [
        Cell::from(event.sequence.to_string()),
        Cell::from(moment::exact(event.receive_time.as_ref())),
        Cell::from(event.repository_full_name.as_str()),
        Cell::from(change(event)),
        verdict(event),
        Cell::from(built(event)),
    ];
    let words = cells.iter().filter(|cell| !cell.text.is_empty());
    let words = words.map(|cell| style.paint(cell.tone, &cell.text));
    words.collect::<Vec<_>>().join("  ")
}

/// What happened, in a few words.
fn change(event: &Event) -> String {
    match &event.change {
        Some(Change::Push(push)) => {
            let forced = if push.forced { "forced push" } else { "push" };
            format!("{forced} {} {}", push.r#ref, brief(&push.after_commit_id))
        }
        Some(Change::TagCreated(tag)) => format!("tag {} {}", tag.r#ref, brief(&tag.commit_id)),
        Some(Change::RefDeleted(deleted)) => format!("deleted {}", deleted.r#ref),
        Some(Change::RepositoryChanged(changed)) => {
            let kind = word(changed.kind().as_str_name(), "KIND_");
            let paths = [&*changed.before_full_name, &*changed.after_full_name];
            let paths: Vec<_> = paths.into_iter().filter(|path| !path.is_empty()).collect();
            format!("repository {kind} {}", paths.join(" to "))
        }
        Some(Change::AccessChanged(access)) => {
            let what = if access.lost { "lost" } else { "regained" };
            format!("access {what} {}", access.organization)
        }
        Some(Change::HookChanged(changed)) => {
            let hook = changed.hook.clone().unwrap_or_default();
            format!("hook {}", hook_state(&hook).text)
        }
        Some(Change::TriggerFired(fired)) => {
            format!(
                "trigger {} {} {}",
                id(&fired.trigger),
                fired.r#ref,
                brief(&fired.commit_id)
            )
        }
        None => String::new(),
    }
    .trim_end()
    .to_owned()
}

fn brief(commit: &str) -> String {
    commit.chars().take(12).collect()
}

fn verdict(event: &Event) -> Cell {
    let words = word(event.verdict().as_str_name(), "TRIGGER_VERDICT_");
    match event.verdict() {
        TriggerVerdict::Trigger => Cell::toned(words, Tone::Good),
        TriggerVerdict::HeldBack | TriggerVerdict::Paused => Cell::toned(words, Tone::Waiting),
        _ => words.into(),
    }
}

fn built(event: &Event) -> String {
    event.build.as_ref().map(build).unwrap_or_default()
}

fn commits(event: &Event) -> String {
    let Some(Change::Push(push)) = &event.change else {
        return String::new();
    };
    let lines = push.commits.iter().map(|commit| {
        let subject = commit.message.lines().next().unwrap_or_default();
        format!("{} {subject}", brief(&commit.id))
    });
    lines.collect::<Vec<_>>().join("; ")
}

impl Record for Consumer {
    const MESSAGE: &'static str = "bindery.v1.Consumer";
    const COLUMNS: &'static [&'static str] = &[
        "CONSUMER",
        "ACKNOWLEDGED",
        "SENT",
        "BACKLOG",
        "WATCHING",
        "ACTIVE",
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        let watching = if self.connected { "yes" } else { "no" };
        vec![
            short(&self.name).into(),
            self.acknowledged_sequence.to_string().into(),
            self.sent_sequence.to_string().into(),
            self.backlog.to_string().into(),
            watching.into(),
            moment::relative(self.active_time.as_ref()).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            (
                "acknowledged",
                self.acknowledged_sequence.to_string().into(),
            ),
            ("backlog", self.backlog.to_string().into()),
        ]
    }
}
