//! What people do.

use std::sync::atomic::Ordering;

use bindery_core::link::Stage;

use crate::{
    browser::Browser,
    support::{Setting, World},
};

/// A person opens the link, reads who asks for what, agrees at the forge, sees who they are, confirms, and it is bound.
#[tokio::test]
async fn a_person_links() {
    let (world, mut browser) = (World::new().await, Browser::default());
    let start = browser.get(&world, &world.start).await;
    assert_eq!(start.status, 200);
    for said in [
        "Acme Registry",
        "namespaces/acme",
        "registry.acme.example",
        "GitHub",
        "https://github.com",
        "Read the code that you can read",
        "<code>repo</code>",
        "<code>admin:repo_hook</code>",
        "Nothing is stored before you agree",
        "Continue to GitHub",
        "14:23 UTC",
    ] {
        assert!(start.body.contains(said), "{said}\n{}", start.body);
    }

    browser.extra = vec![("sec-fetch-site", "same-origin"), ("origin", "null")];
    let left = browser
        .post(&world, &format!("{}/start", world.start), "")
        .await;
    assert_eq!(left.status, 303);
    let forge = left.header("location").expect("location");
    assert!(forge.starts_with("https://github.com/login/oauth/authorize?response_type=code&"));
    assert_eq!(
        left.leads_with("redirect_uri"),
        format!("http://localhost:8080{}", world.callback)
    );

    browser.extra = vec![("sec-fetch-site", "cross-site")];
    let query = format!("?code=abc&state={}&scope=unknown", left.leads_with("state"));
    let back = browser
        .get(&world, &format!("{}{query}", world.callback))
        .await;
    let confirm = format!("{}/confirm", world.start);
    assert_eq!(
        (back.status, back.header("location")),
        (303, Some(confirm.as_str()))
    );
    assert_eq!(
        world.link().await.observed.stage,
        Stage::PendingConfirmation
    );

    let page = browser.get(&world, &confirm).await;
    assert_eq!(page.status, 200);
    for said in [
        "You are octo on GitHub",
        "583231",
        "registry.acme.example",
        "What is missing",
        "<code>admin:repo_hook</code>",
        "This is not me",
        &format!("<code class=\"copy\">{}</code>", page.code()),
    ] {
        assert!(page.body.contains(said), "{said}\n{}", page.body);
    }

    browser.extra = vec![("sec-fetch-site", "same-origin")];
    let done = browser.post(&world, &confirm, &page.form()).await;
    assert_eq!(done.status, 200);
    assert!(
        done.body
            .contains("<h1>Bound: octo on GitHub to namespaces/acme</h1>"),
        "{}",
        done.body
    );
    assert_eq!(world.link().await.observed.stage, Stage::Bound);
    assert_eq!(world.exchanges(), 1);

    let again = browser.post(&world, &confirm, &page.form()).await;
    assert_eq!(again.status, 410);
}

/// "This is not me" binds nothing, and what was granted is revoked at the forge.
#[tokio::test]
async fn a_person_declines() {
    let (world, mut browser) = (World::new().await, Browser::default());
    browser.agree(&world).await;
    let page = browser
        .get(&world, &format!("{}/confirm", world.start))
        .await;
    let decline = format!("{}/decline", world.start);
    let declined = browser
        .post(&world, &decline, &format!("code={}", page.code()))
        .await;
    assert_eq!(declined.status, 200);
    assert!(declined.body.contains("Nothing was bound"));
    let mut changes = world.engine.subscribe();
    while world.link().await.observed.stage != Stage::Unlinked {
        let _ = changes.recv().await;
    }
    assert_eq!(world.forge.revocations.load(Ordering::SeqCst), 1);
    assert_eq!(browser.get(&world, &world.start).await.status, 410);
}

/// O5: afterwards the person goes to the registered address and to no other; the page with the form allows that.
#[tokio::test]
async fn o5_a_person_goes_back_to_the_registry() {
    let setting = Setting {
        return_to: Some("portal"),
        ..Setting::default()
    };
    let (world, mut browser) = (World::with(setting).await, Browser::default());
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let page = browser.get(&world, &confirm).await;
    let policy = page.header("content-security-policy").expect("policy");
    assert!(
        policy.contains("form-action 'self' https://registry.example;"),
        "{policy}"
    );
    let form = format!("{}&return_to=https%3A%2F%2Fevil.example", page.form());
    let done = browser.post(&world, &confirm, &form).await;
    let expected =
        "https://registry.example/links?tab=1&link=namespaces%2Facme%2Flinks%2Fbuilds&status=bound";
    assert_eq!(
        (done.status, done.header("location")),
        (303, Some(expected))
    );
}

