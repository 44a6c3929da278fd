//! Responses of real servers, and requests against the official description

#![forbid(unsafe_code)]

use bindery_plugin_gitea::Gitea;
use bindery_plugin_sdk::{
    testing::{Corpus, Driver, Reply, Run, openapi::Api},
    v1::{self, Code, OrganizationAccess},
};
use serde_json::json;

const API: &str = "https://git.test/api/v1";

fn driver(path: &str, reply: Reply) -> Driver<Gitea> {
    Driver::new()
        .host("https://git.test", API)
        .on("GET", &format!("{API}{path}"), reply)
}

fn recorded(corpus: &Corpus, name: &str) -> Reply {
    corpus.exchange(&format!("gitea/api/recorded-1.14.2.{name}.exchange.json"))
}

/// Recorded users are read, and recorded refusals are refusals.
#[test]
fn recorded_users() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    for name in [
        "02-user",
        "88-user_after_pat_delete",
        "74-user_oauth_tokenscheme",
    ] {
        let run = driver("/user", recorded(&corpus, name)).run(v1::Identify {});
        assert_eq!(
            (
                run.identity().stable_id.as_str(),
                run.identity().login.as_str()
            ),
            ("2", "alice"),
            "{name}"
        );
    }
    let run = driver("/user", corpus.body("gitea/api/go-scm.user.json")).run(v1::Identify {});
    assert_eq!(run.identity().display_name, "Jane Citizen");
    for name in ["04-user_unauth", "115-inv_user_expired_access"] {
        let reply = recorded(&corpus, name);
        let run = driver("/user", reply.clone()).run(v1::InspectToken {});
        assert!(!run.token_facts().active, "{name}");
        let run = driver("/user", reply).run(v1::Identify {});
        assert_eq!(run.failure().code(), Code::Unauthenticated, "{name}");
    }
}

/// Recorded organizations are read: an empty list, and one with its permissions.
#[test]
fn recorded_organizations() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let list = "/user/orgs?page=1&limit=50";
    let run = driver(list, recorded(&corpus, "11-user_orgs")).run(v1::ListOrganizations::default());
    assert!(run.outcome.is_ok() && run.organizations().is_empty());
    let one = json!([corpus.json("gitea/api/go-scm.organization.json")]);
    let run = driver(list, Reply::json(200, one).header("x-total-count", "1"))
        .on(
            "GET",
            &format!("{API}/users/octocat/orgs/gogits/permissions"),
            corpus.body("gitea/api/go-scm.permissions.json"),
        )
        .run(v1::ListOrganizations::default());
    assert_eq!(run.organizations()[0].access(), OrganizationAccess::Granted);
}

/// Recorded repositories are read, with the end of the list where it was.
#[test]
fn recorded_repositories() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let input = v1::ListRepositories::default();
    let run = driver(
        "/user/repos?page=1&limit=50",
        recorded(&corpus, "66-user_repos_all"),
    )
    .run(input.clone());
    let names: Vec<_> = run
        .repositories()
        .iter()
        .map(|one| one.full_name.clone())
        .collect();
    assert_eq!(
        names,
        ["alice/app0", "alice/app1", "alice/app2", "acme/web"]
    );
    assert!(
        run.repositories()
            .iter()
            .all(|one| one.can_read && one.can_write && one.can_administer)
    );
    assert!(run.repositories()[3].private);

    let second = v1::ListRepositories {
        cursor: "2".to_owned(),
        page_size: 2,
        ..input.clone()
    };
    let run = driver(
        "/user/repos?page=2&limit=2",
        recorded(&corpus, "13-user_repos_p2"),
    )
    .run(second);
    assert_eq!(
        (
            run.repositories().len(),
            run.repository_pages()[0].next_cursor.as_str()
        ),
        (1, "")
    );

    let acme = v1::ListRepositories {
        owner: "acme".to_owned(),
        ..input
    };
    let run = driver(
        "/orgs/acme/repos?page=1&limit=50",
        recorded(&corpus, "65-org_repos"),
    )
    .run(acme);
    assert_eq!(run.repositories()[0].full_name, "acme/web");
}

