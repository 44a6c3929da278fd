//! Too much of everything

use bindery_plugin_sdk::{Cx, Failure, Request, Result, Secret, join_all, v1};

/// More than any limit.
const MANY: usize = 10_000;

pub(super) async fn run(cx: &Cx, name: &str) -> Result<bool> {
    match name {
        "many_effects" => drop(join_all((0..MANY).map(|_| cx.send(user(cx)))).await),
        "endless_steps" => loop {
            cx.send(user(cx)).await?;
        },
        "endless_pages" => loop {
            cx.emit(v1::RepositoryPage::default());
            cx.send(user(cx)).await?;
        },
        "many_pages" => (0..MANY).for_each(|_| cx.emit(v1::RepositoryPage::default())),
        "many_items" => cx.emit(v1::RepositoryPage {
            items: vec![repository("a/b"); MANY],
            ..v1::RepositoryPage::default()
        }),
        "huge_step" => cx.warn("x".repeat(2 << 20)),
        "huge_cursor" => cx.emit(v1::RepositoryPage {
            next_cursor: "x".repeat(100_000),
            ..v1::RepositoryPage::default()
        }),
        "bad_name" => cx.emit(v1::RepositoryPage {
            items: vec![repository("../../etc/passwd\u{1b}[31m")],
            ..v1::RepositoryPage::default()
        }),
        "log_flood" => (0..MANY).for_each(|n| cx.warn(format!("line {n}"))),
        "log_control" => cx.warn("fine\nERROR forged\u{1b}[31m \u{202e}desrever\0"),
        "error_control" => {
            return Err(Failure::upstream(
                "first\nERROR forged\u{1b}[31m \u{202e}desrever\0",
            ));
        }
        "error_huge" => return Err(Failure::upstream("x".repeat(500_000))),
        _ => return Ok(false),
    }
    Ok(true)
}

fn user(cx: &Cx) -> Request {
    Request::get(format!("{}/user", cx.api_base())).bearer(Secret("access_token"))
}

fn repository(full_name: &str) -> v1::Repository {
    v1::Repository {
        stable_id: "1".to_owned(),
        full_name: full_name.to_owned(),
        clone_uri: "https://git.test/a/b.git".to_owned(),
        ..v1::Repository::default()
    }
}
