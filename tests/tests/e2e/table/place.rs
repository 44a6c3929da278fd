//! The forge and the namespace, as an operator adds them.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::Result;
use bindery_tests::{
    daemon::Daemon,
    forge::{Client, Forge},
};

use super::cli::{self, text};

/// Adds the forge, registers Bindery there with the redirect URI that is told, and adds a namespace. Tokens live for hours,
/// so that only the steps replace them.
pub(super) async fn configured<F: Forge>(daemon: &Daemon, forge: &mut F) -> Result<()> {
    let added = add_host(daemon, forge)?;
    let client = forge.register(&added).await?;
    forge.lengthen()?;
    let file = secret(daemon, &client)?.display().to_string();
    let update = ["host", "update", "forge", "--client-id", &client.id];
    cli::run(
        daemon,
        &[&update[..], &["--client-secret-file", &file]].concat(),
    )?;
    cli::run(daemon, &["namespace", "add", "acme"])?;
    Ok(())
}

/// On loopback, so private addresses and plain HTTP are allowed by name. Returns the redirect URI.
fn add_host<F: Forge>(daemon: &Daemon, forge: &F) -> Result<String> {
    let (web, api) = (forge.web_url(), forge.api_url());
    let settings = forge.settings().iter();
    let settings: Vec<_> = settings
        .map(|(name, value)| format!("--setting={name}={value}"))
        .collect();
    let mut add = vec!["host", "add", "forge", "--provider", F::PLUGIN.name()];
    add.extend(["--web-url", &web, "--api-url", &api, "--allow-plaintext"]);
    add.extend(["--allow-network", "127.0.0.0/8"]);
    let git = git_url(forge);
    add.extend(git.iter().flat_map(|url| ["--git-url", url]));
    // Nobody has a client id before the redirect URI is known.
    add.extend(["--client-id", "not-registered-yet"]);
    add.extend(settings.iter().map(String::as_str));
    let host = cli::json(daemon, &add)?;
    text(&host, "/oauthClient/redirectUri").map(str::to_owned)
}

/// Where git clones from, which an operator says where it is not the web URL.
fn git_url<F: Forge>(forge: &F) -> Option<String> {
    let url = forge.clone_url();
    let base = url.strip_suffix("/octo/hello.git")?;
    (base != forge.web_url()).then(|| base.to_owned())
}

/// The client secret in a file of its owner's.
fn secret(daemon: &Daemon, client: &Client) -> Result<PathBuf> {
    let path = daemon.path("client-secret");
    std::fs::write(&path, &client.secret)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(path)
}
