//! The whole story on embedded parts: a daemon, a stand-in forge, a link, a token, a clone, a push that becomes an event, an
//! unlink.
//!
//! Every step is done with the commands that a person would type, and shown as it happens. Afterwards the daemon and the
//! stand-in stay up to play with.

#[path = "quickstart/source.rs"]
mod source;

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use bindery_tests::{
    artifacts::{Plugin, artifacts},
    daemon::{Daemon, Options},
    forge::{Forge, GitHubForge, link_in_browser},
};

/// How long the daemon may take to ask for the next token; the stand-in's tokens live for eight seconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let stay = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => true,
        ["--exit"] => false,
        _ => {
            eprintln!(
                "usage: quickstart [--exit]\n\n--exit  end after the story instead of leaving the daemon up"
            );
            return ExitCode::from(64);
        }
    };
    match story(stay).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nquickstart: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn story(stay: bool) -> Result<()> {
    step("Building the daemon, the command line and the plugins (the first time takes minutes)");
    artifacts();

    step("Starting a stand-in for GitHub");
    let mut forge = GitHubForge::start(true, None).await?;
    let person = forge.person().clone();
    note(&format!(
        "{} has one account: {} / {}",
        forge.web_url(),
        person.login,
        person.password
    ));
    note("and one private repository: octo/hello");

    step("Starting binderyd on an empty folder, in development mode");
    let options = Options {
        plugins: vec![Plugin::GitHub],
        ..Options::default()
    };
    let daemon = Daemon::start(&options).await?;
    for line in daemon.messages() {
        note(&line);
    }

    step("The operator adds the forge, and a namespace of the registry");
    add_host(&daemon, &mut forge).await?;
    run(
        &daemon,
        &[
            "namespace",
            "add",
            "acme",
            "--kind",
            "organization",
            "--display-name",
            "Acme Corp.",
        ],
    )?;

    step("Somebody links the namespace to the forge");
    link(&daemon, &mut forge).await?;
    run(&daemon, &["link", "list", "acme"])?;
    let link = only_link(&daemon)?;

    step("The registry looks around");
    run(&daemon, &["repo", "list", &link])?;
    run(&daemon, &["repo", "refs", &link, "octo/hello"])?;

    step("A builder fetches a token, and clones with it");
    clone(&daemon, &forge, &link)?;

    let pushed_with = source::tell(&daemon, &forge, &link).await?;

    step("The token ends soon: it is refreshed once, however many callers there are");
    refresh_once(&daemon, &mut forge, &link).await?;

    step("Disable stops hand-out at once and revokes nothing; enable brings it back");
    run(&daemon, &["link", "disable", &link, "--reason", "audit"])?;
    refused(&daemon, &["credential", "read", &link])?;
    run(&daemon, &["link", "enable", &link])?;

    step("Unlink revokes at the forge, erases here, and answers with a receipt");
    run(&daemon, &["link", "unlink", &link])?;
    let live = forge.standin.live_tokens();
    let live = live.iter().filter(|live| live.secret != pushed_with);
    let live = live.count();
    note(&format!("the forge holds {live} live tokens of this link"));
    ensure!(live == 0, "a token outlived the unlink");

    if stay {
        play(&daemon, &forge).await
    } else {
        Ok(())
    }
}

async fn add_host(daemon: &Daemon, forge: &mut GitHubForge) -> Result<()> {
    // The redirect URI holds a part that is random for each host, so the application is registered for all of them.
    let client = forge
        .register(&format!("{}/oauth/", daemon.web_url()))
        .await?;
    let file = daemon.path("client-secret");
    std::fs::write(&file, &client.secret)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    let (web, api, file) = (forge.web_url(), forge.api_url(), file.display().to_string());
    run(
        daemon,
        &[
            "host",
            "add",
            "github",
            "--provider",
            "github",
            "--web-url",
            &web,
            "--api-url",
            &api,
            "--client-id",
            &client.id,
            "--client-secret-file",
            &file,
            "--allow-plaintext",
            "--allow-network",
            "127.0.0.0/8",
        ],
    )
}

async fn link(daemon: &Daemon, forge: &mut GitHubForge) -> Result<()> {
    let arguments = [
        "link",
        "create",
        "acme",
        "github",
        "--permission",
        "read-code,webhooks",
    ];
    let mut child = spawn(daemon, &arguments)?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let url = lines.next().context("the command printed no URL")??;
    println!("    {url}");
    note(
        "a person opens it, reads who asks for what, signs in at the forge, agrees, comes back and confirms",
    );
    let mut browser = forge.browser();
    link_in_browser(forge, &mut browser, url.trim()).await?;
    for line in lines {
        println!("    {}", line?);
    }
    ensure!(child.wait()?.success(), "linking failed");
    Ok(())
}

