//! Responses of real servers, and requests against the official description

#![forbid(unsafe_code)]

use bindery_plugin_gitea::Gitea;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Fixtures, Reply,
        openapi::{Api, NotDescribed},
    },
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
const NOT_DESCRIBED: [NotDescribed; 3] = [
    NotDescribed {
        method: "GET",
        path: "/repositories/{id}",
        why: "cut out: a repository by the number that stays when it is renamed",
    },
    NotDescribed {
        method: "GET",
        path: "/users/{username}/repos",
        why: "cut out: repositories of an owner that is no organization",
    },
    NotDescribed {
        method: "GET",
        path: "/users/{username}/orgs/{org}/permissions",
        why: "younger (1.16): what one may do in an organization; a server without it answers 404",
    },
];

/// Every request of every fixture is one that the server's own description knows, with its parameters and its body.
#[test]
fn requests_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let api = Api::new(corpus.json("gitea/openapi/gitea-1.14.2.trimmed.json"), API);
    let asked = Fixtures::of(env!("CARGO_MANIFEST_DIR")).requests();
    let checked = api.check_all(&asked, &NOT_DESCRIBED);
    let checked = checked.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(checked > 30, "{checked} requests");
}
