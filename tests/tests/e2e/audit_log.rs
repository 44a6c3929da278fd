//! The audit log and the switch for plugins, as an operator meets them.

use anyhow::{Result, ensure};
use bindery_tests::forge::GitHubForge;

use crate::world::World;

/// Runs the command line; its exit code, and all that it printed.
fn run<F>(world: &World<F>, arguments: &[&str]) -> Result<(i32, String)> {
    let output = world.daemon.cli(arguments).output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((output.status.code().unwrap_or(-1), text))
}

/// Every change and every credential is listed with who, what and how it ended, also after a kill; the chain fits then, and
/// a record that somebody changes on the disk is found and named. The token is nowhere in it.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_survives_kills_and_tells_of_changes() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    let token = world.token(&link).await?;
    world.crash().await?;
    world.client.disable_link(&link, "holidays").await?;
    let (exit, listed) = run(&world, &["admin", "audit", "list", "--limit", "0"])?;
    ensure!(exit == 0, "{listed}");
    for part in [
        "bindery.v1.HostService/CreateHost",
        "bindery.v1.LinkService/CreateLink",
        "web/callback",
        "web/confirm",
        "bindery.v1.CredentialService/FetchReadCredential",
        "bindery.v1.LinkService/DisableLink",
        "access=read",
        "begun",
        &link,
    ] {
        ensure!(listed.contains(part), "{part}:\n{listed}");
    }
    ensure!(!listed.contains(&token));
    let filter = "action = bindery.v1.CredentialService/FetchReadCredential";
    let (exit, one) = run(
        &world,
        &["admin", "audit", "list", "-o", "json", "--filter", filter],
    )?;
    ensure!(exit == 0 && one.matches("chainHash").count() == 1, "{one}");
    let (exit, verdict) = run(&world, &["admin", "audit", "verify"])?;
    ensure!(exit == 0 && verdict.contains("intact"), "{verdict}");

    world.daemon.kill()?;
    let folder = std::fs::read_dir(world.daemon.path("data/audit"))?;
    for file in folder {
        let file = file?.path();
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(
            &file,
            text.replace("access\":\"read\"", "access\":\"none\""),
        )?;
    }
    world.daemon.resume().await?;
    let (exit, verdict) = run(&world, &["admin", "audit", "verify"])?;
    ensure!(exit == 1 && verdict.contains("was changed"), "{verdict}");
    Ok(())
}

/// What an operator does while the daemon is sealed is on the disk at once: after a kill it is in the log of the next daemon, and
/// the chain fits. Callers who are refused meanwhile, however often, push nothing out.
#[tokio::test(flavor = "multi_thread")]
async fn deeds_of_a_sealed_daemon_survive_a_kill() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    let (exit, said) = run(&world, &["admin", "seal", "--reason", "a drill"])?;
    ensure!(exit == 0, "{said}");
    for _ in 0..20 {
        let refused = run(&world, &["link", "disable", &link])?;
        ensure!(refused.0 != 0, "{refused:?}");
    }
    let why = ["plugin", "disable", "github", "--reason", "it leaks"];
    let (exit, said) = run(&world, &why)?;
    ensure!(exit == 0, "{said}");
    world.daemon.kill()?;
    world.daemon.resume().await?;
    let filter = "resource = plugins/github";
    let (exit, listed) = run(&world, &["admin", "audit", "list", "--filter", filter])?;
    ensure!(exit == 0, "{listed}");
    for part in ["DisablePlugin", "sealed=true", "reason=it leaks"] {
        ensure!(listed.contains(part), "{part}:\n{listed}");
    }
    ensure!(listed.matches("DisablePlugin").count() == 2, "{listed}");
    let (exit, verdict) = run(&world, &["admin", "audit", "verify"])?;
    ensure!(exit == 0 && verdict.contains("intact"), "{verdict}");
    Ok(())
}

/// A plugin that an operator stops stays stopped over a restart and says why; its links work again once it is enabled.
#[tokio::test(flavor = "multi_thread")]
async fn disabled_plugins_stay_disabled() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    let stop = [
        "plugin",
        "disable",
        "github",
        "--reason",
        "until it is updated",
    ];
    let (exit, said) = run(&world, &stop)?;
    ensure!(exit == 0 && said.contains("disabled"), "{said}");
    for _ in 0..2 {
        let (_, listed) = run(&world, &["plugin", "list"])?;
        ensure!(listed.contains("until it is updated"), "{listed}");
        let checked = world.client.check_link(&link).await;
        ensure!(checked.is_err(), "no plugin, and yet {checked:?}");
        world.daemon.kill()?;
        world.daemon.resume().await?;
        world.connect().await?;
    }
    let (exit, said) = run(&world, &["plugin", "enable", "github"])?;
    ensure!(exit == 0 && said.contains("running"), "{said}");
    world.client.check_link(&link).await?;
    let (exit, said) = run(&world, &["plugin", "disable", "nothing"])?;
    ensure!(exit == 3, "{exit} {said}");
    Ok(())
}
