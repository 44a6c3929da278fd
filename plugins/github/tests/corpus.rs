//! Recorded responses, and requests against the official description

#![forbid(unsafe_code)]

use bindery_plugin_github::GitHub;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Fixtures, Reply, Run,
        corpus::recording,
        fixtures::Asked,
        openapi::{Api, NotDescribed},
    },
    v1::{self, Code},
};
use serde_json::{Value, json};

const API: &str = "https://api.github.com";

fn driver(path: &str, reply: Reply) -> Driver<GitHub> {
    Driver::new()
        .host("https://github.com", API)
        .edition("cloud")
        .on("GET", &format!("{API}{path}"), reply)
}

/// Recorded exchanges of one scenario, by method and path.
fn scenario(corpus: &Corpus, name: &str, path: &str) -> Reply {
    let all = corpus.json(&format!("github/api/octokit-fixtures.{name}.exchange.json"));
    let fits = |one: &&Value| one["method"] == "get" && one["path"] == path;
    let one = all.as_array().into_iter().flatten().find(fits);
    let one = one.unwrap_or_else(|| panic!("{name} has no {path}"));
    recording(&one["status"], &one["headers"], &one["response"])
}

fn get(name: &str) -> v1::GetRepository {
    v1::GetRepository {
        repository: name.to_owned(),
    }
}

/// A recorded user is read, and recorded headers tell the scopes.
#[test]
fn recorded_user() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let run = driver("/user", corpus.body("github/api/go-scm.user.json")).run(v1::Identify {});
    assert_eq!(
        (
            run.identity().stable_id.as_str(),
            run.identity().display_name.as_str()
        ),
        ("1", "monalisa octocat")
    );
    let with_headers = scenario(
        &corpus,
        "get-repository",
        "/repos/octokit-fixture-org/hello-world",
    );
    let run = driver("/user", with_headers).run(v1::InspectToken {});
    assert!(run.token_facts().scopes_known);
    assert!(
        run.token_facts()
            .scopes
            .iter()
            .any(|scope| scope == "admin:repo_hook")
    );
}

/// Recorded organizations and a recorded membership are read.
#[test]
fn recorded_organizations() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let run = driver(
        "/user/orgs?per_page=100",
        corpus.body("github/api/go-scm.orgs.json"),
    )
    .on(
        "GET",
        &format!("{API}/user/memberships/orgs/github"),
        corpus.body("github/api/go-scm.membership.json"),
    )
    .on(
        "GET",
        &format!("{API}/users/octocat/orgs?per_page=100"),
        corpus.body("github/api/go-scm.orgs.json"),
    )
    .run(v1::ListOrganizations::default());
    assert_eq!(
        run.organizations()[0].access(),
        v1::OrganizationAccess::Granted
    );
}

/// Recorded repositories are read, also with nulls in them, and a genuine rename is followed.
#[test]
fn recorded_repositories() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let hello = scenario(
        &corpus,
        "get-repository",
        "/repos/octokit-fixture-org/hello-world",
    );
    let run = driver("/repos/octokit-fixture-org/hello-world", hello)
        .run(get("octokit-fixture-org/hello-world"));
    assert_eq!(
        (
            run.repository().stable_id.as_str(),
            run.repository().private
        ),
        ("1000", false)
    );
    let run = driver(
        "/repos/octocat/Hello-World",
        corpus.body("github/api/go-scm.repo.json"),
    )
    .run(get("octocat/Hello-World"));
    assert_eq!(run.repository().stable_id, "1296269");

    let all = "/user/repos?affiliation=owner%2Ccollaborator%2Corganization_member&sort=full_name&per_page=100";
    let holes = corpus.body("github/api/go-scm.reposWithNull.json");
    let run = driver(all, holes).run(v1::ListRepositories::default());
    assert!(run.outcome.is_ok() && !run.repositories().is_empty());

    let name = "rename-repository";
    let moved = scenario(
        &corpus,
        name,
        "/repos/octokit-fixture-org/rename-repository",
    );
    let run = driver("/repos/octokit-fixture-org/rename-repository", moved)
        .on(
            "GET",
            &format!("{API}/repositories/1000"),
            scenario(&corpus, name, "/repositories/1000"),
        )
        .run(get("octokit-fixture-org/rename-repository"));
    assert_eq!(
        run.repository().full_name,
        "octokit-fixture-org/rename-repository-newname"
    );
}

