//! Responses of real servers, and requests against the official descriptions

#![forbid(unsafe_code)]

use bindery_plugin_bitbucket::Bitbucket;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Fixtures, Reply,
        fixtures::Asked,
        openapi::{Api, NotDescribed},
    },
    v1::{self, Code, OrganizationAccess},
};
use serde_json::{Value, json};

const CLOUD: &str = "https://api.bitbucket.org/2.0";
const DATA_CENTER: &str = "https://git.test/bitbucket/rest/api/latest";

fn cloud(path: &str, reply: Reply) -> Driver<Bitbucket> {
    Driver::new()
        .edition("cloud")
        .host("https://bitbucket.org", CLOUD)
        .on("GET", &format!("{CLOUD}{path}"), reply)
}

fn data_center(path: &str, reply: Reply) -> Driver<Bitbucket> {
    Driver::new()
        .host("https://git.test/bitbucket", DATA_CENTER)
        .on("GET", &format!("{DATA_CENTER}{path}"), reply)
}

fn get(name: &str) -> v1::GetRepository {
    v1::GetRepository {
        repository: name.to_owned(),
    }
}

fn of_owner(owner: &str) -> v1::ListRepositories {
    v1::ListRepositories {
        owner: owner.to_owned(),
        ..v1::ListRepositories::default()
    }
}

fn refs(repository: &str, kind: v1::RefKind) -> v1::ListRefs {
    v1::ListRefs {
        repository: repository.to_owned(),
        kind: kind.into(),
        ..v1::ListRefs::default()
    }
}

/// A recorded item as the only one of a page.
fn page_of(item: &Value) -> Reply {
    Reply::json(200, json!({ "values": [item] }))
}

/// A recorded user is read, by the id that stays.
#[test]
fn cloud_user() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let reply = corpus.body("bitbucket/api/go-scm.user.json");
    let run = cloud("/user", reply).run(v1::Identify {});
    assert_eq!(
        run.identity().stable_id,
        "{87bb15eb-47c1-49b3-9f16-ca824a2979a4}"
    );
    assert_eq!(run.identity().login, "brydzewski");
}

/// Recorded workspaces are read, with an empty `next` as the end; a recorded one is what an access token is bound to.
#[test]
fn cloud_workspaces() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let reply = corpus.body("bitbucket/api/go-scm.user_workspaces.json");
    let permission = |slug: &str| format!("{CLOUD}/user/workspaces/{slug}/permission");
    let run = cloud("/user/workspaces?pagelen=100&sort=slug", reply)
        .on("GET", &permission("my-workspace"), Reply::json(200, "{}"))
        .on("GET", &permission("team-workspace"), Reply::json(403, "{}"))
        .run(v1::ListOrganizations::default());
    let found = run.organizations();
    assert_eq!(
        (found[0].role.as_str(), found[0].access()),
        ("owner", OrganizationAccess::Granted)
    );
    assert_eq!(found[0].display_name, "My Workspace");
    assert_eq!(found[1].access(), OrganizationAccess::RestrictedByPolicy);

    let team = corpus.body("bitbucket/api/go-scm.team.json");
    let run = cloud("/workspaces/atlassian", team)
        .credential(v1::Credential {
            auth_kind: v1::AuthKind::AccessToken.into(),
            token_kind: "access_token".to_owned(),
            username: "atlassian".to_owned(),
            ..v1::Credential::default()
        })
        .run(v1::Identify {});
    assert_eq!(
        run.identity().stable_id,
        "{02b941e3-cfaa-40f9-9a58-cec53e20bdc3}"
    );
}

const EXAMPLE: &str = "atlassian/stash-example-plugin";

/// Recorded repositories are read, with recorded permissions; one that names no repository gives nothing away.
#[test]
fn cloud_repositories() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let file = |name: &str| corpus.body(&format!("bitbucket/api/go-scm.{name}.json"));
    let permissions =
        format!("{CLOUD}/user/workspaces/atlassian/permissions/repositories?pagelen=100");
    let list = "/repositories/atlassian?role=member&pagelen=100";
    for (recorded, admin) in [
        ("user_repo_perm_admin", true),
        ("user_repo_perm_read", false),
        ("workspace_repo_perms_read", false),
    ] {
        let run = cloud(list, file("repo_as_list"))
            .on("GET", &permissions, file(recorded))
            .run(of_owner("atlassian"));
        let found = run.repositories();
        assert_eq!((found.len(), found[0].full_name.as_str()), (1, EXAMPLE));
        assert_eq!(found[0].can_administer, admin, "{recorded}");
    }
    let run = cloud(list, file("repos_empty")).run(of_owner("atlassian"));
    assert!(run.repositories().is_empty());

    let of_one = format!(
        "{CLOUD}/user/workspaces/atlassian/permissions/repositories?q=repository.full_name%3D%22atlassian%2F\
         stash-example-plugin%22&pagelen=100"
    );
    let run = cloud(&format!("/repositories/{EXAMPLE}"), file("repo"))
        .on("GET", &of_one, file("user_repo_perm_admin"))
        .run(get(EXAMPLE));
    let found = run.repository();
    assert_eq!(
        found.clone_uri,
        "https://bitbucket.org/atlassian/stash-example-plugin.git"
    );
    assert_eq!(found.default_branch, "master");
    assert!(found.can_administer);
}

