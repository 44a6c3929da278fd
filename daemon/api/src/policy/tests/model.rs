//! M5: the policy beside a few lines that say the same, over policies and questions of all kinds.

use proptest::prelude::*;

use super::*;

/// A rule as an operator writes it.
#[derive(Clone, Debug)]
struct Row {
    principals: Vec<&'static str>,
    namespaces: Vec<&'static str>,
    actions: Vec<Action>,
    repositories: Option<Vec<&'static str>>,
    wide_tokens: bool,
}

/// What is asked: by whom, what, where, and about which repository.
type Question = (
    (u32, u32),
    Action,
    Option<&'static str>,
    Option<&'static str>,
);

/// Names that are easily taken for each other.
const PRINCIPALS: [&str; 6] = [
    "uid:1000",
    "gid:1000",
    "uid:100",
    "gid:100",
    "uid:10",
    "dns:a.example",
];
const NAMESPACES: [&str; 6] = ["acme", "acme2", "acm", "a", "acme.x", "*"];
const REPOSITORIES: [&str; 6] = [
    "acme/api",
    "acme/api2",
    "acme/*",
    "tools/*",
    "tools/sub/*",
    "tools/sub/x",
];
const FULL_NAMES: [&str; 8] = [
    "acme/api",
    "acme/ap",
    "acme/api2",
    "tools/x",
    "tools2/x",
    "tools",
    "tools/sub/x",
    "x/tools/y",
];

fn some_of<T: Copy + fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    prop::sample::subsequence(all, 1..=all.len().min(3))
}

fn row() -> impl Strategy<Value = Row> {
    const CREDENTIALS: &[Action] = &[Action::CredentialRead, Action::CredentialWrite];
    let rights = prop_oneof![
        some_of(&Action::ALL).prop_map(|actions| (actions, None, false)),
        (
            some_of(CREDENTIALS),
            prop::option::of(some_of(&REPOSITORIES)),
            any::<bool>()
        ),
    ];
    (some_of(&PRINCIPALS), some_of(&NAMESPACES), rights).prop_map(
        |(principals, namespaces, (actions, repositories, wide_tokens))| Row {
            principals,
            namespaces,
            actions,
            repositories,
            wide_tokens,
        },
    )
}

fn question() -> impl Strategy<Value = Question> {
    let id = || prop::sample::select(&[10u32, 100, 1000, 1001][..]);
    (
        (id(), id()),
        prop::sample::select(&Action::ALL[..]),
        prop::option::weighted(0.9, prop::sample::select(&NAMESPACES[..5])),
        prop::option::weighted(0.9, prop::sample::select(&FULL_NAMES[..])),
    )
}

/// The file that says it.
fn written(rows: &[Row]) -> String {
    let list = |names: &[&str]| format!("{names:?}");
    let rule = |row: &Row| {
        let actions: Vec<_> = row.actions.iter().map(|action| action.as_str()).collect();
        let repositories = row.repositories.as_deref().map(list);
        format!(
            "[[allow]]\nprincipals = {}\nnamespaces = {}\nactions = {}\n{}",
            list(&row.principals),
            list(&row.namespaces),
            list(&actions),
            repositories.map_or_else(String::new, |list| {
                format!("repositories = {list}\nwide_tokens = {}\n", row.wide_tokens)
            }),
        )
    };
    rows.iter().map(rule).collect()
}

/// The rules that say anything to a caller about a namespace, or about the daemon where none is named.
fn about<'a>(
    rows: &'a [Row],
    (uid, gid): (u32, u32),
    namespace: Option<&'a str>,
) -> impl Iterator<Item = &'a Row> {
    let names = [format!("uid:{uid}"), format!("gid:{gid}")];
    let daemon = [Action::Provider, Action::HostRead, Action::Host];
    rows.iter().filter(move |row| {
        let theirs = row
            .principals
            .iter()
            .any(|known| names.contains(&(*known).to_owned()));
        theirs
            && namespace.is_none_or(|name| {
                (row.namespaces.contains(&"*") || row.namespaces.contains(&name))
                    && row.actions.iter().any(|action| !daemon.contains(action))
            })
    })
}

/// What the policy should say.
fn verdict(rows: &[Row], (caller, action, namespace, _): Question) -> Verdict {
    if about(rows, caller, namespace).any(|row| row.actions.contains(&action)) {
        return Verdict::Allowed;
    }
    match about(rows, caller, namespace).next() {
        Some(_) => Verdict::Known,
        None => Verdict::Unknown,
    }
}

/// What a token for a repository, or for all of them, may reach.
fn reach(rows: &[Row], (caller, action, namespace, full_name): Question) -> Option<Reach> {
    let allowing = |row: &&Row| {
        let names = full_name.is_some_and(|name| {
            let (owner, _) = name.rsplit_once('/').unwrap_or_default();
            let known = row.repositories.as_deref().unwrap_or_default();
            known.contains(&name) || known.contains(&format!("{owner}/*").as_str())
        });
        row.actions.contains(&action) && (row.repositories.is_none() || names)
    };
    let allowing: Vec<_> = about(rows, caller, namespace).filter(allowing).collect();
    let whole = |row: &&Row| row.repositories.is_none() || row.wide_tokens;
    match (allowing.is_empty(), allowing.iter().any(whole)) {
        (true, _) => None,
        (false, true) => Some(Reach::Whole),
        (false, false) => Some(Reach::Repository),
    }
}

proptest! {
    /// M5: to every question the interpreter says what the reference says: about a namespace, the daemon, a repository, all
    /// of them; and on the admin surface only the surface counts.
    #[test]
    fn m5_the_policy_says_what_the_reference_says(
        rows in prop::collection::vec(row(), 0..6),
        questions in prop::collection::vec(question(), 1..40),
    ) {
        let policy = parse::policy(&written(&rows)).expect("a valid policy");
        for question in questions {
            let ((uid, gid), action, namespace, full_name) = question;
            let public = caller(uid, gid);
            prop_assert_eq!(
                policy.judge(&public, action, namespace),
                verdict(&rows, question),
                "{:?}", question
            );
            let Some(namespace) = namespace else {
                continue;
            };
            prop_assert_eq!(
                policy.reach(&public, action, namespace, full_name),
                reach(&rows, question),
                "{:?}", question
            );
            let admin = Caller::new(Arc::new(Peer::of_process(uid, gid)), Surface::Admin);
            let whole = policy.reach(&admin, action, namespace, full_name);
            prop_assert_eq!(whole, Some(Reach::Whole));
        }
    }
}