/// O8: what the forge granted beyond what was asked for is told before anybody confirms.
#[tokio::test]
async fn o8_more_than_was_asked_for_is_told() {
    let (world, mut browser) = (World::new().await, Browser::default());
    let granted = ["read:org", "repo", "delete_repo"].map(str::to_owned);
    *world.forge.granted.lock().expect("lock") = Some(granted.to_vec());
    browser.agree(&world).await;
    let page = browser
        .get(&world, &format!("{}/confirm", world.start))
        .await;
    assert!(
        page.body.contains("More than was asked for"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("<code>delete_repo</code>"),
        "{}",
        page.body
    );
}

/// A second visit to the start page keeps the cookie, so that several links can be open in one browser.
#[tokio::test]
async fn the_cookie_is_kept() {
    let (world, mut browser) = (World::new().await, Browser::default());
    let first = browser.get(&world, &world.start).await;
    let line = first.header("set-cookie").expect("cookie");
    assert!(
        line.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"),
        "{line}"
    );
    let cookie = browser.cookie.clone();
    browser.get(&world, &world.start).await;
    assert_eq!(browser.cookie, cookie);
}

/// O1: over TLS the cookie has the prefix that no sibling domain can set, and only that one counts.
#[tokio::test]
async fn o1_the_cookie_has_its_prefix() {
    let setting = Setting {
        public_url: "https://bindery.example",
        ..Setting::default()
    };
    let (world, mut browser) = (World::with(setting).await, Browser::default());
    let start = browser.get(&world, &world.start).await;
    let line = start.header("set-cookie").expect("cookie");
    assert!(
        line.starts_with("__Host-bindery=") && line.ends_with("SameSite=Lax; Secure"),
        "{line}"
    );
    browser.cookie = browser.cookie.map(|cookie| cookie.replace("__Host-", ""));
    let left = browser
        .post(&world, &format!("{}/start", world.start), "")
        .await;
    assert_eq!(left.status, 403);
}

/// What a browser does is in the audit log without its codes, and nothing is bound or ended while that can't be written, also
/// where nobody has met the full disk before.
#[tokio::test]
async fn nothing_is_bound_without_the_log() {
    let (world, mut browser) = (World::new().await, Browser::default());
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let form = browser.get(&world, &confirm).await.form();
    browser.extra = vec![("sec-fetch-site", "same-origin"), ("origin", "null")];
    world.log.set_full(true);
    for page in [&confirm, &format!("{}/decline", world.start)] {
        let refused = browser.post(&world, page, &form).await;
        assert!(refused.status >= 500, "{page}: {}", refused.status);
        let stage = world.link().await.observed.stage;
        assert_eq!(stage, Stage::PendingConfirmation, "{page}");
    }
    world.log.set_full(false);
    assert_eq!(browser.post(&world, &confirm, &form).await.status, 200);
    let flow = world.start.replace("/link/", "flows/");
    let link = "namespaces/acme/links/builds".to_owned();
    let done = [
        ("web/callback".to_owned(), flow.clone()),
        ("web/confirm".to_owned(), link),
    ];
    assert_eq!(world.log.done().await, done);
    let deeds = world.log.deeds().await;
    let begun = &deeds[1];
    assert_eq!(
        (begun.action.as_str(), begun.code.as_str()),
        ("web/confirm", "")
    );
    assert_eq!((&begun.resource, &deeds[2].facts["flow"]), (&flow, &flow));
}

/// Who has not the cookie of a flow gets no line in the log, whatever is posted.
#[tokio::test]
async fn strangers_write_no_records() {
    let (world, mut browser) = (World::new().await, Browser::default());
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let form = browser.get(&world, &confirm).await.form();
    let before = world.log.deeds().await.len();
    let mut stranger = Browser::default();
    stranger.get(&world, &world.start).await;
    stranger.extra = vec![("sec-fetch-site", "same-origin"), ("origin", "null")];
    let refused = stranger.post(&world, &confirm, &form).await;
    assert!((400..500).contains(&refused.status), "{}", refused.status);
    assert_eq!(world.log.deeds().await.len(), before);
}
