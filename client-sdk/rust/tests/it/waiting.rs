//! Waiting for a person.

use std::time::Duration;

use bindery_client::{
    Client, Error, LinkRequest, Status, Token, proto::v1::observed_state::Stage,
    testing::FakeBindery,
};

const LIMIT: Duration = Duration::from_secs(600);

async fn started() -> (FakeBindery, Client, String) {
    let bindery = FakeBindery::start().await.unwrap();
    bindery.add_host("github.com", "github", "https://github.com");
    bindery.add_namespace("acme");
    let client = bindery.client().await.unwrap();
    let request = LinkRequest::oauth("namespaces/acme", "hosts/github.com");
    let answer = client.create_link(request).await.unwrap();
    assert!(
        answer
            .authorization
            .unwrap()
            .authorization_uri
            .starts_with("https://")
    );
    (bindery, client, answer.link.unwrap().name)
}

/// The stages that a wait went through, while somebody plays the person.
async fn stages(bindery: &FakeBindery, client: &Client, name: &str) -> Vec<Stage> {
    let mut seen = Vec::new();
    let link = client
        .wait_until_bound(name, LIMIT, |watched| {
            let stage = watched.link.observed.clone().unwrap_or_default().stage();
            match stage {
                Stage::PendingAuthorization => bindery.consent(name, "octo"),
                Stage::PendingConfirmation => bindery.confirm(name),
                _ => (),
            }
            seen.push(stage);
        })
        .await
        .unwrap();
    assert_eq!(link.identity.unwrap().login, "octo");
    seen
}

/// The wait ends with the identity, and shows every stage on the way.
#[tokio::test]
async fn waiting_ends_when_the_link_is_bound() {
    let (bindery, client, name) = started().await;
    let seen = stages(&bindery, &client, &name).await;
    let way = [
        Stage::PendingAuthorization,
        Stage::PendingConfirmation,
        Stage::Bound,
    ];
    assert_eq!(seen, way);
}

/// A connection that breaks while waiting is made again, and nothing is missed.
#[tokio::test(start_paused = true)]
async fn waiting_survives_a_broken_connection() {
    let (bindery, client, name) = started().await;
    bindery.fail_times("WatchLink", 3, Status::unavailable("lost"));
    assert_eq!(stages(&bindery, &client, &name).await.len(), 3);
    assert_eq!(bindery.calls("WatchLink").len(), 4);
}

/// Nobody acts: the wait ends in time, and the link is as it was.
#[tokio::test(start_paused = true)]
async fn waiting_has_an_end() {
    let (_bindery, client, name) = started().await;
    let error = client
        .wait_until_bound(&name, LIMIT, |_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded(_)), "{error:?}");
    let link = client.get_link(&name).await.unwrap();
    assert_eq!(link.observed.unwrap().stage(), Stage::PendingAuthorization);
}

/// A flow that was cancelled ends the wait with what happened.
#[tokio::test]
async fn a_flow_that_ended_ends_the_wait() {
    let (_bindery, client, name) = started().await;
    client.cancel_link(&name).await.unwrap();
    let error = client
        .wait_until_bound(&name, LIMIT, |_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Precondition(_)), "{error:?}");
    assert!(error.to_string().contains("cancelled"), "{error}");
}

/// A link that is dead and that nobody authorizes again is not waited for.
#[tokio::test]
async fn a_dead_link_is_not_waited_for() {
    let (bindery, client, name) = started().await;
    bindery.set_stage(&name, Stage::NeedsReauthorization, "the grant was revoked");
    let error = client
        .wait_until_bound(&name, LIMIT, |_| ())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::NeedsReauthorization { .. }),
        "{error:?}"
    );
}

/// The one who started can confirm with the code of the page.
#[tokio::test]
async fn a_code_confirms() {
    let (bindery, client, name) = started().await;
    bindery.consent(&name, "octo");
    let link = client
        .confirm_link(&name, &Token::from("123-456"), None)
        .await
        .unwrap();
    assert_eq!(link.observed.unwrap().stage(), Stage::Bound);
}
