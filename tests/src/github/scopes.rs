//! What OAuth scopes are called, contain and mean

use std::collections::BTreeSet;

/// A scope, what it contains, and what the consent page says about it
struct Scope(&'static str, &'static [&'static str], &'static str);

const SCOPES: &[Scope] = &[
    Scope(
        "repo",
        &[
            "repo:status",
            "repo_deployment",
            "public_repo",
            "repo:invite",
            "security_events",
        ],
        "Repositories: full control of public and private repositories",
    ),
    Scope(
        "public_repo",
        &[],
        "Public repositories: read and write access",
    ),
    Scope("repo:status", &[], "Commit statuses: read and write access"),
    Scope("repo_deployment", &[], "Deployments: read and write access"),
    Scope(
        "repo:invite",
        &[],
        "Repository invitations: read and write access",
    ),
    Scope(
        "security_events",
        &[],
        "Security events: read and write access",
    ),
    Scope(
        "admin:repo_hook",
        &["write:repo_hook", "read:repo_hook"],
        "Repository webhooks: full control",
    ),
    Scope(
        "write:repo_hook",
        &["read:repo_hook"],
        "Repository webhooks: read and write access",
    ),
    Scope(
        "read:repo_hook",
        &[],
        "Repository webhooks: read-only access",
    ),
    Scope(
        "admin:org",
        &["write:org", "read:org"],
        "Organizations and teams: full control",
    ),
    Scope(
        "write:org",
        &["read:org"],
        "Organizations and teams: read and write access",
    ),
    Scope("read:org", &[], "Organizations and teams: read-only access"),
    Scope("admin:org_hook", &[], "Organization webhooks: full control"),
    Scope(
        "user",
        &["read:user", "user:email", "user:follow"],
        "Personal user data: full access",
    ),
    Scope(
        "read:user",
        &[],
        "Personal user data: profile information (read-only)",
    ),
    Scope(
        "user:email",
        &[],
        "Personal user data: email addresses (read-only)",
    ),
    Scope(
        "user:follow",
        &[],
        "Personal user data: follow and unfollow other users",
    ),
    Scope("delete_repo", &[], "Repositories: delete"),
    Scope("gist", &[], "Gists: read and write access"),
    Scope("notifications", &[], "Notifications: read access"),
    Scope(
        "workflow",
        &[],
        "Workflow: update GitHub Actions workflow files",
    ),
];

/// Asks for expiring tokens in one request; it grants nothing by itself
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// The scopes in a list, known ones only, without those that others contain
pub(super) fn normalize<'a>(asked: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let asked: BTreeSet<_> = asked.into_iter().collect();
    let known = SCOPES.iter().filter(|scope| asked.contains(scope.0));
    let contained: BTreeSet<_> = known.clone().flat_map(|scope| scope.1).collect();
    let kept = known.filter(|scope| !contained.contains(&scope.0));
    kept.map(|scope| scope.0.to_owned()).collect()
}

/// What an authorization URL or a token request lists: separated by spaces or commas
pub(super) fn parse(list: &str) -> BTreeSet<String> {
    normalize(list.split([' ', ',', '+']))
}

/// Whether granted scopes are as good as a wanted one
pub(super) fn covers<'a>(granted: impl IntoIterator<Item = &'a String>, wanted: &str) -> bool {
    granted
        .into_iter()
        .any(|scope| scope == wanted || contents(scope).contains(&wanted))
}

/// What a person is told that a scope allows
pub(super) fn words(scope: &str) -> &'static str {
    let known = SCOPES.iter().find(|known| known.0 == scope);
    known.map_or("", |known| known.2)
}

fn contents(scope: &str) -> &'static [&'static str] {
    let known = SCOPES.iter().find(|known| known.0 == scope);
    known.map_or(&[], |known| known.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What contains another scope stands for both, and unknown ones grant nothing
    #[test]
    fn scopes_are_normalized() {
        let scopes = parse("repo public_repo,read:org offline_access nonsense write:org");
        let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
        assert_eq!(scopes, ["repo", "write:org"]);
        assert!(covers(&["admin:org".to_owned()], "read:org"));
        assert!(!covers(&["read:org".to_owned()], "write:org"));
    }
}
