//! Responses of gitee.com, and requests against the official description

#![forbid(unsafe_code)]

use bindery_plugin_gitee::Gitee;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Fixtures, Reply,
        openapi::{Api, NotDescribed},
    },
    v1::{self, Code, OrganizationAccess},
};
use serde_json::{Value, json};

const API: &str = "https://gitee.test/api/v5";

fn driver(path: &str, reply: Reply) -> Driver<Gitee> {
    Driver::new()
        .host("https://gitee.test", API)
        .on("GET", &format!("{API}{path}"), reply)
}

fn recorded(corpus: &Corpus, name: &str) -> Value {
    corpus.json(&format!("gitee/api/go-scm.{name}.json"))
}

fn counted(body: impl std::fmt::Display) -> Reply {
    Reply::json(200, body)
        .header("total_count", "1")
        .header("total_page", "1")
}

/// A recorded person is read, as it is in a membership and in a commit.
#[test]
fn recorded_users() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let users = [
        recorded(&corpus, "membership")["user"].clone(),
        recorded(&corpus, "commit")["author"].clone(),
        recorded(&corpus, "compare")["base_commit"]["committer"].clone(),
    ];
    for user in users {
        let run = driver("/user", Reply::json(200, user)).run(v1::Identify {});
        let identity = run.identity();
        assert_eq!(
            (identity.stable_id.as_str(), identity.login.as_str()),
            ("1535738", "kit101")
        );
        assert_eq!(identity.web_uri, "https://gitee.com/kit101");
    }
}

/// A recorded list of organizations meets a recorded membership: the role is the provider's word.
#[test]
fn recorded_organizations() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let memberships = json!([recorded(&corpus, "membership")]);
    let organizations = recorded(&corpus, "orgs");
    let run = driver(
        "/user/memberships/orgs?page=1&per_page=100",
        counted(memberships),
    )
    .on(
        "GET",
        &format!("{API}/user/orgs?admin=false&page=1&per_page=100"),
        counted(organizations),
    )
    .on(
        "GET",
        &format!("{API}/user/enterprises?admin=false&page=1&per_page=100"),
        counted("[]"),
    )
    .run(v1::ListOrganizations::default());
    let found = run.organizations();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].stable_id.as_str(), found[0].role.as_str()),
        ("8538153", "admin")
    );
    assert_eq!(found[0].access(), OrganizationAccess::Granted);
}

/// Recorded repositories are read; what they call their page is their clone URL.
#[test]
fn recorded_repositories() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let recorded = recorded(&corpus, "repos");
    let run = driver("/user/repos?page=1&per_page=100", counted(&recorded))
        .run(v1::ListRepositories::default());
    let one = driver(
        "/repos/kit101/drone-yml-test",
        Reply::json(200, &recorded[0]),
    )
    .run(v1::GetRepository {
        repository: "kit101/drone-yml-test".to_owned(),
    });
    for found in [run.repositories()[0], one.repository()] {
        assert_eq!(
            (found.stable_id.as_str(), found.full_name.as_str()),
            ("14836026", "kit101/drone-yml-test")
        );
        assert_eq!(
            found.clone_uri,
            "https://gitee.com/kit101/drone-yml-test.git"
        );
        assert_eq!(found.web_uri, "https://gitee.com/kit101/drone-yml-test");
        assert_eq!(found.default_branch, "master");
        assert!(found.can_administer && !found.private && !found.archived);
    }
}

/// Recorded branches and tags are read. 1.1 is annotated and 1.2 is not, and both are the same commit.
#[test]
fn recorded_refs() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let branches = json!([recorded(&corpus, "branch")]);
    let run = driver(
        "/repos/a/b/branches?page=1&per_page=100",
        Reply::json(200, branches),
    )
    .on(
        "GET",
        &format!("{API}/repos/a/b/tags?page=1&per_page=100"),
        Reply::json(200, recorded(&corpus, "tags")),
    )
    .run(refs());
    let commit = |name: &str| {
        let found = run.refs().into_iter().find(|one| one.name == name);
        found.expect("the ref is listed").commit.clone()
    };
    assert_eq!(run.refs().len(), 5);
    assert_eq!(commit("master"), "e3c0ff4d5cef439ea11b30866fb1ed79b420801d");
    assert_eq!(commit("1.1"), commit("1.2"));
    assert_eq!(commit("1.1"), "5e7876efb3468ff679410b82a72f7c002382d41e");
}

/// A body of another kind, such as a recorded hook, is no identity and no repository; what it holds in clear is not
/// repeated.
#[test]
fn a_recorded_hook_is_nothing_else() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let hook = || Reply::json(200, recorded(&corpus, "hook"));
    let run = driver("/user", hook()).run(v1::Identify {});
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    let run = driver("/repos/a/b", hook()).run(v1::GetRepository {
        repository: "a/b".to_owned(),
    });
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    assert!(!run.failure().message.contains("123asdas123"));
}

fn refs() -> v1::ListRefs {
    v1::ListRefs {
        repository: "a/b".to_owned(),
        ..v1::ListRefs::default()
    }
}

/// Endpoints that were cut out of the description at hand.
const NOT_DESCRIBED: [NotDescribed; 2] = [
    NotDescribed {
        method: "GET",
        path: "/v5/user/enterprises",
        why: "cut out: the enterprises of a person",
    },
    NotDescribed {
        method: "GET",
        path: "/v5/enterprises/{enterprise}/repos",
        why: "cut out: the repositories of an enterprise",
    },
];

/// The description at hand (5.3.2 of 2022) with what is younger than it: branches and tags have pages (5.4), which an old
/// server does not look at, and a hook has a kind of encryption.
fn description(corpus: &Corpus) -> Value {
    let mut document = corpus.json("gitee/openapi/gitee-v5.3.2-2022.trimmed.json");
    let hooks = "/v5/repos/{owner}/{repo}/hooks";
    for (path, method, place, names) in [
        (
            "/v5/repos/{owner}/{repo}/branches",
            "get",
            "query",
            &["page", "per_page"][..],
        ),
        (
            "/v5/repos/{owner}/{repo}/tags",
            "get",
            "query",
            &["page", "per_page"],
        ),
        (hooks, "post", "formData", &["encryption_type"]),
        (
            &format!("{hooks}/{{id}}"),
            "patch",
            "formData",
            &["encryption_type"],
        ),
    ] {
        let parameters = &mut document["paths"][path][method]["parameters"];
        let parameters = parameters.as_array_mut().expect("a list");
        for name in names {
            let known = parameters.iter().any(|one| one["name"] == *name);
            assert!(!known, "{path}: {name} is described by now");
            parameters.push(json!({ "in": place, "name": name }));
        }
    }
    document
}

/// Every request of every fixture is one that the server's own description knows, with its parameters and its form.
#[test]
fn requests_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let api = Api::new(description(&corpus), "https://gitee.test/api");
    let asked = Fixtures::of(env!("CARGO_MANIFEST_DIR")).requests();
    let checked = api.check_all(&asked, &NOT_DESCRIBED);
    let checked = checked.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(checked > 30, "{checked} requests");
}
