//! What attackers do (THREATS O1 to O6). Nothing of it binds, and what fails before the exchange sends nothing.

use std::time::Duration;

use bindery_core::{flow::FLOW_LIFETIME, link::Stage, namespace::NamespaceKind, problem::Reason};
use bindery_web::{Rate, Rates};

use crate::{
    browser::Browser,
    lint,
    support::{Setting, World, lock},
};

/// The callback with `query` is refused with `status`, and no code is exchanged.
async fn refused(world: &World, browser: &mut Browser, query: &str, status: u16) {
    let back = browser
        .get(world, &format!("{}?{query}", world.callback))
        .await;
    assert_eq!(back.status, status, "{query}\n{}", back.body);
    assert_eq!(world.exchanges(), 0, "{query}");
    assert_ne!(world.link().await.observed.stage, Stage::Bound);
}

/// O1, O2: a callback without the cookie, or with another browser's, exchanges nothing; the right one still may.
#[tokio::test]
async fn o1_another_browser_comes_back() {
    let (world, mut victim) = (World::new().await, Browser::default());
    let state = victim.leave(&world).await;
    let query = format!("code=abc&state={state}");
    refused(&world, &mut Browser::default(), &query, 403).await;
    let mut other = Browser::default();
    other.get(&world, &world.start).await;
    assert_ne!(other.cookie, victim.cookie);
    refused(&world, &mut other, &query, 403).await;
    let back = victim
        .get(&world, &format!("{}?{query}", world.callback))
        .await;
    assert_eq!(back.status, 303);
}

/// O1: a flow that one browser has taken to the forge can't be taken there by another.
#[tokio::test]
async fn o1_two_browsers_start() {
    let (world, mut first, mut second) =
        (World::new().await, Browser::default(), Browser::default());
    first.leave(&world).await;
    second.get(&world, &world.start).await;
    let left = second
        .post(&world, &format!("{}/start", world.start), "")
        .await;
    assert_eq!((left.status, left.header("location")), (403, None));
}

/// O2: a forged state, none, a used one, and one on another host's path exchange nothing more.
#[tokio::test]
async fn o2_state_is_single_use() {
    let (world, mut browser) = (World::new().await, Browser::default());
    let state = browser.leave(&world).await;
    refused(
        &world,
        &mut browser,
        &format!("code=abc&state={}", "A".repeat(43)),
        410,
    )
    .await;
    refused(&world, &mut browser, "code=abc&state=", 410).await;
    refused(&world, &mut browser, "code=abc", 400).await;
    let elsewhere = format!("/oauth/other/callback?code=abc&state={state}");
    assert_eq!(browser.get(&world, &elsewhere).await.status, 403);
    assert_eq!(world.exchanges(), 0);
    let path = format!("{}?code=abc&state={state}", world.callback);
    assert_eq!(browser.get(&world, &path).await.status, 303);
    assert_eq!(browser.get(&world, &path).await.status, 410);
    assert_eq!(world.exchanges(), 1);
}

/// O2: what comes twice, or is longer than any forge sends, never reaches the engine.
#[tokio::test]
async fn o2_odd_parameters_are_refused() {
    let (world, mut browser) = (World::new().await, Browser::default());
    let state = browser.leave(&world).await;
    let (long, huge) = ("c".repeat(4097), "x".repeat(9000));
    for (query, status) in [
        (format!("code=a&code=b&state={state}"), 400),
        (format!("code=a&state={state}&state={state}"), 400),
        (format!("code=a&state={state}&iss=a&iss=b"), 400),
        (format!("code=a&state={}", "s".repeat(129)), 400),
        (format!("code={long}&state={state}"), 400),
        (format!("code=a&state={state}&pad={huge}"), 413),
    ] {
        refused(&world, &mut browser, &query, status).await;
    }
}

