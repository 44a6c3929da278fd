//! A credential that is kept and renewed.

use std::time::Duration;

use bindery_client::{
    Code, CredentialRequest, CredentialSource, Error,
    testing::{FakeBindery, Refusal, TokenLife},
};
use tokio::time::advance;

const CALL: &str = "FetchReadCredential";

async fn source(life: TokenLife) -> (FakeBindery, CredentialSource, String) {
    let bindery = FakeBindery::start().await.unwrap();
    bindery.add_host("github.com", "github", "https://github.com");
    bindery.add_namespace("acme");
    bindery.set_token_life(life);
    let link = bindery.add_bound_link("acme", "github.com", "octo");
    let client = bindery.client().await.unwrap();
    let source = CredentialSource::read(client, CredentialRequest::new(&link));
    (bindery, source, link)
}

fn lasting(seconds: u64) -> TokenLife {
    TokenLife::Lasting(Duration::from_secs(seconds))
}

/// A hundred callers at once make one call, and get one token.
#[tokio::test]
async fn a_hundred_callers_make_one_call() {
    let (bindery, source, _) = source(lasting(3600)).await;
    bindery.set_delay(Duration::from_millis(20));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { source.get().await.unwrap().token.expose().to_owned() })
        })
        .collect();
    let mut tokens = Vec::new();
    for caller in callers {
        tokens.push(caller.await.unwrap());
    }
    tokens.dedup();
    assert_eq!((tokens.len(), bindery.calls(CALL).len()), (1, 1));
}

/// A failure is shared, too: a hundred callers do not make a hundred calls that fail.
#[tokio::test]
async fn a_failure_is_shared() {
    let (bindery, source, link) = source(lasting(3600)).await;
    let client = bindery.client().await.unwrap();
    client.disable_link(&link, "").await.unwrap();
    bindery.set_delay(Duration::from_millis(20));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { source.get().await.unwrap_err() })
        })
        .collect();
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), Error::LinkDisabled(_)));
    }
    assert_eq!(bindery.calls(CALL).len(), 1);
}

/// A long token is kept for 80 % of its life, a short one until 60 seconds before its end.
#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_time() {
    for (life, kept) in [(3600, 2880), (120, 60)] {
        let (bindery, source, _) = source(lasting(life)).await;
        source.get().await.unwrap();
        advance(Duration::from_secs(kept - 2)).await;
        source.get().await.unwrap();
        assert_eq!(bindery.calls(CALL).len(), 1, "{life}");
        advance(Duration::from_secs(3)).await;
        source.get().await.unwrap();
        assert_eq!(bindery.calls(CALL).len(), 2, "{life}");
    }
}

/// A token without an end is asked for again after a while, so that disabling is noticed.
#[tokio::test(start_paused = true)]
async fn an_endless_token_is_looked_at_again() {
    let (bindery, source, link) = source(TokenLife::Endless).await;
    source.get().await.unwrap();
    let client = bindery.client().await.unwrap();
    client.disable_link(&link, "").await.unwrap();
    advance(Duration::from_secs(301)).await;
    assert!(matches!(source.get().await, Err(Error::LinkDisabled(_))));
}

/// A token that is still valid is served while the daemon is down, and no longer than it is valid.
#[tokio::test(start_paused = true)]
async fn an_outage_is_bridged_while_the_token_is_valid() {
    let (bindery, source, _) = source(lasting(3600)).await;
    let before = source.get().await.unwrap();
    bindery.go_down();
    advance(Duration::from_secs(3000)).await;
    assert_eq!(
        source.get().await.unwrap().token.expose(),
        before.token.expose()
    );
    let calls = bindery.calls(CALL).len();
    source.get().await.unwrap();
    assert_eq!(
        bindery.calls(CALL).len(),
        calls,
        "an outage is not asked about for every caller"
    );
    advance(Duration::from_secs(601)).await;
    assert!(matches!(source.get().await, Err(Error::Unavailable(_))));
    bindery.come_up();
    assert_ne!(
        source.get().await.unwrap().token.expose(),
        before.token.expose()
    );
}

/// Where the daemon withholds the credential, a token that is still valid is not served.
#[tokio::test(start_paused = true)]
async fn a_withheld_credential_is_not_served() {
    let (bindery, source, _) = source(lasting(3600)).await;
    source.get().await.unwrap();
    advance(Duration::from_secs(3000)).await;
    let refusal = Refusal::new(Code::FailedPrecondition, "LINK_NEEDS_REAUTHORIZATION", "no");
    bindery.fail_next(CALL, refusal);
    assert!(matches!(
        source.get().await,
        Err(Error::NeedsReauthorization { .. })
    ));
}

/// A token that the provider refused is not served again; another one stays.
#[tokio::test]
async fn an_invalidated_token_is_gone() {
    let (bindery, source, _) = source(lasting(3600)).await;
    let first = source.get().await.unwrap();
    source.invalidate(&first.token);
    let second = source.get().await.unwrap();
    assert_ne!(first.token.expose(), second.token.expose());
    source.invalidate(&first.token);
    source.get().await.unwrap();
    assert_eq!(bindery.calls(CALL).len(), 2);
}

/// A caller that goes away does not take the others' fetch with it.
#[tokio::test]
async fn a_caller_that_goes_away_harms_nobody() {
    let (bindery, source, _) = source(lasting(3600)).await;
    bindery.set_delay(Duration::from_millis(20));
    let leaving = tokio::spawn({
        let source = source.clone();
        async move { source.get().await.map(drop) }
    });
    tokio::task::yield_now().await;
    leaving.abort();
    source.get().await.unwrap();
    assert_eq!(bindery.calls(CALL).len(), 1);
}
