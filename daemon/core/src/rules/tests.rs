use std::collections::BTreeMap;

use super::*;
use crate::{
    name::{HookId, HostName, LinkId, NamespaceName, SourceId},
    provider::{Commit, Push, RefDeleted, TagCreated},
};

fn source(rules: Vec<Rule>) -> Source {
    Source {
        namespace: NamespaceName::parse("acme").expect("name"),
        link: LinkId::parse("l").expect("name"),
        id: SourceId::parse("s").expect("name"),
        host: HostName::parse("forge").expect("name"),
        repository: "1".to_owned(),
        full_name: "acme/api".to_owned(),
        display_name: String::new(),
        rules,
        max_triggers_per_minute: 0,
        ignore_skip_marks: false,
        paused: false,
        reconcile: None,
        hook: HookId::parse("h").expect("name"),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        created_by: String::new(),
        created: Timestamp::default(),
        updated: Timestamp::default(),
        behind: None,
        disconnected: None,
    }
}

fn globs(all: &[&str]) -> Vec<Pattern> {
    all.iter()
        .map(|one| Pattern::Glob((*one).to_owned()))
        .collect()
}

fn rule(id: &str, branches: &[&str], tags: &[&str], paths: &[&str]) -> Rule {
    Rule {
        id: id.to_owned(),
        branches: globs(branches),
        tags: globs(tags),
        paths: globs(paths),
        ..Rule::default()
    }
}

fn excluding(rule: Rule) -> Rule {
    Rule {
        exclude: true,
        ..rule
    }
}

fn subject(reference: &str) -> Subject<'_> {
    Subject {
        reference,
        commit: "0123456789abcdef",
        ..Subject::default()
    }
}

fn verdict(rules: Vec<Rule>, reference: &str) -> (Verdict, String) {
    let judged = judge(&source(rules), &subject(reference), true);
    (judged.verdict, judged.rule)
}

/// The table of what globs match.
#[test]
fn globs_match_whole_names_by_segments() {
    let table = [
        ("main", "main", true),
        ("main", "maintenance", false),
        ("release/*", "release/1", true),
        ("release/*", "release/1/2", false),
        ("release/**", "release/1/2", true),
        ("**/fix", "fix", true),
        ("**/fix", "a/b/fix", true),
        ("**/fix", "prefix", false),
        ("v?", "v1", true),
        ("v?", "v", false),
        ("v?", "v/", false),
        ("*", "a/b", false),
        ("**", "a/b", true),
        ("v1.0", "v1x0", false),
        ("(a|b)", "a", false),
        ("ünï*", "ünïcode", true),
    ];
    for (glob, name, expected) in table {
        let found = captures(&Pattern::Glob(glob.to_owned()), name).is_some();
        assert_eq!(found, expected, "{glob} {name}");
    }
}

/// A regular expression matches the whole name, and alternatives can't escape from that.
#[test]
fn regular_expressions_match_whole_names() {
    for (regex, name, expected) in [
        ("v[0-9]+", "v12", true),
        ("v[0-9]+", "xv12", false),
        ("v[0-9]+", "v12x", false),
        ("a|b", "ab", false),
        ("a", "a\n", false),
    ] {
        let found = captures(&Pattern::Regex(regex.to_owned()), name).is_some();
        assert_eq!(found, expected, "{regex} {name}");
    }
}

/// What can't be read, or takes too much, is refused before it is kept.
#[test]
fn bad_patterns_are_refused() {
    let long = "a".repeat(PATTERN_BYTES + 1);
    for bad in ["", "(", "(?:(?:a{1000}){1000}){1000}", &long] {
        assert!(check(&Pattern::Regex(bad.to_owned())).is_err(), "{bad:.20}");
    }
    assert!(check(&Pattern::Glob("(".to_owned())).is_ok());
}

/// The first rule that matches decides; without any rule all is built, and with rules only what one of them names.
#[test]
fn the_first_matching_rule_decides() {
    let all = || {
        vec![
            excluding(rule("no-wip", &["wip/**"], &[], &[])),
            rule("branches", &["**"], &[], &[]),
            rule("releases", &[], &["v*"], &[]),
        ]
    };
    let is = |verdict, id: &str| (verdict, id.to_owned());
    assert_eq!(verdict(vec![], "refs/heads/x"), is(Verdict::Trigger, ""));
    assert_eq!(verdict(vec![], "refs/tags/x"), is(Verdict::Trigger, ""));
    assert_eq!(
        verdict(all(), "refs/heads/wip/a"),
        is(Verdict::Excluded, "no-wip")
    );
    assert_eq!(
        verdict(all(), "refs/heads/main"),
        is(Verdict::Trigger, "branches")
    );
    assert_eq!(
        verdict(all(), "refs/tags/v1"),
        is(Verdict::Trigger, "releases")
    );
    assert_eq!(verdict(all(), "refs/tags/x"), is(Verdict::Excluded, ""));
}