/// A recorded absence is one.
#[test]
fn cloud_absence() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let error = corpus.json("bitbucket/api/go-scm.error.json");
    let run = cloud("/repositories/dev/null", Reply::json(404, error)).run(get("dev/null"));
    assert_eq!(run.failure().code(), Code::NotFound);
}

/// Recorded branches and tags are read, an annotated tag as its commit; a recorded commit is what a branch points to.
#[test]
fn cloud_refs() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let json = |name: &str| corpus.json(&format!("bitbucket/api/go-scm.{name}.json"));
    let list = |kind, name: &str, reply| {
        let path = format!("/repositories/{EXAMPLE}/refs/{name}?pagelen=100");
        let run = cloud(&path, reply).run(refs(EXAMPLE, kind));
        let found = run.refs().first().map(|&one| one.clone());
        found.expect("there is a ref")
    };
    let master = "a6e5e7d797edf751cbd839d6bd4aef86c941eec9";
    // The one who recorded it put the web host into `next`; a token does not go there.
    let mut branches = json("branches_filter");
    let path = format!("/repositories/{EXAMPLE}/refs/branches?pagelen=100");
    let run =
        cloud(&path, Reply::json(200, branches.clone())).run(refs(EXAMPLE, v1::RefKind::Branch));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
    branches["next"] = Value::Null;
    let commit = json("commits")["values"][0].clone();
    for reply in [
        Reply::json(200, branches),
        page_of(&json("branch")),
        page_of(&json!({ "name": "master", "target": commit })),
    ] {
        let found = list(v1::RefKind::Branch, "branches", reply);
        assert_eq!(
            (found.name.as_str(), found.commit.as_str()),
            ("master", master)
        );
    }
    let found = list(v1::RefKind::Tag, "tags", page_of(&json("tag")));
    assert_eq!(found.name, "@atlaskit/activity@1.0.3");
    assert_eq!(found.commit, "ceb01356c3f062579bdfeb15bc53fe151b9e00f0");
}

/// A recorded user is found by name where the slug is another.
#[test]
fn data_center_user() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let who = Reply::json(200, r#"{"version":"9.2.0"}"#).header("x-ausername", "jane%40example");
    let found = corpus.body("bitbucket-dc/api/go-scm.user_search.json");
    let users = format!("{DATA_CENTER}/users");
    let run = data_center("/application-properties", who)
        .on(
            "GET",
            &format!("{users}/jane%40example"),
            Reply::status(404),
        )
        .on("GET", &format!("{users}?filter=jane%40example"), found)
        .run(v1::Identify {});
    assert_eq!(
        (
            run.identity().stable_id.as_str(),
            run.identity().login.as_str()
        ),
        ("1", "jane@example")
    );
}

/// Recorded repositories are read; a page that says it is not the last one and names no next one is the end.
#[test]
fn data_center_repositories() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let file = |name: &str| corpus.body(&format!("bitbucket-dc/api/go-scm.{name}.json"));
    let permitted = |name: &str, more: &str| {
        format!("{DATA_CENTER}/repos?permission={name}{more}&start=0&limit=1000")
    };
    let run = data_center(
        "/repos?permission=REPO_READ&start=0&limit=100",
        file("repos_filter"),
    )
    .on("GET", &permitted("REPO_WRITE", ""), file("repos_filter"))
    .on(
        "GET",
        &permitted("REPO_ADMIN", ""),
        Reply::json(200, r#"{"values":[]}"#),
    )
    .run(v1::ListRepositories::default());
    let found = run.repositories();
    assert_eq!((found.len(), found[0].full_name.as_str()), (1, "PRJ/quux"));
    assert!(found[0].can_write && !found[0].can_administer);
    assert_eq!(
        found[0].clone_uri,
        "http://example.com:7990/scm/prj/quux.git"
    );

    let one = "&projectkey=PRJ&name=my-repo";
    let none = || Reply::json(200, r#"{"values":[],"isLastPage":true}"#);
    let run = data_center("/projects/PRJ/repos/my-repo", file("repo"))
        .on("GET", &permitted("REPO_WRITE", one), none())
        .on("GET", &permitted("REPO_ADMIN", one), none())
        .on(
            "GET",
            &format!("{DATA_CENTER}/projects/PRJ/repos/my-repo/default-branch"),
            file("default_branch"),
        )
        .run(get("PRJ/my-repo"));
    assert_eq!(run.repository().default_branch, "feature_branch");
    assert_eq!(run.repository().stable_id, "1");
}

/// Recorded branches and tags are read; a list of commits is not taken for one.
#[test]
fn data_center_refs() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let file = |name: &str| corpus.body(&format!("bitbucket-dc/api/go-scm.{name}.json"));
    let list = |kind, name: &str, reply| {
        let path = format!("/projects/PRJ/repos/my-repo/{name}?start=0&limit=100");
        data_center(&path, reply).run(refs("PRJ/my-repo", kind))
    };
    let commit = "11ce869211917dd65610e70fcee454943b35ac6e";
    for (recorded, count) in [("branch", 1), ("branches_filter", 2)] {
        let run = list(v1::RefKind::Branch, "branches", file(recorded));
        assert_eq!(run.refs().len(), count, "{recorded}");
        assert_eq!(
            (run.refs()[0].name.as_str(), run.refs()[0].commit.as_str()),
            ("master", commit)
        );
    }
    let run = list(v1::RefKind::Tag, "tags", file("tags"));
    assert_eq!(
        (run.refs()[0].name.as_str(), run.refs()[0].commit.as_str()),
        ("v1.0.0", commit)
    );
    let run = list(v1::RefKind::Branch, "branches", file("commits"));
    assert_eq!(run.failure().code(), Code::MalformedResponse);
}

