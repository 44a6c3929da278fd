//! The server

use bindery_plugin_sdk::{Cx, Request, Result, v1};
use serde::Deserialize;

use super::call;

/// What a server says about itself to everybody.
#[derive(Deserialize)]
pub(crate) struct Properties {
    version: String,
}

/// Asked for without a token.
pub(crate) async fn probe(cx: &Cx) -> Result<v1::ServerFacts> {
    let url = cx.api(&["application-properties"])?;
    let request = Request::get(url).header("accept", "application/json");
    let response = cx.send(request).await?;
    if matches!(response.status(), 401 | 403) {
        cx.info("The server tells its version to signed-in users only");
        return Ok(v1::ServerFacts::default());
    }
    let properties: Properties = call::good(cx, response)?.json()?;
    Ok(v1::ServerFacts {
        version: properties.version,
        product: "Bitbucket Data Center".to_owned(),
        ..v1::ServerFacts::default()
    })
}