/// Paths limit a rule; a change whose paths are not known is built rather than lost.
#[test]
fn paths_limit_a_rule() {
    let paths = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let judged = |rules: Vec<Rule>, changed: Option<&[String]>| {
        let subject = Subject {
            paths: changed,
            ..subject("refs/heads/main")
        };
        judge(&source(rules), &subject, true).verdict
    };
    let code = || vec![rule("code", &[], &[], &["src/**", "Dockerfile"])];
    let (docs, both) = (paths(&["docs/a.md"]), paths(&["docs/a.md", "src/x.rs"]));
    assert_eq!(judged(code(), Some(&docs)), Verdict::Excluded);
    assert_eq!(judged(code(), Some(&both)), Verdict::Trigger);
    assert_eq!(judged(code(), None), Verdict::Trigger);
    let no_docs = || {
        vec![
            excluding(rule("docs", &[], &[], &["docs/**"])),
            rule("rest", &[], &[], &[]),
        ]
    };
    assert_eq!(judged(no_docs(), Some(&docs)), Verdict::Excluded);
    assert_eq!(judged(no_docs(), Some(&both)), Verdict::Trigger);
    assert_eq!(judged(no_docs(), Some(&[])), Verdict::Trigger);
    assert_eq!(judged(no_docs(), None), Verdict::Trigger);
}

/// Marks count in the message of the commit that is built only, in any case, and where they are not ignored.
#[test]
fn skip_marks_are_those_of_the_head_commit() {
    let commit = |id: &str, message: &str| Commit {
        id: id.to_owned(),
        message: message.to_owned(),
        ..Commit::default()
    };
    let push = |head: &str, older: &str| {
        Happening::Push(Push {
            reference: "refs/heads/main".to_owned(),
            after: "b".to_owned(),
            commits: vec![commit("a", older), commit("b", head)],
            ..Push::default()
        })
    };
    let tag = Happening::TagCreated(TagCreated {
        reference: "refs/tags/v1".to_owned(),
        commit_message: "fix [ci skip]".to_owned(),
        ..TagCreated::default()
    });
    let judged = |happening: &Happening, ignore| {
        let source = Source {
            ignore_skip_marks: ignore,
            ..source(vec![])
        };
        let subject = Subject::of(happening).expect("triggers");
        judge(&source, &subject, true).verdict
    };
    assert_eq!(judged(&push("x [Skip CI]", ""), false), Verdict::Skipped);
    assert_eq!(judged(&push("x [Skip CI]", ""), true), Verdict::Trigger);
    assert_eq!(judged(&push("x", "[skip ci]"), false), Verdict::Trigger);
    assert_eq!(judged(&push("skip ci", ""), false), Verdict::Trigger);
    assert_eq!(judged(&tag, false), Verdict::Skipped);
    let deleted = Happening::RefDeleted(RefDeleted::default());
    assert_eq!(Subject::of(&deleted), None);
}

/// What is paused is not held back, and what is excluded is neither.
#[test]
fn pauses_and_limits_come_after_rules() {
    let paused = Source {
        paused: true,
        ..source(vec![])
    };
    let main = subject("refs/heads/main");
    assert_eq!(judge(&paused, &main, false).verdict, Verdict::Paused);
    assert_eq!(
        judge(&source(vec![]), &main, false).verdict,
        Verdict::HeldBack
    );
    let none = source(vec![rule("tags", &[], &["*"], &[])]);
    assert_eq!(judge(&none, &main, false).verdict, Verdict::Excluded);
}

/// A template is filled in once, with what an image tag can hold.
#[test]
fn tag_templates_are_filled_in() {
    let filled = |template: &str, tags: Pattern, reference: &str| {
        let build = Build {
            tag_template: template.to_owned(),
            ..Build::default()
        };
        let rule = Rule {
            id: "r".to_owned(),
            branches: globs(&["**"]),
            tags: vec![tags],
            build: Some(build),
            ..Rule::default()
        };
        let judged = judge(&source(vec![rule]), &subject(reference), true);
        judged.build.expect("build").tag_template
    };
    let version = || Pattern::Regex(r"v(\d+)\.(\d+)(-rc)?".to_owned());
    for (template, reference, expected) in [
        ("{1}.{2}{3}", "refs/tags/v3.14", "3.14"),
        ("{1}.{2}{3}", "refs/tags/v3.14-rc", "3.14-rc"),
        ("{tag}-{short_commit}", "refs/tags/v3.14", "v3.14-0123456"),
        ("{branch}", "refs/heads/feature/x+y", "feature-x-y"),
        ("{branch}", "refs/heads/{commit}", "-commit-"),
        ("x{branch}", "refs/tags/v3.14", "x"),
        ("{commit}", "refs/heads/main", "0123456789abcdef"),
        ("{none}{", "refs/heads/main", "-none--"),
        ("{0}{10}", "refs/heads/main", "-0--10-"),
    ] {
        let expected = expected.trim_start_matches('-');
        let found = filled(template, version(), reference);
        assert_eq!(
            found.trim_start_matches('-'),
            expected,
            "{template} {reference}"
        );
    }
    let long = format!("refs/heads/{}", "a".repeat(300));
    assert_eq!(filled("{branch}", version(), &long).len(), 128);
}

/// A source triggers so often in any minute, and no more often.
#[test]
fn a_minute_has_room_for_so_many() {
    let at = |s: u64| Timestamp::from_unix_ms(s * 1000);
    let mut minute = LastMinute::default();
    minute.note(2, 3, at(100));
    assert_eq!(minute.room(3, at(100)), 1);
    minute.note(1, 3, at(130));
    assert_eq!(minute.room(3, at(159)), 0);
    assert_eq!(minute.room(3, at(160)), 2);
    assert_eq!(minute.room(0, at(160)), u32::MAX);
}
