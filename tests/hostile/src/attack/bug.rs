//! Mistakes of authors, for the trial of the conformance kit

use std::{collections::hash_map::RandomState, hash::BuildHasher as _, mem, sync::Arc};

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret, delivery, v1};
use serde::Deserialize;

use crate::provider::Push;

#[derive(Deserialize)]
struct Login {
    login: String,
}

pub(super) async fn run(cx: &Cx, name: &str) -> Result<bool> {
    let url = cx.api(&["user"])?;
    let request = Request::get(url.clone()).bearer(Secret("access_token"));
    match name {
        "bug_unwrap" => {
            let login = cx
                .send(request)
                .await?
                .json::<Login>()
                .expect("the provider is right");
            drop(login.login);
        }
        "bug_limit" => {
            limited(&cx.send(request).await?)?;
        }
        "bug_random_header" => {
            let nonce = RandomState::new().hash_one(0);
            cx.send(request.header("x-gitea-nonce", nonce.to_string()))
                .await?;
        }
        "bug_foreign_origin" => {
            cx.send(Request::get("https://telemetry.example/count"))
                .await?;
        }
        "bug_literal_token" => {
            cx.send(Request::get(url).header("authorization", "Bearer abc"))
                .await?;
        }
        "bug_leak" => {
            mem::forget(Arc::new([1_u8; 4096]));
            cx.send(request).await?;
        }
        "bug_swallow" => {
            // Whatever comes back, all is well.
            let _ = cx.send(request).await;
        }
        "bug_ask_to_parse" => {
            cx.send(request).await?;
        }
        // These happen where the operation does its work.
        "bug_index_delivery" | "bug_every_event" | "bug_hook_secret" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn makes(cx: &Cx, bug: &str) -> bool {
    cx.setting("attack") == Some(bug)
}

/// Puts the hook's secret into a header too.
pub(crate) fn hook_request(cx: &Cx, request: Request) -> Request {
    if makes(cx, "bug_hook_secret") {
        return request.header("x-token", Secret("hook_secret"));
    }
    request
}

/// Takes everything for a push.
pub(crate) fn knows_event(cx: &Cx, input: &v1::ParseDelivery) -> bool {
    input.event == "push" || makes(cx, "bug_every_event")
}

/// Looks into the body without asking whether there is something.
pub(crate) fn read_delivery(cx: &Cx, input: &v1::ParseDelivery) -> Result<Push> {
    if makes(cx, "bug_index_delivery") {
        assert_eq!(input.body[0], b'{', "a delivery is an object");
    }
    delivery::json(input)
}

/// Takes every refusal for a lack of rights.
fn limited(response: &Response) -> Result<()> {
    match response.status() {
        429 => Err(Failure::permission_denied("the provider says no")),
        _ => Ok(()),
    }
}
