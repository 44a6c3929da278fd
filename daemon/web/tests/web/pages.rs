//! What is true of every page.

use std::{fs, path::Path};

use crate::{
    browser::{Browser, Reply},
    lint,
    support::{Setting, World},
};

/// Headers that differ from page to page.
const OF_THE_PAGE: [&str; 8] = [
    "allow",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "location",
    "set-cookie",
];

/// Headers that every page has.
const OF_ALL: [(&str, &str); 8] = [
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "accelerometer=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), gyroscope=(), \
         hid=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), serial=(), usb=()",
    ),
    ("referrer-policy", "no-referrer"),
    ("strict-transport-security", "max-age=63072000"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// Every page, by name, as one person and some strays see them.
async fn all(world: &World) -> Vec<(&'static str, Reply)> {
    let mut browser = Browser::default();
    let start = browser.get(world, &world.start).await;
    let left = browser
        .post(world, &format!("{}/start", world.start), "")
        .await;
    let query = format!("code=abc&state={}", left.leads_with("state"));
    let callback = format!("{}?{query}", world.callback);
    let back = browser.get(world, &callback).await;
    let replayed = browser.get(world, &callback).await;
    let confirm = format!("{}/confirm", world.start);
    let page = browser.get(world, &confirm).await;
    let mismatch = browser
        .post(world, &confirm, "code=wrong&namespace=namespaces/acme")
        .await;
    let done = browser.post(world, &confirm, &page.form()).await;
    let wrong = browser.post(world, &world.start, "").await;
    let large = browser.post(world, &confirm, &"x".repeat(9000)).await;
    browser.extra = vec![("sec-fetch-site", "cross-site")];
    let cross = browser.post(world, &confirm, "").await;
    vec![
        ("start", start),
        ("leave", left),
        ("callback", back),
        ("confirm", page),
        ("done", done),
        ("problem-expired", replayed),
        ("problem-mismatch", mismatch),
        ("problem-method", wrong),
        ("problem-large", large),
        ("problem-cross-site", cross),
        (
            "problem-cookie",
            Browser::default().get(world, &confirm).await,
        ),
        (
            "problem-not-found",
            Browser::default().get(world, "/x").await,
        ),
    ]
}

async fn world() -> World {
    World::with(Setting {
        public_url: "https://bindery.example",
        ..Setting::default()
    })
    .await
}

/// O6: every response carries the headers, and no other; forms lead to ourselves, or to the one place that the page is for;
/// a flow without a return address leads nowhere else.
#[tokio::test]
async fn o6_headers_are_on_every_page() {
    for (name, reply) in all(&world().await).await {
        let mut headers: Vec<_> = reply
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !OF_THE_PAGE.contains(name))
            .collect();
        headers.sort_unstable();
        assert_eq!(headers, OF_ALL, "{name}");
        let target = match name {
            "start" => " https://github.com",
            _ => "",
        };
        let policy = format!(
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{target}; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        assert_eq!(
            reply.header("content-security-policy"),
            Some(policy.as_str()),
            "{name}"
        );
    }
}

/// Style sheet and motif are found under the names that the pages use, and may be kept for ever.
#[tokio::test]
async fn assets_are_served() {
    let (world, mut browser) = (world().await, Browser::default());
    let page = browser.get(&world, &world.start).await.body;
    for (prefix, kind) in [
        ("/assets/style-", "text/css; charset=utf-8"),
        ("/assets/motif-", "image/svg+xml"),
    ] {
        let at = page.find(prefix).expect("a reference");
        let path = page[at..].split('"').next().expect("a path");
        let reply = browser.get(&world, path).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some(kind))
        );
        let kept = "public, max-age=31536000, immutable";
        assert_eq!(reply.header("cache-control"), Some(kept));
        keep(path, &reply.body);
    }
}

/// Every page has a language, a title, one heading, labels, and nothing inline; what it shows is kept as files to look at.
#[tokio::test]
async fn pages_are_accessible() {
    let mut pages = all(&world().await).await;
    let (world, mut browser) = (World::new().await, Browser::default());
    browser.agree(&world).await;
    let page = browser
        .get(&world, &format!("{}/confirm", world.start))
        .await;
    let decline = format!("{}/decline", world.start);
    let declined = browser
        .post(&world, &decline, &format!("code={}", page.code()))
        .await;
    pages.push(("declined", declined));
    for (name, reply) in pages {
        if reply.status == 303 {
            assert!(reply.body.is_empty());
            continue;
        }
        assert_eq!(
            reply.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(
            lint::faults(&reply.body),
            Vec::<String>::new(),
            "{name}\n{}",
            reply.body
        );
        keep(&format!("/{name}.html"), &reply.body);
    }
}

fn keep(path: &str, text: &str) {
    let file = format!("{}/pages{path}", env!("CARGO_TARGET_TMPDIR"));
    let folder = Path::new(&file).parent().expect("a folder");
    fs::create_dir_all(folder).expect("folder");
    fs::write(&file, text).expect("file");
}
