//! From a push to the registry, and no webhook left behind.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use bindery_tests::{
    daemon::Daemon,
    forge::{Forge, GitHubForge},
    github::{Pat, PatKind},
};

use super::{PATIENCE, note, run, shown, step};

/// The repository of the stand-in.
const REPOSITORY: &str = "octo/hello";

/// Connects the repository, pushes to it, shows what the registry is told, and disconnects it. Returns the token that the person
/// pushed with, which is no business of the link.
pub(super) async fn tell(daemon: &Daemon, forge: &GitHubForge, link: &str) -> Result<String> {
    step("The registry connects the repository as a build source: its webhook is made");
    let source = format!("{link}/hello");
    connect(daemon, link)?;
    note(&format!(
        "the forge holds {} webhook of ours, with a secret that nobody else knows",
        forge.standin.hooks(REPOSITORY).len()
    ));

    step("Somebody pushes, and the registry is told what to build");
    let token = push(daemon, forge)?;
    watched(daemon).await?;
    run(daemon, &["events", "show", &pushed(daemon)?])?;

    step("Disconnecting takes the webhook away");
    run(daemon, &["source", "remove", &source])?;
    let left = forge.standin.hooks(REPOSITORY).len();
    note(&format!("the forge holds {left} webhooks of ours"));
    ensure!(left == 0, "a webhook outlived its source");
    Ok(token)
}

fn connect(daemon: &Daemon, link: &str) -> Result<()> {
    run(
        daemon,
        &[
            "source",
            "add",
            link,
            REPOSITORY,
            "--id",
            "hello",
            "--branch",
            "main",
            "--image",
            "acme/hello",
            "--tag-template",
            "{branch}-{short_commit}",
        ],
    )
}

/// The person pushes from the clone of the step before, with a token of their own.
fn push(daemon: &Daemon, forge: &GitHubForge) -> Result<String> {
    let pat = Pat {
        kind: PatKind::Classic { scopes: &["repo"] },
        expires_in: None,
    };
    let token = forge.standin.add_pat("octo", &pat)?;
    let (scheme, host) = forge
        .web_url()
        .split_once("://")
        .map(|(scheme, host)| (scheme.to_owned(), host.to_owned()))
        .context("the forge has no URL")?;
    let url = format!("{scheme}://octo:{token}@{host}/{REPOSITORY}.git");
    let clone = daemon.path("clone");
    std::fs::write(clone.join("Dockerfile"), "FROM scratch\n")?;
    println!("    $ git commit --all --message 'Add a Dockerfile' && git push origin main");
    git(&clone, &["add", "Dockerfile"])?;
    git(
        &clone,
        &["commit", "--quiet", "--message", "Add a Dockerfile"],
    )?;
    git(&clone, &["push", "--quiet", &url, "HEAD:refs/heads/main"])?;
    Ok(token)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut git = std::process::Command::new("git");
    git.args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    for who in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{who}_NAME"), "Octo");
        git.env(format!("GIT_{who}_EMAIL"), "octo@example.com");
    }
    let output = git.output().context("git is needed for this step")?;
    // What it says may hold the URL, and the token in it.
    ensure!(output.status.success(), "git {} failed", arguments[0]);
    Ok(())
}

/// Follows the events until the push is there.
async fn watched(daemon: &Daemon) -> Result<()> {
    let arguments = [
        "events",
        "watch",
        "acme",
        "--oldest",
        "--filter",
        "change = push",
        "--count",
        "1",
    ];
    println!("    $ bindery {}", shown(&arguments));
    let mut watch = tokio::process::Command::from(daemon.cli(&arguments));
    watch.stdout(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, watch.output())
        .await
        .context("the push did not become an event")??;
    super::print_indented(&output.stdout);
    ensure!(output.status.success(), "the events could not be followed");
    Ok(())
}

/// The event of the push, as the commands take it.
fn pushed(daemon: &Daemon) -> Result<String> {
    let list = [
        "events",
        "list",
        "acme",
        "--filter",
        "change = push",
        "-o",
        "name",
    ];
    let name = String::from_utf8(daemon.cli(&list).output()?.stdout)?;
    let short = name.trim().strip_prefix("namespaces/");
    let short = short.map(|rest| rest.replace("/events/", "/"));
    short.with_context(|| format!("no event in {name:?}"))
}
