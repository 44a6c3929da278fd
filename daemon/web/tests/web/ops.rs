//! What operators and their tools ask.

use crate::{browser::Browser, support::World};

/// Alive, ready check by check, counted, and versioned, each with its content type.
#[tokio::test]
async fn operators_are_answered() {
    let (world, mut tool) = (World::new().await, Browser::default());
    tool.get(&world, &world.start).await;
    tool.get(&world, "/nowhere/secret-path").await;
    let health = tool.get(&world, "/healthz").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let ready = tool.get(&world, "/readyz").await;
    let lines = "{\"check\":\"vault\",\"ready\":true}\n{\"check\":\"plugins\",\"ready\":true}\n";
    assert_eq!((ready.status, ready.body.as_str()), (200, lines));
    let metrics = tool.get(&world, "/metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(metrics.header("content-type"), Some(kind));
    for line in [
        "bindery_web_requests_total{method=\"GET\",route=\"/link/{flow}\",status=\"200\"} 1",
        "bindery_web_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "# EOF",
    ] {
        assert!(metrics.body.contains(line), "{line}\n{}", metrics.body);
    }
    assert!(!metrics.body.contains("secret-path") && !metrics.body.contains(&world.start));
    let version = tool.get(&world, "/version").await;
    assert!(version.body.contains(env!("CARGO_PKG_VERSION")));
}

/// A path that leads nowhere, a method that a page does not take, and a body that is too large have pages too.
#[tokio::test]
async fn strays_get_pages() {
    let (world, mut browser) = (World::new().await, Browser::default());
    for path in [
        "/",
        "/nowhere",
        "/link",
        "/link/",
        "/link/a/b/c",
        "/assets/style.css",
    ] {
        let reply = browser.get(&world, path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(
            reply.body.contains("<h1>There is no such page</h1>"),
            "{path}"
        );
    }
    let posted = browser.post(&world, &world.start, "").await;
    assert_eq!(
        (posted.status, posted.header("allow")),
        (405, Some("GET,HEAD"))
    );
    let got = browser.get(&world, &format!("{}/start", world.start)).await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
}