fn clone(daemon: &Daemon, forge: &GitHubForge, link: &str) -> Result<()> {
    let target = daemon.path("clone");
    let helper = format!(
        "!{} credential helper --link {link}",
        artifacts().cli().display()
    );
    let url = format!("{}/octo/hello.git", forge.web_url());
    println!(
        "    $ git -c credential.helper='!bindery credential helper --link {link}' clone {url}"
    );
    let status = Command::new("git")
        .args([
            "-c",
            "credential.helper=",
            "-c",
            &format!("credential.helper={helper}"),
            "clone",
            "--quiet",
            &url,
        ])
        .arg(&target)
        .env("BINDERY_ENDPOINT", daemon.endpoint())
        .env("GIT_TERMINAL_PROMPT", "0")
        .status()
        .context("git is needed for this step")?;
    ensure!(status.success(), "git clone failed");
    note(&format!(
        "README.md says {:?}",
        std::fs::read_to_string(target.join("README.md"))?.trim()
    ));
    Ok(())
}

async fn refresh_once(daemon: &Daemon, forge: &mut GitHubForge, link: &str) -> Result<()> {
    forge.lengthen()?;
    forge.standin.hold_token_endpoint();
    let before = forge.refreshes().await?;
    note("this stand-in's tokens live for eight seconds; the daemon asks for the next one in time");
    tokio::time::timeout(PATIENCE, forge.standin.token_endpoint_reached(1))
        .await
        .context("the daemon asked for no refresh")?;
    let callers: Vec<Child> = (0..20)
        .map(|_| {
            Ok(daemon
                .cli(&["credential", "read", link])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?)
        })
        .collect::<Result<_>>()?;
    forge.standin.release_token_endpoint();
    for mut caller in callers {
        ensure!(caller.wait()?.success(), "a caller got no token");
    }
    note(&format!(
        "20 callers, {} refresh at the forge",
        forge.refreshes().await? - before
    ));
    Ok(())
}

async fn play(daemon: &Daemon, forge: &GitHubForge) -> Result<()> {
    step("Both stay up. In another terminal:");
    let person = forge.person();
    println!("    export BINDERY_ENDPOINT={}", daemon.endpoint());
    println!(
        "    export PATH=\"{}:$PATH\"",
        artifacts().folder().display()
    );
    println!("    bindery link create acme github --permission read-code,webhooks");
    println!("    bindery status");
    note(&format!(
        "open the page that it prints, and sign in as {} / {}",
        person.login, person.password
    ));
    note("Ctrl-C here ends both, and removes their folder");
    tokio::signal::ctrl_c().await?;
    println!();
    Ok(())
}

fn run(daemon: &Daemon, arguments: &[&str]) -> Result<()> {
    println!("    $ bindery {}", shown(arguments));
    let output = daemon.cli(arguments).output()?;
    print_indented(&output.stdout);
    if !output.status.success() {
        bail!(
            "bindery {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// The one link of the namespace, as the commands take it.
fn only_link(daemon: &Daemon) -> Result<String> {
    let output = daemon
        .cli(&["link", "list", "acme", "-o", "name"])
        .output()?;
    let name = String::from_utf8(output.stdout)?;
    let short = name
        .trim()
        .strip_prefix("namespaces/")
        .map(|rest| rest.replace("/links/", "/"));
    short.with_context(|| format!("no link in {name:?}"))
}

/// A command that has to be refused.
fn refused(daemon: &Daemon, arguments: &[&str]) -> Result<()> {
    println!("    $ bindery {}", shown(arguments));
    let output = daemon.cli(arguments).output()?;
    ensure!(
        !output.status.success(),
        "bindery {} was not refused",
        arguments.join(" ")
    );
    print_indented(&output.stderr);
    Ok(())
}

fn spawn(daemon: &Daemon, arguments: &[&str]) -> Result<Child> {
    println!("    $ bindery {}", shown(arguments));
    Ok(daemon
        .cli(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?)
}

/// Arguments as one would type them.
fn shown(arguments: &[&str]) -> String {
    let quoted = |argument: &&str| {
        if argument.contains(' ') {
            format!("'{argument}'")
        } else {
            (*argument).to_owned()
        }
    };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn print_indented(text: &[u8]) {
    for line in String::from_utf8_lossy(text).lines() {
        println!("    {line}");
    }
}

fn step(text: &str) {
    println!("\n==> {text}");
    // The next step may take long; a terminal that is gone is no reason to stop.
    let _ = std::io::stdout().flush();
}

fn note(text: &str) {
    println!("    ({text})");
}
