//! Every recorded answer of the API, whatever it is of, is met without a panic, and what a token endpoint says is known

#![forbid(unsafe_code)]

use bindery_plugin_gitea::Gitea;
use bindery_plugin_sdk::{
    testing::{self, Corpus, Driver, Reply, Run},
    v1::{self, Code},
};
use serde_json::Value;

const API: &str = "https://git.test/api/v1";

fn on(path: &str, reply: &Reply) -> Driver<Gitea> {
    Driver::new()
        .host("https://git.test", API)
        .on("GET", &format!("{API}{path}"), reply.clone())
}

fn recorded(corpus: &Corpus, name: &str) -> Value {
    corpus.json(&format!("gitea/api/recorded-1.14.2.{name}.exchange.json"))
}

fn body(corpus: &Corpus, name: &str) -> Value {
    recorded(corpus, name)["response"]["body"].clone()
}

/// The operations whose first question takes an answer of any kind.
fn ask_everything(reply: &Reply) -> Vec<Run> {
    let repository = v1::GetRepository {
        repository: "a/b".to_owned(),
    };
    vec![
        on("/user", reply).run(v1::Identify {}),
        on("/user", reply).run(v1::InspectToken {}),
        on("/repos/a/b", reply).run(repository),
        on("/version", reply).run(v1::Probe {}),
    ]
}

/// Every file, of Gitea and of Gogs, whose API it grew out of: a result or a failure of the provider's, and never a
/// panic; a secret that an answer holds is not repeated.
#[test]
fn every_file_is_met() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let mut met = 0;
    for provider in ["gitea", "gogs"] {
        for (name, reply) in corpus.replies(&format!("{provider}/api")) {
            for run in ask_everything(&reply) {
                let raised = run.outcome.as_ref().err().map(v1::Failure::code);
                assert!(raised < Some(Code::Panic), "{name}: {raised:?}");
                let said = format!("{:?} {:?}", run.outcome, run.logs);
                assert!(!said.contains("f90ee08dbbaeaf2a0e78ae5ffbc681a8cd049144"));
                assert!(!said.contains("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9"));
            }
            met += 1;
        }
    }
    assert_eq!(met, 49);
}

/// Repositories and an organization are read in the answer that made them, as in a list.
#[test]
fn what_was_made_is_read() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    for (name, full_name) in [
        ("07-repo_create_0", "alice/app0"),
        ("09-repo_create_2", "alice/app2"),
    ] {
        let reply = Reply::json(200, body(&corpus, name));
        let run = on("/repos/a/b", &reply).run(v1::GetRepository {
            repository: "a/b".to_owned(),
        });
        assert_eq!(run.repository().full_name, full_name);
    }
    let made = serde_json::json!([body(&corpus, "62-org_create_ok")]);
    let gogs = corpus.json("gogs/api/go-scm.organizations.json");
    for (list, login) in [(made, "acme"), (gogs, "gogits")] {
        let reply = Reply::json(200, list).header("x-total-count", "1");
        let permissions = format!("{API}/users/octocat/orgs/{login}/permissions");
        let run = on("/user/orgs?page=1&limit=50", &reply)
            .on("GET", &permissions, Reply::status(404))
            .run(v1::ListOrganizations::default());
        assert_eq!(run.organizations()[0].login, login);
    }
}

/// A 403 without a sentence, as 1.14 writes it, is a missing right and not a suspension.
#[test]
fn a_refusal_without_a_sentence_is_a_missing_right() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let reply = corpus.exchange("gitea/api/recorded-1.14.2.06-org_create.exchange.json");
    let run = on("/user", &reply).run(v1::Identify {});
    assert_eq!(run.failure().code(), Code::PermissionDenied);
}

/// Section 7: what the token endpoint answered to a used token and to a revoked grant is among the codes that mean a
/// dead grant; there is no endpoint that revokes.
#[test]
fn trap_7_recorded_refusals_of_the_token_endpoint_are_known() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let description = testing::description::<Gitea>();
    let dead = &description.auth_methods[0].dead_grant_errors;
    for name in [
        "113-inv_refresh_reuse_old",
        "84-refresh_after_grant_revoked",
    ] {
        let answer = recorded(&corpus, name);
        assert_eq!(answer["response"]["status"], 400, "{name}");
        let error = answer["response"]["body"]["error"]
            .as_str()
            .expect("a code");
        assert!(dead.iter().any(|known| known == error), "{name}: {error}");
    }
    for name in [
        "33-token_code_reuse",
        "35-token_bad_secret",
        "70-token_code_reuse2",
    ] {
        assert_eq!(
            body(&corpus, name)["error"],
            "unauthorized_client",
            "{name}"
        );
    }
    assert_eq!(
        recorded(&corpus, "37-revoke_endpoint")["response"]["status"],
        404
    );
}

/// Trap 1.12: two refreshes in one second gave the same access token byte for byte, and the old refresh token went on
/// working: it is a grant like any other, so the description does not say that a refresh always rotates.
#[test]
fn trap_1_12_a_refresh_may_give_the_same_token() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let (first, second) = (
        body(&corpus, "78-refresh_reuse_old"),
        body(&corpus, "81-refresh_basic"),
    );
    assert_eq!(first["access_token"], second["access_token"]);
    assert_eq!(first["refresh_token"], second["refresh_token"]);
    let description = testing::description::<Gitea>();
    let oauth = &description.auth_methods[0];
    assert_eq!(oauth.rotation(), v1::RefreshRotation::Configurable);
    assert_eq!(
        oauth.token_lifetime_s,
        first["expires_in"].as_u64().expect("seconds")
    );
}