/// O3: another issuer, or none where one is expected, exchanges nothing.
#[tokio::test]
async fn o3_the_issuer_is_held_to() {
    let setting = Setting {
        issuer: Some("https://github.com"),
        ..Setting::default()
    };
    let (world, mut browser) = (World::with(setting).await, Browser::default());
    let state = browser.leave(&world).await;
    for query in [
        format!("code=abc&state={state}&iss=https%3A%2F%2Fevil.example"),
        format!("code=abc&state={state}&iss=https%3A%2F%2Fgithub.com%2F"),
        format!("code=abc&state={state}"),
    ] {
        refused(&world, &mut browser, &query, 403).await;
    }
    let right = format!(
        "{}?code=abc&state={state}&iss=https%3A%2F%2Fgithub.com",
        world.callback
    );
    assert_eq!(browser.get(&world, &right).await.status, 303);
}

/// O1: a flow that is over time is over on every page.
#[tokio::test]
async fn o1_flows_end() {
    let (world, mut browser) = (World::new().await, Browser::default());
    let state = browser.leave(&world).await;
    world.pass(FLOW_LIFETIME);
    assert_eq!(browser.get(&world, &world.start).await.status, 410);
    let left = browser
        .post(&world, &format!("{}/start", world.start), "")
        .await;
    assert_eq!(left.status, 410);
    refused(
        &world,
        &mut browser,
        &format!("code=abc&state={state}"),
        410,
    )
    .await;

    let (world, mut browser) = (World::new().await, Browser::default());
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let form = browser.get(&world, &confirm).await.form();
    world.pass(FLOW_LIFETIME + Duration::from_secs(1));
    let done = browser.post(&world, &confirm, &form).await;
    assert_eq!(done.status, 410);
    assert_ne!(world.link().await.observed.stage, Stage::Bound);
}

/// O2: no form of another site, and none without the cookie, starts, confirms or declines anything.
#[tokio::test]
async fn o2_other_sites_send_forms() {
    let (world, mut browser) = (World::new().await, Browser::default());
    browser.get(&world, &world.start).await;
    let start = format!("{}/start", world.start);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        browser.extra = vec![(name, value)];
        assert_eq!(
            browser.post(&world, &start, "").await.status,
            403,
            "{name}: {value}"
        );
    }
    assert_eq!(
        Browser::default().post(&world, &start, "").await.status,
        403
    );
    browser.extra.clear();
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let form = browser.get(&world, &confirm).await.form();
    browser.extra = vec![("sec-fetch-site", "cross-site")];
    for path in [&confirm, &format!("{}/decline", world.start)] {
        assert_eq!(browser.post(&world, path, &form).await.status, 403);
        assert_eq!(
            Browser::default().post(&world, path, &form).await.status,
            403
        );
    }
    assert_eq!(
        world.link().await.observed.stage,
        Stage::PendingConfirmation
    );
}

/// O1: what the person saw of the namespace comes back with the answer: a page that showed another one, or none, binds
/// nothing.
#[tokio::test]
async fn o1_what_was_shown_comes_back() {
    let kind = NamespaceKind::Instance {
        instance_type: "enterprise".to_owned(),
        region: "eu-central-1".to_owned(),
    };
    let setting = Setting {
        kind,
        ..Setting::default()
    };
    let (world, mut browser) = (World::with(setting).await, Browser::default());
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let page = browser.get(&world, &confirm).await;
    for said in [
        "instance <code>namespaces/acme</code>",
        "enterprise",
        "eu-central-1",
    ] {
        assert!(page.body.contains(said), "{said}\n{}", page.body);
    }
    let form = page.form();
    for (from, to) in [
        ("namespaces%2Facme", "namespaces%2Fumbrella"),
        ("enterprise", "basic"),
        ("eu-central-1", "us-east-1"),
        ("namespace=namespaces%2Facme&", ""),
    ] {
        let changed = form.replace(from, to);
        assert_ne!(changed, form);
        assert_eq!(browser.post(&world, &confirm, &changed).await.status, 400);
        assert_ne!(world.link().await.observed.stage, Stage::Bound);
    }
    assert_eq!(browser.post(&world, &confirm, &form).await.status, 200);
    assert_eq!(world.link().await.observed.stage, Stage::Bound);
}