/// Requests of all fixtures, of one edition.
fn requests_of(edition: &str) -> Vec<Asked> {
    let all = Fixtures::of(env!("CARGO_MANIFEST_DIR")).requests();
    all.into_iter()
        .filter(|asked| asked.edition == edition)
        .collect()
}

/// Every fixture is of Cloud or of Data Center.
#[test]
fn every_fixture_is_of_one_edition() {
    let all = Fixtures::of(env!("CARGO_MANIFEST_DIR")).requests();
    let of = |edition| requests_of(edition).len();
    assert_eq!(of("cloud") + of(""), all.len());
}

/// The description of Cloud, with what it says of all lists in its introduction only: `page` and `pagelen`; and with the body
/// of a hook, which it describes as what comes back, and tells of in words where it is sent.
fn cloud_description(corpus: &Corpus) -> Value {
    let mut document = corpus.json("bitbucket/openapi/bitbucket-cloud.trimmed.json");
    let paths = document["paths"].as_object_mut().expect("there are paths");
    for operations in paths.values_mut() {
        let Some(get) = operations.get_mut("get").and_then(Value::as_object_mut) else {
            continue;
        };
        let parameters = get.entry("parameters").or_insert_with(|| json!([]));
        let parameters = parameters.as_array_mut().expect("a list");
        for name in ["page", "pagelen"] {
            parameters.push(json!({ "in": "query", "name": name }));
        }
    }
    let hook = json!({ "$ref": "#/components/schemas/webhook_subscription/allOf/1" });
    let hooks = "/repositories/{workspace}/{repo_slug}/hooks";
    for (path, method) in [(hooks, "post"), (&format!("{hooks}/{{uid}}"), "put")] {
        let operation = &mut document["paths"][path][method];
        assert!(operation.get("requestBody").is_none());
        operation["requestBody"] = json!({
            "required": true, "content": { "application/json": { "schema": hook } },
        });
    }
    document
}

/// Every request to Cloud is one that its description knows, and none is one that CHANGE-2770 took away.
#[test]
fn cloud_requests_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let api = Api::new(cloud_description(&corpus), CLOUD);
    let asked = requests_of("cloud");
    let checked = api
        .check_all(&asked, &[])
        .unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(checked > 30, "{checked} requests");
    for one in &asked {
        let path = one.sent.url.split('?').next().unwrap_or_default();
        let gone = [
            "/repositories",
            "/workspaces",
            "/user/permissions/repositories",
        ];
        assert!(gone.iter().all(|gone| path != format!("{CLOUD}{gone}")));
    }
}

/// The description of Data Center, with what its introduction says of all paged lists, and the list of webhooks leaves out though
/// it is paged.
fn data_center_description(corpus: &Corpus) -> Value {
    let mut document = corpus.json("bitbucket-dc/openapi/bitbucket-dc-9.2.trimmed.json");
    let list = "/api/latest/projects/{projectKey}/repos/{repositorySlug}/webhooks";
    let parameters = &mut document["paths"][list]["get"]["parameters"];
    let parameters = parameters.as_array_mut().expect("a list");
    parameters.push(json!({ "in": "query", "name": "start" }));
    document
}

/// What is asked of Data Center and is none of its API.
const SERVLETS: [NotDescribed; 1] = [NotDescribed {
    method: "GET",
    path: "https://git.test/bitbucket/plugins/servlet/applinks/whoami",
    why: "a servlet tells who one is, where a proxy takes the header away that says so",
}];

/// Every request to Data Center is one that its description knows, but for the servlet.
#[test]
fn data_center_requests_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let document = data_center_description(&corpus);
    let api = Api::new(document, "https://git.test/bitbucket/rest");
    let checked = api.check_all(&requests_of(""), &SERVLETS);
    let checked = checked.unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(checked > 30, "{checked} requests");
}
