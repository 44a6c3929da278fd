//! Requests of the app against the official description, and its examples as answers

#![forbid(unsafe_code)]

use bindery_plugin_github::GitHub;
use bindery_plugin_sdk::{
    testing::{Corpus, Driver, Reply, Run, openapi::Api},
    v1::{self, Permission, effect_result},
};
use serde_json::{Value, json};

const API: &str = "https://api.github.com";

/// The official description, and the example answers in it.
struct Official {
    api: Api,
    examples: Value,
}

impl Official {
    fn read() -> Option<Self> {
        let description = Corpus::from_env()?.json("github/openapi/api.github.com.trimmed.json");
        let examples = description["components"]["examples"].clone();
        Some(Self {
            api: Api::new(description, API),
            examples,
        })
    }

    fn example(&self, status: u16, name: &str) -> Reply {
        let value = &self.examples[name]["value"];
        assert!(value.is_object(), "the description has no example {name}");
        Reply::json(status, value)
    }

    /// Every request of a run is one that the description knows.
    fn check(&self, run: &Run) {
        assert!(!run.requests.is_empty());
        for sent in &run.requests {
            let checked = self.api.check(sent);
            checked.unwrap_or_else(|wrong| panic!("{} {}: {wrong}", sent.method, sent.url));
        }
    }
}

fn app() -> Driver<GitHub> {
    let credential = v1::Credential {
        auth_kind: v1::AuthKind::AppInstallation.into(),
        token_kind: "installation".to_owned(),
        login: "github".to_owned(),
        app_id: "1".to_owned(),
        installation_id: "1".to_owned(),
        ..v1::Credential::default()
    };
    Driver::new()
        .host("https://github.com", API)
        .edition("cloud")
        .credential(credential)
}

fn signed() -> Driver<GitHub> {
    let signed = Reply::result(effect_result::Kind::Signed(true));
    app().on("SIGN_JWT", "app_private_key", signed)
}

fn url(path: &str) -> String {
    format!("{API}{path}")
}

/// The example installation is read, as the app and as a person, and both requests are as described.
#[test]
fn the_example_installation_is_read() {
    let Some(official) = Official::read() else {
        return;
    };
    let run = signed()
        .on(
            "GET",
            &url("/app/installations/1"),
            official.example(200, "base-installation"),
        )
        .run(v1::GetInstallation {
            installation_id: "1".to_owned(),
            as_person: false,
        });
    official.check(&run);
    let account = run.installation().account.as_ref().expect("an account");
    assert_eq!(account.login, "octocat");
    assert!(
        run.installation()
            .scopes
            .contains(&"contents:read".to_owned())
    );
    let run = app()
        .on(
            "GET",
            &url("/user/installations?per_page=100"),
            official.example(200, "base-installation-for-auth-user-paginated"),
        )
        .on(
            "GET",
            &url("/user"),
            Reply::json(200, json!({"id": 1, "login": "octocat", "name": null, "html_url": "https://github.com/octocat"})),
        )
        .run(v1::GetInstallation {
            installation_id: "1".to_owned(),
            as_person: true,
        });
    official.check(&run);
    assert_eq!(run.installation().installation_id, "1");
}

/// The example token is read; what it was asked for is as described, in both ways to name a repository.
#[test]
fn the_example_token_is_read() {
    let Some(official) = Official::read() else {
        return;
    };
    for repositories in [vec![], vec!["octocat/Hello-World"], vec!["id:1296269"]] {
        let input = v1::MintToken {
            repositories: repositories.into_iter().map(str::to_owned).collect(),
            permissions: vec![Permission::WriteCode.into(), Permission::Webhooks.into()],
        };
        let mut driver = signed();
        driver = driver.credential(v1::Credential {
            auth_kind: v1::AuthKind::AppInstallation.into(),
            app_id: "1".to_owned(),
            installation_id: "1".to_owned(),
            ..v1::Credential::default()
        });
        let run = driver
            .on(
                "POST",
                &url("/app/installations/1/access_tokens"),
                official.example(201, "installation-token"),
            )
            .run(input.clone());
        official.check(&run);
        assert_eq!(run.minted().narrowed, !input.repositories.is_empty());
        assert_eq!(run.minted().expire_unix, 1_468_275_250);
    }
}

/// The example app tells its name, and the example repositories are listed.
#[test]
fn the_other_examples_are_read() {
    let Some(official) = Official::read() else {
        return;
    };
    let probe = signed()
        .on("GET", &url("/meta"), Reply::json(200, "{}"))
        .on("GET", &url("/app"), official.example(200, "integration"))
        .run(v1::Probe {});
    official.check(&probe);
    assert_eq!(probe.server().app_slug, "octoapp");
    let run = app()
        .on(
            "GET",
            &url("/installation/repositories?per_page=100"),
            official.example(200, "repository-paginated"),
        )
        .run(v1::ListRepositories::default());
    official.check(&run);
    assert_eq!(run.repositories()[0].full_name, "octocat/Hello-World");
}

/// A person's installations are gone through as described.
#[test]
fn a_persons_repositories_are_asked_for_as_described() {
    let Some(official) = Official::read() else {
        return;
    };
    let person = v1::Credential {
        auth_kind: v1::AuthKind::OauthCode.into(),
        token_kind: "app_user".to_owned(),
        ..v1::Credential::default()
    };
    let run = app()
        .credential(person)
        .on(
            "GET",
            &url("/user/installations?per_page=100"),
            official.example(200, "base-installation-for-auth-user-paginated"),
        )
        .on(
            "GET",
            &url("/user/installations/1/repositories?per_page=100"),
            Reply::json(200, json!({"total_count": 0, "repositories": []})),
        )
        .on(
            "GET",
            &url("/user/installations/3/repositories?per_page=100"),
            Reply::json(200, json!({"total_count": 0, "repositories": []})),
        )
        .run(v1::ListRepositories::default());
    official.check(&run);
}

/// Uninstalling is as described.
#[test]
fn uninstalling_is_as_described() {
    let Some(official) = Official::read() else {
        return;
    };
    let run = signed()
        .on("DELETE", &url("/app/installations/1"), Reply::status(204))
        .run(v1::Revoke { whole_grant: true });
    official.check(&run);
}
