//! The hook of a GitHub App: set by the daemon itself, the only one that sources of installations need, and what shows that an
//! installation ended.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    EventQuery, EventWatch, SourceRequest,
    proto::v1::{
        Event, Hook, Source,
        event::{Change, Origin},
        hook,
        observed_state::{Cause, Stage},
    },
};
use bindery_tests::{
    github::GitHub,
    pushes::{Hooked, Pushed},
    sender::{Answer, Sender},
};
use bindery_twins::hooks::{Outcome, Sent};
use http::StatusCode;

use crate::apps::AppWorld;

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const NAMESPACE: &str = "namespaces/acme";

/// A host whose app's hook leads here, set up by command.
struct Led {
    app: AppWorld,
}

impl Led {
    /// The hook is active in the settings of the app, for these events; where it leads to is set by `bindery host hook`.
    async fn new() -> Result<Self> {
        Self::of(AppWorld::new(None).await?).await
    }

    async fn of(app: AppWorld) -> Result<Self> {
        let led = Self { app };
        let id = led.app.app.app_id;
        led.standin()
            .activate_app_hook(id, &["push", "repository"])?;
        led.set_up(&[])?;
        led.hook_when(|hook| hook.state() == hook::State::Silent)
            .await?;
        Ok(led)
    }

    fn standin(&self) -> &GitHub {
        &self.app.world.forge.standin
    }

    /// `bindery host hook --set-up`: what it says of the hook.
    fn set_up(&self, more: &[&str]) -> Result<()> {
        let arguments = [&["host", "hook", "forge", "--set-up"], more].concat();
        let host = self.app.bindery(&arguments)?;
        let url = host
            .pointer("/app/hook/delivery_uri")
            .or_else(|| host.pointer("/app/hook/deliveryUri"));
        let url = url.and_then(serde_json::Value::as_str);
        let led = self.set()?.url;
        ensure!(url == Some(&led), "{host} does not lead to {led}");
        Ok(())
    }

    /// The hook as the forge has it.
    fn set(&self) -> Result<bindery_twins::hooks::Hook> {
        let hook = self.standin().app_hook(self.app.app.app_id);
        hook.context("the app has no hook")
    }

    /// What the host shows of the app's hook, once it is so.
    async fn hook_when(&self, is: impl Fn(&Hook) -> bool) -> Result<Hook> {
        hook_when(&self.app, is).await
    }

    async fn connect(&self, repositories: &[&str]) -> Result<(u64, String, Vec<Source>)> {
        connect(&self.app, repositories).await
    }

    fn watch(&self) -> EventWatch {
        let events = self.app.world.client.events(NAMESPACE);
        events.consumer("builder").oldest().watch()
    }

    /// What was delivered to a hook of the forge, and what was answered, once there are so many.
    async fn sent_to(&self, hook: u64, count: usize) -> Result<Vec<Sent>> {
        self.standin().deliveries_done().await;
        let all = self.standin().deliveries().into_iter();
        let own: Vec<_> = all.filter(|sent| sent.delivery.hook == hook).collect();
        ensure!(own.len() == count, "{} deliveries: {own:#?}", own.len());
        Ok(own)
    }

    /// The tags that events tell of, each with its source, after `mark` was pushed and told.
    async fn tags_until(&self, mark: &str) -> Result<Vec<(String, String)>> {
        let mut watch = self.watch();
        self.standin().add_tag("octo/hello", mark, false)?;
        let mark = format!("refs/tags/{mark}");
        while tag(&next(&mut watch).await?) != Some(&mark) {}
        let all = self
            .app
            .world
            .client
            .list_events(NAMESPACE, EventQuery::default());
        let all = all.all().await?;
        let told = all
            .iter()
            .filter_map(|event| Some((tag(event)?.to_owned(), event.source.clone())));
        Ok(told.collect())
    }
}

