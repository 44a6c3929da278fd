//! The server

use bindery_plugin_sdk::{Cx, Request, Result, v1};
use serde::Deserialize;
use serde_json::Value;

use super::call;

#[derive(Deserialize)]
struct Subjects {
    /// What webhooks can be on: an object that is there in every answer.
    #[serde(rename = "repository")]
    _repository: Value,
}

/// Asked for without a token, of the one endpoint that is everybody's. There is only one version.
pub(crate) async fn probe(cx: &Cx) -> Result<v1::ServerFacts> {
    let request = Request::get(cx.api(&["hook_events"])?).header("accept", "application/json");
    let response = cx.send(request).await?;
    call::good(cx, response)?.json::<Subjects>()?;
    Ok(v1::ServerFacts {
        product: "Bitbucket Cloud".to_owned(),
        ..v1::ServerFacts::default()
    })
}