/// A recorded repository is read, and a recorded absence is one.
#[test]
fn recorded_repository() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let get = |name: &str| v1::GetRepository {
        repository: name.to_owned(),
    };
    let reply = corpus.body("gitea/api/go-scm.repo.json");
    let run = driver("/repos/go-gitea/gitea", reply).run(get("go-gitea/gitea"));
    assert_eq!(run.repository().default_branch, "master");
    let run = driver("/repos/alice/nope", recorded(&corpus, "15-repo_404")).run(get("alice/nope"));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// Recorded branches are read, and no tags are no failure.
#[test]
fn recorded_refs() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let input = v1::ListRefs {
        repository: "alice/app0".to_owned(),
        ..v1::ListRefs::default()
    };
    let run = driver(
        "/repos/alice/app0/branches?page=1&limit=50",
        recorded(&corpus, "16-branches"),
    )
    .on(
        "GET",
        &format!("{API}/repos/alice/app0/tags?page=1&limit=50"),
        recorded(&corpus, "17-tags_empty"),
    )
    .run(input.clone());
    let refs = run.refs();
    assert_eq!(
        (refs.len(), refs[0].commit.as_str()),
        (1, "514b8edd7c6afdaa98c309292415402c82ed1fac")
    );

    let branches = json!([corpus.json("gitea/api/go-scm.branch.json")]);
    let reply = Reply::json(200, branches).header("x-total-count", "1");
    let input = v1::ListRefs {
        kind: v1::RefKind::Branch.into(),
        ..input
    };
    let run = driver("/repos/alice/app0/branches?page=1&limit=50", reply).run(input);
    assert_eq!(run.refs()[0].name, "master");
}

/// Endpoints that are younger than the description at hand (1.14.2), or that were cut out of it.
const NOT_DESCRIBED: [&str; 3] = ["/repositories/", "/users/", "/permissions"];

fn check(api: &Api, run: &Run) {
    assert!(!run.requests.is_empty());
    for sent in &run.requests {
        if !NOT_DESCRIBED.iter().any(|part| sent.url.contains(part)) {
            api.check(sent)
                .unwrap_or_else(|wrong| panic!("{} {}: {wrong}", sent.method, sent.url));
        }
    }
}

/// Every request is one that the server's own description knows.
#[test]
fn requests_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let api = Api::new(corpus.json("gitea/openapi/gitea-1.14.2.trimmed.json"), API);
    let empty = || Reply::json(200, "[]");
    let refused = || Reply::status(401);
    check(&api, &driver("/user", refused()).run(v1::Identify {}));
    check(&api, &driver("/user", refused()).run(v1::InspectToken {}));
    check(&api, &driver("/version", refused()).run(v1::Probe {}));
    check(
        &api,
        &driver("/user/orgs?page=1&limit=50", empty()).run(v1::ListOrganizations::default()),
    );
    check(
        &api,
        &driver("/user/repos?page=1&limit=50", empty()).run(v1::ListRepositories::default()),
    );
    let acme = v1::ListRepositories {
        owner: "acme".to_owned(),
        ..v1::ListRepositories::default()
    };
    check(
        &api,
        &driver("/orgs/acme/repos?page=1&limit=50", empty()).run(acme),
    );
    let get = v1::GetRepository {
        repository: "a/b".to_owned(),
    };
    check(&api, &driver("/repos/a/b", refused()).run(get));
    let refs = v1::ListRefs {
        repository: "a/b".to_owned(),
        ..v1::ListRefs::default()
    };
    let both = driver("/repos/a/b/branches?page=1&limit=50", empty()).on(
        "GET",
        &format!("{API}/repos/a/b/tags?page=1&limit=50"),
        empty(),
    );
    check(&api, &both.run(refs));
}