/// O1: the person chooses among the namespaces that were offered, without a script; what was not offered, or not shown so, binds
/// nothing.
#[tokio::test]
async fn o1_only_what_was_offered_is_chosen() {
    let setting = Setting {
        offered: Some("registry"),
        ..Setting::default()
    };
    let (world, mut browser) = (World::with(setting).await, Browser::default());
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let page = browser.get(&world, &confirm).await;
    assert_eq!(lint::faults(&page.body), Vec::<String>::new());
    for said in [
        "<select id=\"place\" name=\"place\">",
        ">Acme Registry (namespaces/acme)</option>",
        ">namespaces/registry, enterprise, eu &#38; us</option>",
    ] {
        assert!(page.body.contains(said), "{said}\n{}", page.body);
    }
    let code = page.code();
    let form = |namespace: &str, region: &str, more: &str| {
        let mut place = form_urlencoded::Serializer::new(String::new());
        place.append_pair("namespace", namespace);
        place.append_pair("instance_type", "enterprise");
        place.append_pair("region", region);
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("code", &code);
        form.append_pair("place", &place.finish());
        format!("{}{more}", form.finish())
    };
    for bad in [
        form("namespaces/umbrella", "eu & us", ""),
        form("namespaces/registry", "eu", ""),
        form(
            "namespaces/registry",
            "eu & us",
            "&namespace=namespaces/acme",
        ),
        format!("code={code}&place=region%3Deu"),
    ] {
        assert_eq!(
            browser.post(&world, &confirm, &bad).await.status,
            400,
            "{bad}"
        );
        assert_ne!(world.link().await.observed.stage, Stage::Bound);
    }
    let done = browser
        .post(
            &world,
            &confirm,
            &form("namespaces/registry", "eu & us", ""),
        )
        .await;
    assert_eq!(done.status, 200);
    assert!(
        done.body.contains("namespaces/registry/links/builds"),
        "{}",
        done.body
    );
}

/// O1: only the browser that started sees who consented, and only its code confirms or declines.
#[tokio::test]
async fn o1_only_the_right_code_confirms() {
    let (world, mut browser, mut other) =
        (World::new().await, Browser::default(), Browser::default());
    other.get(&world, &world.start).await;
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    assert_eq!(other.get(&world, &confirm).await.status, 403);
    assert_eq!(Browser::default().get(&world, &confirm).await.status, 403);
    let stale = browser.get(&world, &confirm).await.code();
    let code = browser.get(&world, &confirm).await.code();
    for path in [&confirm, &format!("{}/decline", world.start)] {
        for (form, status) in [
            (format!("code={stale}&namespace=namespaces/acme"), 403),
            ("code=&namespace=namespaces/acme".to_owned(), 403),
            (String::new(), 400),
            (format!("code={code}&code={code}"), 400),
            (format!("code={}", "c".repeat(129)), 400),
            (format!("code={code}&pad={}", "x".repeat(9000)), 413),
        ] {
            assert_eq!(
                browser.post(&world, path, &form).await.status,
                status,
                "{form:.40}"
            );
        }
        assert_eq!(
            other
                .post(
                    &world,
                    path,
                    &format!("code={code}&namespace=namespaces/acme")
                )
                .await
                .status,
            403
        );
    }
    assert_eq!(
        world.link().await.observed.stage,
        Stage::PendingConfirmation
    );
    assert_eq!(
        browser
            .post(
                &world,
                &confirm,
                &format!("code={code}&namespace=namespaces/acme")
            )
            .await
            .status,
        200
    );
}