/// A recorded branch is read, and a recorded absence is one.
#[test]
fn recorded_refs() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let input = v1::ListRefs {
        repository: "octocat/Hello-World".to_owned(),
        kind: v1::RefKind::Branch.into(),
        ..v1::ListRefs::default()
    };
    let branches = json!([corpus.json("github/api/go-scm.branch.json")]);
    let path = "/repos/octocat/Hello-World/branches?per_page=100";
    let run = driver(path, Reply::json(200, branches)).run(input.clone());
    assert_eq!(
        run.refs()[0].commit,
        "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"
    );
    let absent = Reply::json(404, corpus.json("github/api/go-scm.error.json"));
    assert_eq!(
        driver(path, absent).run(input).failure().code(),
        Code::NotFound
    );
}

/// Endpoints that the description at hand lacks: it is cut to what somebody thought to matter.
const NOT_DESCRIBED: [NotDescribed; 3] = [
    NotDescribed {
        method: "GET",
        path: "/user/memberships/orgs/{org}",
        why: "cut out: one's own membership in an organization, beside the described list of them",
    },
    NotDescribed {
        method: "GET",
        path: "/users/{username}/orgs",
        why: "cut out: public memberships, which show organizations that shut the application out",
    },
    NotDescribed {
        method: "GET",
        path: "/users/{username}/repos",
        why: "cut out: repositories of an owner that is no organization",
    },
];

/// Links to further pages and to what was renamed have numbers in place of names, which no description has: what lies behind
/// them is checked as the same by its name.
fn by_name(mut asked: Asked) -> Asked {
    for (numbered, named) in [
        ("/repositories/", "/repos/owner/name"),
        ("/organizations/", "/orgs/name"),
    ] {
        let Some((base, rest)) = asked.sent.url.split_once(numbered) else {
            continue;
        };
        let number = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        assert!(number > 0, "{}", asked.sent.url);
        asked.sent.url = format!("{base}{named}{}", &rest[number..]);
    }
    asked
}

/// Every request of every fixture is one that the official description knows, with its parameters and its body.
#[test]
fn requests_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let document = corpus.json("github/openapi/api.github.com.trimmed.json");
    let asked = Fixtures::of(env!("CARGO_MANIFEST_DIR")).requests();
    let (cloud, server): (Vec<_>, Vec<_>) = asked
        .into_iter()
        .map(by_name)
        .partition(|asked| asked.edition == "cloud");
    let checked = Api::new(document.clone(), API).check_all(&cloud, &NOT_DESCRIBED);
    let checked = checked.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(checked > 60, "{checked} requests");
    // A server has the same API elsewhere.
    let checked = Api::new(document, "https://ghe.test/api/v3").check_all(&server, &[]);
    assert_eq!(checked, Ok(server.len()));
}

#[track_caller]
fn check(api: &Api, run: &Run) {
    assert!(!run.requests.is_empty());
    for sent in &run.requests {
        api.check(sent)
            .unwrap_or_else(|wrong| panic!("{} {}: {wrong}", sent.method, sent.url));
    }
}

/// Revocations are as described, body and all.
#[test]
fn revocations_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let api = Api::new(
        corpus.json("github/openapi/api.github.com.trimmed.json"),
        API,
    );
    for (auth, method, path, whole_grant) in [
        (
            v1::AuthKind::OauthCode,
            "DELETE",
            "/applications/client-1/grant",
            true,
        ),
        (
            v1::AuthKind::OauthCode,
            "DELETE",
            "/applications/client-1/token",
            false,
        ),
        (
            v1::AuthKind::AccessToken,
            "POST",
            "/credentials/revoke",
            true,
        ),
        (
            v1::AuthKind::AppInstallation,
            "DELETE",
            "/installation/token",
            false,
        ),
    ] {
        let credential = v1::Credential {
            auth_kind: auth.into(),
            client_id: "client-1".to_owned(),
            ..v1::Credential::default()
        };
        let run = Driver::<GitHub>::new()
            .host("https://github.com", API)
            .edition("cloud")
            .credential(credential)
            .on(method, &format!("{API}{path}"), Reply::status(500))
            .run(v1::Revoke { whole_grant });
        check(&api, &run);
    }
}
