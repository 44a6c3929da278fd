//! Short tokens, as narrow as was asked for

use super::*;
use crate::v1::Permission;

const TOKENS: &str = "/app/installations/12/access_tokens";

fn input(repositories: &[&str], permissions: &[Permission]) -> v1::MintToken {
    v1::MintToken {
        repositories: repositories.iter().map(|&one| one.to_owned()).collect(),
        permissions: permissions.iter().map(|&one| one.into()).collect(),
    }
}

fn minted(selection: &str, repositories: &str) -> Reply {
    Reply::json(
        201,
        format!(
            r#"{{"token":"[redacted]","expires_at":"2027-01-15T09:00:00Z","repository_selection":"{selection}",
                "permissions":{{"metadata":"read","contents":"read"}}{repositories}}}"#
        ),
    )
}

fn mint(reply: Reply, input: v1::MintToken) -> testing::Run {
    app().on("POST", &api(TOKENS), reply).run(input)
}

const APP_REPOSITORY: &str = r#","repositories":[{"id":5,"full_name":"acme/app"}]"#;

/// Names go without their owner, permissions as GitHub calls them; the token is the daemon's, the plugin sees none.
#[test]
fn a_token_is_narrowed() {
    let run = mint(
        minted("selected", APP_REPOSITORY),
        input(&["acme/app"], &[Permission::ReadCode]),
    );
    let sent = &run.requests[0];
    assert_eq!(
        sent.body,
        r#"{"repositories":["app"],"permissions":{"contents":"read","metadata":"read"}}"#
    );
    assert_eq!(
        sent.captures,
        [("/token".to_owned(), "minted_token".to_owned())]
    );
    let told = run.minted();
    assert!(told.narrowed);
    assert_eq!(told.expire_unix, 1_800_003_600);
    assert_eq!(told.scopes, ["contents:read", "metadata:read"]);
}

/// By id a repository is found whatever its name is by now.
#[test]
fn ids_are_numbers() {
    let run = mint(
        minted("selected", APP_REPOSITORY),
        input(&["id:5"], &[Permission::WriteCode, Permission::ReadCode]),
    );
    assert_eq!(
        run.requests[0].body,
        r#"{"repository_ids":[5],"permissions":{"contents":"write","metadata":"read"}}"#
    );
    assert!(run.minted().narrowed);
}

/// Without limits the token has all of the installation, and does not claim to be narrow.
#[test]
fn all_is_not_narrow() {
    for selection in ["all", "selected"] {
        let run = mint(minted(selection, ""), input(&[], &[]));
        assert_eq!(run.requests[0].body, "{}");
        assert!(!run.minted().narrowed);
    }
    let wide = mint(
        minted("all", APP_REPOSITORY),
        input(&["acme/app"], &[Permission::ReadCode]),
    );
    assert!(!wide.minted().narrowed);
}

/// GitHub drops the owner of a name, so the answer has to say that it is the repository that was meant.
#[test]
fn a_name_means_its_owner_too() {
    let read = &[Permission::ReadCode];
    let run = driver()
        .credential(installed())
        .run(input(&["stranger/app"], read));
    assert_eq!(run.failure().code(), Code::NotFound);
    let renamed = r#","repositories":[{"id":5,"full_name":"newname/app"}]"#;
    let run = mint(minted("selected", renamed), input(&["acme/app"], read));
    assert_eq!(run.failure().code(), Code::NotFound);
    let silent = mint(minted("selected", ""), input(&["acme/app"], read));
    assert_eq!(silent.failure().code(), Code::MalformedResponse);
}

/// What can't be asked for is not asked for.
#[test]
fn odd_lists_are_refused() {
    let many = vec!["acme/app"; 501];
    for repositories in [many.as_slice(), &["acme/app", "id:5"], &["id:x"], &["app"]] {
        let run = driver()
            .credential(installed())
            .run(input(repositories, &[]));
        assert_eq!(run.failure().code(), Code::InvalidArgument);
    }
}

/// More than was granted is named; a repository that is not there is another thing.
#[test]
fn trap_2_more_than_granted_is_named() {
    let refused = |input: v1::MintToken| {
        let granted = Reply::json(200, installation(12, ACME, ""));
        app()
            .on("POST", &api(TOKENS), Reply::json(422, "{}"))
            .on("GET", &api("/app/installations/12"), granted)
            .run(input)
    };
    let run = refused(input(
        &["acme/app"],
        &[Permission::WriteCode, Permission::Webhooks],
    ));
    assert_eq!(run.failure().code(), Code::ScopeMissing);
    assert_eq!(
        run.failure().missing_scopes,
        ["contents:write", "repository_hooks:write"]
    );
    assert_eq!(
        run.failure().action_uri,
        "https://github.com/organizations/acme/settings/installations/12"
    );
    let run = refused(input(&["acme/other"], &[Permission::ReadCode]));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// Suspended, gone and refused are three things.
#[test]
fn suspended_gone_and_refused_are_told_apart() {
    let suspended = Reply::json(403, r#"{"message":"This installation has been suspended"}"#);
    let run = mint(suspended, input(&[], &[]));
    assert_eq!(run.failure().code(), Code::Suspended);
    let gone = app()
        .on("POST", &api(TOKENS), Reply::status(404))
        .on("GET", &api("/app"), Reply::json(200, APP))
        .run(input(&[], &[]));
    assert_eq!(gone.failure().code(), Code::NotInstalled);
    let run = mint(Reply::status(401), input(&[], &[]));
    assert_eq!(run.failure().code(), Code::ClientRefused);
}