/// Binds what the app is installed on, and connects repositories.
async fn connect(app: &AppWorld, repositories: &[&str]) -> Result<(u64, String, Vec<Source>)> {
    let installation = app.install()?;
    let link = app.bind(NAMESPACE, installation).await?.name;
    let mut sources = Vec::new();
    for repository in repositories {
        let request = SourceRequest::new(&link, *repository);
        sources.push(app.world.client.create_source(request).await?);
    }
    Ok((installation, link, sources))
}

async fn hook_when(app: &AppWorld, is: impl Fn(&Hook) -> bool) -> Result<Hook> {
    let wait = async {
        loop {
            let host = app.world.client.get_host("hosts/forge").await?;
            let hook = host.app.and_then(|app| app.hook).context("no hook")?;
            if is(&hook) {
                return Ok(hook);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .context("the hook of the app does not become so")?
}

/// The next event that is about a ref or about access, acknowledged.
async fn next(watch: &mut EventWatch) -> Result<Event> {
    loop {
        let event = tokio::time::timeout(PATIENCE, watch.next())
            .await
            .context("no event came")??;
        watch.ack(&event).await?;
        if matches!(
            event.change,
            Some(Change::Push(_) | Change::TagCreated(_) | Change::AccessChanged(_))
        ) {
            return Ok(event);
        }
    }
}

/// The tag that an event tells of.
fn tag(event: &Event) -> Option<&str> {
    match &event.change {
        Some(Change::TagCreated(tag)) => Some(&tag.r#ref),
        _ => None,
    }
}

fn lost(event: &Event) -> Option<(bool, String)> {
    match &event.change {
        Some(Change::AccessChanged(change)) => {
            let reason = change.finding.as_ref().map(|found| found.reason.clone());
            Some((change.lost, reason.unwrap_or_default()))
        }
        _ => None,
    }
}

/// `bindery host hook` has the daemon set the app's hook by the app's API, with a secret that nobody else has; sources of an
/// installation then make no hook of their own, and a push is an event of the source of its repository, once.
#[tokio::test(flavor = "multi_thread")]
async fn the_hook_of_an_app_serves_its_installations() -> Result<()> {
    let led = Led::new().await?;
    let set = led.set()?;
    ensure!(set.url.contains("/hooks/") && !set.form && set.verifies_tls);
    ensure!(set.secret.as_ref().is_some_and(|secret| secret.len() == 64));
    let (_, _, sources) = led.connect(&["octo/hello", "octo/other"]).await?;
    for (source, repository) in sources.iter().zip(["octo/hello", "octo/other"]) {
        let own = source.hook.as_ref().context("no hook")?;
        ensure!(own.by_app && own.delivery_uri.is_empty(), "{own:?}");
        let there = led.standin().hooks(repository);
        ensure!(there.is_empty(), "{repository} has a hook of its own");
    }
    led.standin().add_tag("octo/other", "v1", false)?;
    let told = led.tags_until("v2").await?;
    let of = |n: usize| sources[n].name.clone();
    ensure!(
        told == [
            ("refs/tags/v1".to_owned(), of(1)),
            ("refs/tags/v2".to_owned(), of(0))
        ],
        "{told:?}"
    );
    led.hook_when(|hook| hook.state() == hook::State::Verified)
        .await?;
    let shown = led.app.bindery(&["host", "hook", "forge"])?;
    ensure!(shown.to_string().contains("VERIFIED"), "{shown}");
    Ok(())
}

/// What becomes of an installation shows at once in its link, without anybody asking.
#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_ends_is_told_by_the_apps_hook() -> Result<()> {
    let led = Led::new().await?;
    let (installation, link, _) = led.connect(&["octo/hello"]).await?;
    let mut watch = led.watch();
    led.standin().suspend_installation(installation, true)?;
    let event = next(&mut watch).await?;
    ensure!(
        lost(&event) == Some((true, "APP_SUSPENDED".to_owned())),
        "{event:?}"
    );
    led.standin().uninstall(installation)?;
    let event = next(&mut watch).await?;
    ensure!(
        lost(&event) == Some((true, "APP_UNINSTALLED".to_owned())),
        "{event:?}"
    );
    let observed = led.app.world.client.get_link(&link).await?.observed;
    let observed = observed.context("no state")?;
    ensure!(
        (observed.stage(), observed.cause())
            == (Stage::NeedsReauthorization, Cause::AppUninstalled)
    );
    let page = observed.action_uri.ends_with("/binder/installations/new");
    ensure!(page, "{observed:?}");
    Ok(())
}

/// What another app delivers to the same address is refused as a hook that nobody knows is, and what comes of an installation
/// that nobody linked is no event and shows at no source.
#[tokio::test(flavor = "multi_thread")]
async fn deliveries_of_others_become_nothing() -> Result<()> {
    let led = Led::new().await?;
    let (_, _, sources) = led.connect(&["octo/hello"]).await?;
    let (github, own) = (led.standin(), led.set()?);
    let other = github.add_github_app(
        "Other",
        "octo",
        "https://other.example/",
        &["contents:read"],
    )?;
    github.activate_app_hook(other.app_id, &["push"])?;
    let theirs = github.app_hook(other.app_id).context("no hook")?.id;
    github.change_hook(theirs, |hook| {
        hook.url.clone_from(&own.url);
        hook.secret = Some("f".repeat(64));
    })?;
    github.install(other.app_id, "octo", &[])?;
    let nobody = own.url.rsplit_once('/').context("no URL")?.0;
    let unknown = github.plant_hook(
        "octo/hello",
        &format!("{nobody}/{}", "0".repeat(26)),
        &["push"],
    )?;
    github.add_user("mallory");
    github.add_repo("mallory", "own", false, &[("README.md", "mallory\n")])?;
    github.install(led.app.app.app_id, "mallory", &[])?;
    // To the app's hook both, to the other's one.
    github.add_tag("mallory/own", "foreign", false)?;
    github.add_tag("octo/hello", "v1", false)?;
    for refused in [theirs, unknown] {
        let outcome = led.sent_to(refused, 1).await?[0].outcome;
        ensure!(outcome == Outcome::Answered(401), "{outcome:?}");
    }
    for taken in led.sent_to(own.id, 2).await? {
        ensure!(taken.outcome == Outcome::Answered(202), "{taken:?}");
    }
    let told = led.tags_until("mark").await?;
    let tags: Vec<_> = told.iter().map(|(tag, _)| tag.as_str()).collect();
    ensure!(tags == ["refs/tags/v1", "refs/tags/mark"], "{told:?}");
    let client = &led.app.world.client;
    let shown = client.list_deliveries(&sources[0].name, None).all().await?;
    ensure!(shown.len() == 2, "{shown:#?}");
    Ok(())
}

/// The secret of the app's hook is rotated by command: with an overlap the old one is accepted beside the new one, without one
/// only the new one is.
#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_an_apps_hook_rotates_by_command() -> Result<()> {
    let led = Led::new().await?;
    led.connect(&["octo/hello"]).await?;
    let id = led.app.app.app_id;
    let hooked = || Hooked::of_app(led.standin(), id, "octo/hello");
    let mut sender = Sender::new(&led.app.world.daemon.web_url(), 1)?;
    let mut number = 0;
    let mut post = async |hooked: &Hooked| {
        number += 1;
        let commit = format!("{number:040x}");
        let branch = format!("rotated-{number}");
        let push = Pushed {
            branch: &branch,
            before: None,
            after: &commit,
        };
        sender.post(&hooked.push(&commit, push)).await
    };
    let refused = Answer::Refused(StatusCode::UNAUTHORIZED);
    let first = hooked()?;
    led.set_up(&["--overlap", "1h"])?;
    let second = hooked()?;
    ensure!(
        post(&first).await? == Answer::Taken,
        "the old one is refused"
    );
    ensure!(
        post(&second).await? == Answer::Taken,
        "the new one is refused"
    );
    led.set_up(&["--overlap", "0s"])?;
    let third = hooked()?;
    ensure!(post(&first).await? == refused, "the first one is taken");
    ensure!(post(&second).await? == refused, "the old one is taken");
    ensure!(
        post(&third).await? == Answer::Taken,
        "the new one is refused"
    );
    // Those that were taken, and what the forge signs now.
    let mut watch = led.watch();
    for _ in 0..3 {
        let event = next(&mut watch).await?;
        ensure!(matches!(event.change, Some(Change::Push(_))), "{event:?}");
    }
    let told = led.tags_until("signed-anew").await?;
    ensure!(told.len() == 1, "{told:?}");
    Ok(())
}

/// GitHub never tries again: what its list says that failed is asked for again, and comes once.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_apps_hook_missed_comes_once() -> Result<()> {
    let led = Led::new().await?;
    let (_, _, sources) = led.connect(&["octo/hello"]).await?;
    let (github, source) = (led.standin(), &sources[0].name);
    // Long enough ago that it is not on its way any more.
    github.set_clock_offset(-300);
    github.fail_next_deliveries(1);
    github.add_tag("octo/hello", "missed", false)?;
    github.deliveries_done().await;
    github.set_clock_offset(0);
    let since = SystemTime::now() - Duration::from_secs(3600);
    let client = &led.app.world.client;
    let caught = client.catch_up_source(source, Some(since)).await?;
    ensure!(caught.recovered_deliveries == 1, "{caught:?}");
    let mut watch = led.watch();
    let event = next(&mut watch).await?;
    ensure!(tag(&event) == Some("refs/tags/missed"), "{event:?}");
    ensure!(event.origin() == Origin::Redelivery, "{event:?}");
    let again = client.catch_up_source(source, Some(since)).await?;
    ensure!(
        again.recovered_deliveries == 0 && again.events.is_empty(),
        "{again:?}"
    );
    let told = led.tags_until("mark").await?;
    ensure!(told.len() == 2, "{told:?}");
    Ok(())
}

/// A repository that had a hook of its own before the app's was set up has none once the app's has brought something; its source
/// is told so, and of each push once.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_moves_to_the_apps_hook() -> Result<()> {
    let app = AppWorld::with_hooks().await?;
    let (_, _, sources) = connect(&app, &["octo/hello"]).await?;
    let own = |app: &AppWorld| app.world.forge.standin.hooks("octo/hello").len();
    ensure!(own(&app) == 1, "it has no hook of its own");
    let led = Led::of(app).await?;
    led.standin().add_tag("octo/hello", "v1", false)?;
    let gone = async {
        while own(&led.app) > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    gone.context("its own hook stays")?;
    led.standin().add_tag("octo/hello", "v2", false)?;
    let told = led.tags_until("mark").await?;
    let tags: Vec<_> = told.iter().map(|(tag, _)| tag.as_str()).collect();
    ensure!(
        tags == ["refs/tags/v1", "refs/tags/v2", "refs/tags/mark"],
        "{told:?}"
    );
    let client = &led.app.world.client;
    let events = client.list_events(NAMESPACE, EventQuery::default()).all();
    let events = events.await?;
    let receipts = events.iter().filter_map(|event| match &event.change {
        Some(Change::HookChanged(change)) => change.hook.as_ref(),
        _ => None,
    });
    let receipts = receipts.filter(|hook| hook.message.contains("was removed at the provider"));
    ensure!(receipts.count() == 1, "it is not told once");
    let hook = client.get_source(&sources[0].name).await?.hook;
    ensure!(hook.is_some_and(|hook| hook.by_app && hook.state() == hook::State::Verified));
    Ok(())
}

/// An app whose hook is not active has none that could be set: that is said with what to do, and sources have hooks of their
/// own where the installation may make them.
#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_hook_of_an_app_is_said() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let hook = hook_when(&app, |hook| hook.state() == hook::State::Missing).await?;
    ensure!(
        hook.message.contains("not active") && hook.message.contains("/hooks/"),
        "{hook:?}"
    );
    let set = app.bindery(&["host", "hook", "forge", "--set-up"]);
    ensure!(set.is_err(), "a hook that is not active was set");
    Ok(())
}
