use std::sync::Arc;

use super::*;
use crate::{Surface, peer::Peer};

mod model;

const POLICY: &str = r#"
admins = ["gid:997"]

[[allow]]
principals = ["uid:1000"]
namespaces = ["acme"]
actions = ["read", "link"]

[[allow]]
principals = ["gid:100"]
namespaces = ["acme"]
actions = ["credential:read"]
repositories = ["acme/api", "tools/*"]

[[allow]]
principals = ["uid:1001"]
actions = ["host:read"]

[[allow]]
principals = ["uid:1002"]
namespaces = ["*"]
actions = ["read"]
"#;

fn caller(uid: u32, gid: u32) -> Caller {
    Caller::new(Arc::new(Peer::of_process(uid, gid)), Surface::Public)
}

/// What no rule allows is refused, and names are compared whole.
#[test]
fn default_is_no() {
    let policy = parse::policy(POLICY).expect("policy");
    let judge = |uid, action, namespace| policy.judge(&caller(uid, 1), action, namespace);
    assert_eq!(judge(1000, Action::Read, Some("acme")), Verdict::Allowed);
    assert_eq!(
        judge(1000, Action::CredentialRead, Some("acme")),
        Verdict::Known
    );
    for other in ["acme2", "acm", "a", "acme.x"] {
        assert_eq!(
            judge(1000, Action::Read, Some(other)),
            Verdict::Unknown,
            "{other}"
        );
    }
    assert_eq!(judge(100, Action::Read, Some("acme")), Verdict::Unknown);
    assert_eq!(
        judge(1002, Action::Read, Some("anything")),
        Verdict::Allowed
    );
}

/// A right on the daemon says nothing about namespaces, and the other way round.
#[test]
fn global_rights_are_apart() {
    let policy = parse::policy(POLICY).expect("policy");
    let caller = caller(1001, 1);
    assert_eq!(
        policy.judge(&caller, Action::HostRead, None),
        Verdict::Allowed
    );
    assert_ne!(policy.judge(&caller, Action::Host, None), Verdict::Allowed);
    assert_eq!(
        policy.judge(&caller, Action::Read, Some("acme")),
        Verdict::Unknown
    );
}

/// G6: a rule for some repositories gives no right to all of them, nor to their neighbours.
#[test]
fn g6_repositories_are_exact() {
    let policy = parse::policy(POLICY).expect("policy");
    let caller = caller(5, 100);
    let reach = |name| policy.reach(&caller, Action::CredentialRead, "acme", name);
    let may = |name| reach(name).is_some();
    assert_eq!(reach(Some("acme/api")), Some(Reach::Repository));
    assert_eq!(reach(Some("tools/x")), Some(Reach::Repository));
    for other in [
        "acme/api2",
        "acme/ap",
        "tools2/x",
        "tools",
        "tools/sub/x",
        "x/tools/y",
    ] {
        assert!(!may(Some(other)), "{other}");
    }
    assert!(!may(None));
}

/// Everything that is wrong is told at once, unknown keys included.
#[test]
fn all_errors_are_told() {
    let text = r#"
        admin = []
        [[allow]]
        principals = ["root", "dns:*.example.org", "uid:01"]
        namespaces = ["acme*"]
        actions = ["red"]
        repository = ["x"]
        [[allow]]
        principals = ["uid:1"]
        namespaces = ["a"]
        actions = ["read"]
        repositories = ["acme/**", "x"]
    "#;
    let Err(PolicyError::Invalid(errors)) = PolicyHandle::parse(text) else {
        panic!("accepted");
    };
    let all = errors.join("\n");
    for part in [
        "\"admin\"",
        "\"root\"",
        "dns:*.example.org",
        "uid:01",
        "acme*",
        "\"red\"",
        "\"repository\"",
        "acme/**",
        "\"x\"",
        "limits credentials only",
    ] {
        assert!(all.contains(part), "{part} is not in {all}");
    }
}

/// A broken file leaves the old policy in force; a changed one counts at once.
#[test]
fn reload_is_all_or_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("policy.toml");
    std::fs::write(&path, POLICY).expect("write");
    let handle = PolicyHandle::load(&path).expect("policy");
    std::fs::write(&path, "nonsense = 1").expect("write");
    assert!(handle.reload().is_err());
    assert_eq!(handle.current().len(), 4);
    assert!(handle.current().is_admin(&["gid:997".to_owned()]));
    std::fs::write(&path, "").expect("write");
    assert!(handle.renew().expect("valid"));
    assert_eq!(handle.current().len(), 0);
    assert!(!handle.renew().expect("valid"));
}

/// The sample is the manual: as it is it allows nothing, its example parses, and each right is told in its words.
#[test]
fn the_sample_tells_every_right() {
    let sample = include_str!("../../../../systemd/policy.toml");
    assert_eq!(parse::policy(sample).expect("sample").len(), 0);
    let example: String = sample
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .fold(String::new(), |all, line| all + line + "\n");
    let example = parse::policy(&example).expect("example");
    assert_eq!(example.len(), 3);
    assert!(example.is_admin(&["gid:997".to_owned()]));
    let told = |action: &Action| {
        let named = format!("#   {} ", action.as_str());
        sample.lines().any(|line| line.starts_with(&named))
    };
    let untold: Vec<_> = Action::ALL
        .into_iter()
        .filter(|action| !told(action))
        .collect();
    assert!(untold.is_empty(), "not in the sample: {untold:?}");
}

/// G1: who is not there at the moment is judged by the policy of the moment, by each of the names that were noted; what was asked
/// for on the admin surface is no matter of the policy.
#[test]
fn g1_absent_callers_are_judged_anew() {
    let with = |actions: &str| {
        let text = format!(
            "[[allow]]\nprincipals = [\"gid:100\"]\nnamespaces = [\"acme\"]\nactions = [{actions}]\n"
        );
        PolicyHandle::parse(&text).expect("policy")
    };
    let names = ["uid:1000".to_owned(), "gid:100".to_owned()];
    let space = |name| NamespaceName::parse(name).expect("name");
    let right = with("\"event\", \"event:payload\"");
    assert!(right.may_see_payloads(&names, &space("acme")));
    assert!(!right.may_see_payloads(&names[..1], &space("acme")));
    assert!(!right.may_see_payloads(&names, &space("globex")));
    assert!(!right.may_see_payloads(&[], &space("acme")));
    let ended = with("\"event\"");
    assert!(!ended.may_see_payloads(&names, &space("acme")));
    assert!(ended.may_see_payloads(&[OPERATOR.to_owned()], &space("acme")));
}
