//! A link by an app through its whole life, on the command line.

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::Value;

use crate::apps::AppWorld;

impl AppWorld {
    /// What `bindery` says, as JSON.
    pub(crate) fn bindery(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.world.daemon.cli(arguments);
        let output = command.args(["-o", "json"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    let found = found.with_context(|| format!("no {pointer} in {value}"))?;
    Ok(found.to_owned())
}

/// An operator binds an installation, a builder reads a narrowed credential and gives it back, and unlinking uninstalls:
/// nothing but the command line is needed.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_linked_used_and_unlinked_by_command() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?.to_string();
    let by_id = ["--app-installation", installation.as_str()];
    let created = app.bindery(&[&["link", "create", "acme", "forge"][..], &by_id].concat())?;
    let link = text(&created, "/name")?;
    let read = app.bindery(&["credential", "read", &link, "octo/hello"])?;
    ensure!(read["narrowed"] == true, "it reaches more");
    let (token, lease) = (text(&read, "/token")?, text(&read, "/lease")?);
    let list = "/installation/repositories";
    ensure!(
        app.api("GET", list, &token).await? == StatusCode::OK,
        "the token is dead"
    );
    let listed = app.bindery(&["lease", "list", "acme"])?;
    ensure!(listed.to_string().contains(&lease), "{listed}");
    app.bindery(&["lease", "revoke", &lease])?;
    ensure!(
        app.api("GET", list, &token).await? == StatusCode::UNAUTHORIZED,
        "the token lives"
    );
    let receipt = app.bindery(&["link", "unlink", &link])?;
    ensure!(receipt["complete"] == true, "{receipt}");
    ensure!(
        app.world.forge.standin.installations().is_empty(),
        "the app is still installed"
    );
    Ok(())
}