/// O6: no byte of what a forge or an attacker wrote into the URL comes back in a body or a header.
#[tokio::test]
async fn o6_nothing_is_echoed() {
    let (world, mut browser) = (World::new().await, Browser::default());
    let state = browser.leave(&world).await;
    let hostile = "%3Cscript%3Ealert('qx7z')%3C/script%3E";
    let tail = format!("error_description={hostile}&error_uri=https://qx7z.example&qx7z={hostile}");
    for path in [
        format!("{}?error={hostile}&state=qx7z&{tail}", world.callback),
        format!("{}?error=qx7z&{tail}", world.callback),
        format!("/oauth/qx7z/callback?code=qx7z&state=qx7z&{tail}"),
        format!("/link/qx7z?{tail}"),
        format!("/link/{hostile}?{tail}"),
        format!("/link/%ff%feqx7z/confirm?{tail}"),
        format!("{}/confirm?{tail}", world.start),
        format!("/qx7z?{tail}"),
        format!("/assets/qx7z?{tail}"),
        format!("{}?{tail}", world.start),
        format!(
            "{}?error=access_denied&state={state}&{tail}",
            world.callback
        ),
    ] {
        let reply = browser.get(&world, &path).await;
        assert!(!format!("{reply:?}").contains("qx7z"), "{path}\n{reply:?}");
        assert!(!reply.body.contains(&state));
    }
    assert_eq!(world.exchanges(), 0);
    assert_eq!(world.link().await.observed.stage, Stage::Unlinked);
    assert_eq!(browser.get(&world, &world.start).await.status, 410);
}

/// O6: names with markup in them are text, on every page that shows them.
#[tokio::test]
async fn o6_names_are_text() {
    let setting = Setting {
        namespace: "<b>Acme</b> & \"Co\" '",
        principal: "uid:1000 <img src=x onerror=alert(1)>",
        identity: "octo\"><script>alert(1)</script>",
        ..Setting::default()
    };
    let (world, mut browser) = (World::with(setting).await, Browser::default());
    let start = browser.get(&world, &world.start).await.body;
    browser.agree(&world).await;
    let confirm = format!("{}/confirm", world.start);
    let page = browser.get(&world, &confirm).await;
    let done = browser.post(&world, &confirm, &page.form()).await.body;
    assert!(done.contains("octo&#34;&#62;&#60;script&#62;"), "{done}");
    for body in [start, page.body, done] {
        for raw in ["<b>", "<script", "<img src=x", "\"Co\"", "octo\""] {
            assert!(!body.contains(raw), "{raw}\n{body}");
        }
    }
}

/// What the forge does to the code is told with fixed words, and the code is presented once.
#[tokio::test]
async fn refusals_of_the_forge_are_told() {
    for (reason, status, title) in [
        (
            Reason::ClientRefused,
            502,
            "This service is not set up for that host",
        ),
        (
            Reason::TokenRefused,
            502,
            "The host did not accept the authorization",
        ),
        (
            Reason::HostUnreachable,
            502,
            "The source-code host can&#39;t be reached",
        ),
        (
            Reason::HostCertificateUnknown,
            502,
            "The source-code host must not be reached",
        ),
    ] {
        let (world, mut browser) = (World::new().await, Browser::default());
        let state = browser.leave(&world).await;
        *lock(&world.forge.refuses) = Some(reason);
        let path = format!("{}?code=abc&state={state}", world.callback);
        let back = browser.get(&world, &path).await;
        assert_eq!(back.status, status);
        assert!(
            back.body.contains(&format!("<h1>{title}</h1>")),
            "{}",
            back.body
        );
        assert!(back.body.contains("Correlation id"));
        assert!(!back.body.contains("SENTENCE") && !back.body.contains("BNDRYCANARY"));
        assert_eq!(browser.get(&world, &path).await.status, 410);
        assert_eq!(world.exchanges(), 1);
    }
}

/// D4: an address that floods is told to wait, on the flow's pages only.
#[tokio::test]
async fn d4_floods_are_throttled() {
    let each = Rate {
        burst: 3,
        per_second: 0.001,
    };
    let setting = Setting {
        rates: Rates {
            each,
            ..Rates::default()
        },
        ..Setting::default()
    };
    let (world, mut browser) = (World::with(setting).await, Browser::default());
    // What a client says about itself changes nothing.
    browser.extra = vec![("x-forwarded-for", "198.51.100.7")];
    for _ in 0..3 {
        assert_eq!(browser.get(&world, &world.start).await.status, 200);
    }
    let told = browser.get(&world, &world.start).await;
    assert_eq!(
        (told.status, told.header("retry-after")),
        (429, Some("1000"))
    );
    assert_eq!(browser.get(&world, "/healthz").await.status, 200);
}
