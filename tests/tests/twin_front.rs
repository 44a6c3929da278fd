//! A twin on a real socket says what it says as a value, and git works through it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bindery_tests::{gitea::Decision, receiver::Receiver, twin::Served};
use bindery_twins::{
    Twin,
    gitlab::GitLab,
    hooks::Hook,
    knobs::Fault,
    world::{NewToken, Owner},
};
use tokio::process::Command;
use url::Url;

const REDIRECT: &str = "http://127.0.0.1:9/callback";

struct Scene {
    served: Served<GitLab>,
    octo: u64,
    hello: u64,
}

impl Scene {
    async fn start() -> Result<Self> {
        let mut twin = GitLab::new("http://gitlab.example.com", 1);
        let octo = twin.state_mut().world.add_person("octo", 1_790_000_000_000);
        let served = Served::start("/root", twin).await?;
        let hello =
            served.add_repository(Owner::Person(octo), "hello", &[("README.md", "hello\n")])?;
        Ok(Self {
            served,
            octo,
            hello,
        })
    }

    fn token(&self, scopes: &[&str]) -> String {
        let new = NewToken {
            person: self.octo,
            name: "git",
            scopes,
            expires: None,
        };
        self.served
            .with(|twin| twin.make_token(&new, 1_790_000_000_000))
    }

    fn repository(&self, path: &str, token: &str) -> Result<String> {
        let mut url = Url::parse(&format!("{}/{path}.git", self.served.web_url()))?;
        url.set_username("oauth2").ok().context("no user name")?;
        url.set_password(Some(token)).ok().context("no password")?;
        Ok(url.into())
    }
}

async fn git(into: &Path, arguments: &[&str]) -> Result<bool> {
    let output = Command::new("git")
        .args(["-c", "user.name=octo", "-c", "user.email=octo@example.com"])
        .args(arguments)
        .current_dir(into)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", into)
        .output()
        .await?;
    Ok(output.status.success())
}

/// Git clones with a token that may read, pushes with one that may write, and the twin knows what was pushed.
#[tokio::test]
async fn git_reads_and_writes_as_the_twin_allows() -> Result<()> {
    let scene = Scene::start().await?;
    let into = tempfile::tempdir()?;
    let reads = scene.repository("octo/hello", &scene.token(&["read_repository"]))?;
    let writes = scene.repository("octo/hello", &scene.token(&["write_repository"]))?;
    let refused = scene.repository("octo/hello", &scene.token(&["read_user"]))?;
    ensure!(
        !git(into.path(), &["clone", "-q", &refused, "no"]).await?,
        "any token reads"
    );
    ensure!(
        git(into.path(), &["clone", "-q", &reads, "here"]).await?,
        "no clone"
    );
    let here = into.path().join("here");
    ensure!(std::fs::read_to_string(here.join("README.md"))? == "hello\n");
    ensure!(
        git(&here, &["commit", "-q", "--allow-empty", "-m", "more"]).await?,
        "no commit"
    );
    ensure!(
        !git(&here, &["push", "-q", &reads, "HEAD:pushed"]).await?,
        "any token writes"
    );
    ensure!(
        git(&here, &["push", "-q", &writes, "HEAD:pushed"]).await?,
        "no push"
    );
    let refs = scene
        .served
        .with(|twin| twin.state().world.repositories[&scene.hello].refs.clone());
    ensure!(
        refs.iter().any(|found| found.name == "refs/heads/pushed"),
        "{refs:?}"
    );
    let tag = refs.iter().find(|found| found.name == "refs/tags/v1.0.0");
    let tag = tag.context("no tag")?;
    ensure!(tag.tag_object.is_some() && tag.tag_object.as_ref() != Some(&tag.commit));
    Ok(())
}

/// A repository that was renamed is still cloned under its old path.
#[tokio::test]
async fn git_follows_a_renamed_repository() -> Result<()> {
    let scene = Scene::start().await?;
    let into = tempfile::tempdir()?;
    let old = scene.repository("octo/hello", &scene.token(&["read_repository"]))?;
    scene.served.with(|twin| {
        twin.state_mut()
            .world
            .rename_repository(scene.hello, "bonjour")
    });
    ensure!(
        git(into.path(), &["clone", "-q", &old, "here"]).await?,
        "no clone"
    );
    Ok(())
}

/// A person agrees or refuses on the page, and is led back with the state.
#[tokio::test]
async fn a_person_decides_on_the_page() -> Result<()> {
    let scene = Scene::start().await?;
    let client = scene.served.with(|twin| {
        let state = twin.state_mut();
        state
            .oauth
            .register(&mut state.mint, "Bindery", &[REDIRECT], &["read_user"])
    });
    let mut start = Url::parse(&format!("{}/oauth/authorize", scene.served.web_url()))?;
    start.query_pairs_mut().extend_pairs([
        ("client_id", client.id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", REDIRECT),
        ("scope", "read_user"),
        ("state", "abc"),
    ]);
    for (decision, member) in [(Decision::Agree, "code"), (Decision::Refuse, "error")] {
        let mut browser = scene.served.browser();
        let page = browser.get(&start).await?;
        let form = page
            .forms()
            .into_iter()
            .find(|form| (form.value("login") == Some("octo")) == (decision == Decision::Agree));
        let back = browser.submit(&form.context("no form")?).await?;
        let to = back.location()?.context("it leads nowhere")?;
        let names: Vec<_> = to
            .query_pairs()
            .map(|(name, _)| name.into_owned())
            .collect();
        ensure!(names.iter().any(|name| name == member), "{to}");
        ensure!(names.iter().any(|name| name == "state"), "{to}");
    }
    Ok(())
}

/// A connection that is closed on purpose gives no answer; the one after it does.
#[tokio::test]
async fn connections_close_on_purpose() -> Result<()> {
    let scene = Scene::start().await?;
    let url = Url::parse(&format!("{}/api/v4/version", scene.served.web_url()))?;
    scene.served.with(|twin| {
        let knobs = &mut twin.state_mut().knobs;
        knobs.fail_next("/root/api/v4/version", Fault::Close);
    });
    let mut browser = scene.served.browser();
    ensure!(browser.get(&url).await.is_err(), "an answer came");
    ensure!(
        browser.get(&url).await?.status == 401,
        "no answer comes any more"
    );
    Ok(())
}

/// What is pushed through the front reaches the hook's URL.
#[tokio::test]
async fn hooks_are_told_for_real() -> Result<()> {
    let scene = Scene::start().await?;
    let receiver = Receiver::start().await?;
    scene.served.with(|twin| {
        let mut hook = Hook::new(1, scene.hello, &receiver.url("/hooks/1"), 0);
        hook.secret = Some("s3cr3t".to_owned());
        hook.events.insert("tag_push_events".to_owned());
        twin.state_mut().hooks.plant(hook);
    });
    scene.served.add_tags(scene.hello, &["v2.0.0"], true)?;
    scene.served.deliveries_done().await;
    let got = receiver.take();
    ensure!(got.len() == 1, "{got:?}");
    ensure!(got[0].header("x-gitlab-token") == Some("s3cr3t"));
    let told = got[0].json();
    ensure!(told["ref"] == "refs/tags/v2.0.0" && told["after"] != told["checkout_sha"]);
    Ok(())
}
