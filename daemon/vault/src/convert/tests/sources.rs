//! Sources and their rules.

use bindery_core::source::{Build, Pattern, Rule};

use super::*;

/// A source is written whole, its rules too.
#[test]
fn sources_are_written_whole() {
    assert_full(&full_source(), 20);
    let message = full_source().write();
    let rule = message.rules[0].encode_to_vec();
    assert_eq!(fields(&rule), (1..=6).collect());
    let build = message.rules[0].build.as_ref().unwrap().encode_to_vec();
    assert_eq!(fields(&build), (1..=5).collect());
}

/// Never, and as often as the daemon's default says, are two things.
#[test]
fn never_is_not_the_default() {
    for reconcile in [None, Some(Duration::ZERO)] {
        let source = Source {
            reconcile,
            ..full_source()
        };
        assert_eq!(record::<Source>(&bytes(&source)), Ok(source));
    }
}

/// A source that is not whole is no source.
#[test]
fn spoiled_sources_are_errors() {
    let broken: [fn(&mut disk::Source); 7] = [
        |source| source.namespace.clear(),
        |source| source.link = text("../root"),
        |source| source.id = text("a/b"),
        |source| source.host = text("HOST"),
        |source| source.hook.clear(),
        |source| source.behind = text("a/b"),
        |source| source.rules[0].tags[0].pattern = None,
    ];
    for (at, spoil) in broken.into_iter().enumerate() {
        let mut message = full_source().write();
        spoil(&mut message);
        assert!(Source::read(message).is_err(), "spoiled {at}");
    }
}

pub(super) fn samples() -> Vec<Record> {
    vec![
        Record::Source(full_source()),
        Record::Source(Source {
            display_name: String::new(),
            rules: vec![Rule::default()],
            max_triggers_per_minute: 0,
            ignore_skip_marks: false,
            paused: false,
            reconcile: None,
            labels: [].into(),
            annotations: [].into(),
            behind: None,
            disconnected: None,
            ..full_source()
        }),
    ]
}

fn full_source() -> Source {
    Source {
        namespace: namespace_name(),
        link: link_id(),
        id: source_id(),
        host: host_name(),
        repository: text("7"),
        full_name: text("acme/api"),
        display_name: text("API"),
        rules: vec![full_rule()],
        max_triggers_per_minute: 6,
        ignore_skip_marks: true,
        paused: true,
        reconcile: Some(Duration::from_secs(900)),
        hook: hook_id(),
        labels: [(text("a"), text("b"))].into(),
        annotations: [(text("c"), text("d"))].into(),
        created_by: text("someone"),
        created: at(1),
        updated: at(2),
        behind: Some(hook_id()),
        disconnected: Some(at(3)),
    }
}

fn full_rule() -> Rule {
    Rule {
        id: text("main"),
        exclude: true,
        branches: vec![Pattern::Glob(text("release/*"))],
        tags: vec![Pattern::Regex(text("v[0-9]+")), Pattern::Glob(text(""))],
        paths: vec![Pattern::Glob(text("src/**"))],
        build: Some(full_build()),
    }
}

pub(super) fn full_build() -> Build {
    Build {
        image_repository: text("acme/api"),
        tag_template: text("{branch}"),
        context_path: text("/"),
        file_path: text("Dockerfile"),
        arguments: [(text("KEY"), text("value"))].into(),
    }
}
