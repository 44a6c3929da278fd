//! Responses of real servers, and the shapes that the server's own tests demand

#![forbid(unsafe_code)]

use std::{collections::BTreeSet, fs, path::Path};

use bindery_plugin_gitlab::GitLab;
use bindery_plugin_sdk::{
    testing::{Corpus, Driver, Manifest, Reply},
    v1::{self, AccountKind, Code, OrganizationAccess},
};
use serde_json::{Map, Value, json};

const WEB: &str = "https://git.test/gitlab";
const API: &str = "https://git.test/gitlab/api/v4";
const SELF: &str = "/personal_access_tokens/self";

/// Users, alone and in lists.
const USERS: [&str; 3] = [
    "go-gitlab.get_user",
    "go-gitlab.search_users",
    "go-scm.user_search",
];

/// Tokens, alone and in lists, with and without what made them.
const TOKENS: [&str; 6] = [
    "go-gitlab.create_project_access_token",
    "go-gitlab.get_group_access_token",
    "go-gitlab.list_personal_access_tokens_single",
    "go-gitlab.list_personal_access_tokens_without_user_filter",
    "go-gitlab.post_user_personal_access_tokens",
    "go-gitlab.rotate_personal_access_token",
];

const PROJECTS: [&str; 2] = ["go-scm.repos", "go-scm.subgroup"];
const GROUPS: [&str; 1] = ["go-scm.groups"];
const BRANCHES: [&str; 3] = [
    "go-gitlab.list_branches",
    "go-scm.branch",
    "go-scm.branches_filter",
];
const TAGS: [&str; 1] = ["go-scm.tags"];

/// Answers to what this plugin does not ask.
const OTHERS: [&str; 4] = [
    "go-scm.commits",
    "go-scm.emails",
    "go-scm.hooks",
    "go-scm.release",
];

fn manifest() -> Manifest {
    toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
}

fn driver(method: &str, path: &str, reply: Reply) -> Driver<GitLab> {
    Driver::new()
        .host(WEB, API)
        .manifest(manifest())
        .credential(v1::Credential {
            auth_kind: v1::AuthKind::AccessToken.into(),
            token_kind: "access_token".to_owned(),
            ..v1::Credential::default()
        })
        .on(method, &format!("{API}{path}"), reply)
}

fn read(corpus: &Corpus, name: &str) -> Value {
    corpus.json(&format!("gitlab/api/{name}.json"))
}

/// What a file holds: one, or each of a list.
fn each(corpus: &Corpus, names: &[&str]) -> Vec<Value> {
    let all = names.iter().flat_map(|name| match read(corpus, name) {
        Value::Array(list) => list,
        one => vec![one],
    });
    all.collect()
}

fn refs(kind: v1::RefKind) -> v1::ListRefs {
    v1::ListRefs {
        repository: "id:1".to_owned(),
        kind: kind.into(),
        ..v1::ListRefs::default()
    }
}

const BRANCHES_PATH: &str = "/projects/1/repository/branches?per_page=100";
const TAGS_PATH: &str = "/projects/1/repository/tags?order_by=name&sort=asc&per_page=100";
const PROJECTS_PATH: &str =
    "/projects?membership=true&pagination=keyset&order_by=id&sort=asc&per_page=100";

/// No recorded answer is left out.
#[test]
fn every_recording_goes_through() {
    if Corpus::from_env().is_none() {
        return;
    }
    let folder = std::env::var_os("BINDERY_CORPUS").expect("the corpus was found");
    let files = fs::read_dir(Path::new(&folder).join("gitlab/api")).expect("a folder");
    let found: BTreeSet<String> = files
        .map(|file| file.expect("an entry").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let known = [
        &USERS[..],
        &TOKENS,
        &PROJECTS,
        &GROUPS,
        &BRANCHES,
        &TAGS,
        &OTHERS,
    ]
    .concat();
    let known: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
    assert_eq!(found, known);
}

/// Recorded users are read, by number, and none of them is a bot.
#[test]
fn recorded_users() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    for user in each(&corpus, &USERS) {
        let run = driver("GET", "/user", Reply::json(200, &user)).run(v1::Identify {});
        let identity = run.identity();
        assert_eq!(identity.stable_id, user["id"].to_string());
        assert_eq!(user["username"], identity.login.as_str());
        assert_eq!(identity.kind(), AccountKind::User);
    }
}

/// Recorded tokens are read: scopes, whether they are alive, and the day on which they end.
#[test]
fn recorded_tokens() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    for token in each(&corpus, &TOKENS) {
        let run = driver("GET", SELF, Reply::json(200, &token)).run(v1::InspectToken {});
        let facts = run.token_facts();
        assert_eq!(json!(facts.scopes), token["scopes"]);
        assert_eq!(json!(facts.active), token["active"]);
        assert_eq!(facts.expire_unix == 0, token["expires_at"].is_null());
    }
}

