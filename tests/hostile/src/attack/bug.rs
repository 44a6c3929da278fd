//! Mistakes of authors, for the trial of the conformance kit

use std::{collections::hash_map::RandomState, hash::BuildHasher as _, mem, sync::Arc};

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret};
use serde::Deserialize;

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
        _ => return Ok(false),
    }
    Ok(true)
}

/// Takes every refusal for a lack of rights.
fn limited(response: &Response) -> Result<()> {
    match response.status() {
        429 => Err(Failure::permission_denied("the provider says no")),
        _ => Ok(()),
    }
}