/// The recorded answer to a rotation gives the new expiry; its token is captured before it is read.
#[test]
fn recorded_rotation() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let current = read(&corpus, "go-gitlab.list_personal_access_tokens_single");
    let rotated = read(&corpus, "go-gitlab.rotate_personal_access_token");
    let run = driver("GET", SELF, Reply::json(200, current))
        .on(
            "POST",
            &format!("{API}{SELF}/rotate"),
            Reply::json(200, rotated),
        )
        .run(v1::RotateToken::default());
    // 2023-08-15.
    assert_eq!(run.token_facts().expire_unix, 1_692_057_600);
    assert_eq!(run.requests[1].captures[0].0, "/token");
}

/// Recorded projects are read, nested ones with their whole path, in a list and alone.
#[test]
fn recorded_projects() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let list = json!(each(&corpus, &PROJECTS));
    let run =
        driver("GET", PROJECTS_PATH, Reply::json(200, &list)).run(v1::ListRepositories::default());
    let found = run.repositories();
    let names: Vec<_> = found.iter().map(|one| one.full_name.as_str()).collect();
    assert_eq!(
        names,
        ["diaspora/diaspora", "gitlab-org/gitter/gitter-demo-app"]
    );
    assert!(!found[0].private && found[0].can_read);
    for (one, recorded) in found.iter().zip(list.as_array().expect("a list")) {
        let get = v1::GetRepository {
            repository: format!("id:{}", one.stable_id),
        };
        let path = format!("/projects/{}", one.stable_id);
        let run = driver("GET", &path, Reply::json(200, recorded)).run(get);
        assert_eq!(run.repository(), *one);
    }
}

/// Recorded groups are read, by their whole path.
#[test]
fn recorded_groups() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let list = read(&corpus, GROUPS[0]);
    let url = |level: &str| format!("{API}/groups?{level}&order_by=id&sort=asc&per_page=100");
    let mut driver = driver(
        "GET",
        "/groups/1?with_projects=false",
        Reply::json(200, &list[0]),
    );
    for level in [50, 40, 30, 20, 10] {
        driver = driver.on(
            "GET",
            &url(&format!("min_access_level={level}")),
            Reply::json(200, &list),
        );
    }
    let run = driver
        .on("GET", &url("all_available=false"), Reply::json(200, &list))
        .run(v1::ListOrganizations::default());
    let found = run.organizations();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (
            found[0].login.as_str(),
            found[0].role.as_str(),
            found[0].access()
        ),
        ("twitter", "owner", OrganizationAccess::Granted)
    );
}

/// Recorded branches and tags are read, tags with the commit that they point to.
#[test]
fn recorded_refs() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    for (names, path, kind) in [
        (&BRANCHES[..], BRANCHES_PATH, v1::RefKind::Branch),
        (&TAGS, TAGS_PATH, v1::RefKind::Tag),
    ] {
        let list = json!(each(&corpus, names));
        let run = driver("GET", path, Reply::json(200, &list)).run(refs(kind));
        let recorded = list.as_array().expect("a list");
        assert_eq!(run.refs().len(), recorded.len());
        for (one, recorded) in run.refs().iter().zip(recorded) {
            assert_eq!(recorded["name"], one.name.as_str());
            assert_eq!(recorded["commit"]["id"], one.commit.as_str());
        }
    }
}

/// An answer to another question is malformed, and never an empty list or half an identity.
#[test]
fn answers_to_other_questions_are_malformed() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    for name in OTHERS {
        let reply = || Reply::json(200, read(&corpus, name));
        for run in [
            driver("GET", "/user", reply()).run(v1::Identify {}),
            driver("GET", SELF, reply()).run(v1::InspectToken {}),
            driver("GET", PROJECTS_PATH, reply()).run(v1::ListRepositories::default()),
            driver("GET", BRANCHES_PATH, reply()).run(refs(v1::RefKind::Branch)),
            driver("GET", TAGS_PATH, reply()).run(refs(v1::RefKind::Tag)),
        ] {
            assert_eq!(run.failure().code(), Code::MalformedResponse, "{name}");
        }
    }
}

/// The least document that a schema admits: what is required, and of each the first type.
fn least(corpus: &Corpus, schema: &Value) -> Value {
    if let Some(file) = schema["$ref"].as_str() {
        let name = file.replace('/', "__");
        return least(
            corpus,
            &corpus.json(&format!("gitlab/openapi/schema.{name}")),
        );
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            let members = required.filter_map(Value::as_str).map(|name| {
                let member = least(corpus, &schema["properties"][name]);
                (name.to_owned(), member)
            });
            Value::Object(members.collect::<Map<_, _>>())
        }
        Some("array") => json!([]),
        Some("boolean") => json!(true),
        Some("integer") => json!(1),
        _ => json!("text"),
    }
}

/// All that is read of a branch is what the server's own schema requires: the least document is enough.
#[test]
fn a_branch_needs_no_more_than_its_schema_requires() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let branch = least(&corpus, &corpus.json("gitlab/openapi/schema.branch.json"));
    let reply = Reply::json(200, json!([branch]));
    let run = driver("GET", BRANCHES_PATH, reply).run(refs(v1::RefKind::Branch));
    let found = run.refs();
    assert_eq!(
        (
            found[0].name.as_str(),
            found[0].commit.as_str(),
            found[0].protected
        ),
        ("text", "text", true)
    );
}
