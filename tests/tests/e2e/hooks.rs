//! From `git push` to the registry, and not one hook left behind, on a real Gitea.

#[path = "hooks/dead_letters.rs"]
mod dead_letters;
#[path = "hooks/expected.rs"]
mod expected;
#[path = "hooks/firing.rs"]
mod firing;
#[path = "hooks/in_place.rs"]
mod in_place;
#[path = "hooks/missed.rs"]
mod missed;
#[path = "hooks/outgoing.rs"]
mod outgoing;
#[path = "hooks/registry.rs"]
mod registry;
#[path = "hooks/rotating.rs"]
mod rotating;
#[path = "hooks/told.rs"]
mod told;
#[path = "hooks/truth.rs"]
mod truth;
#[path = "hooks/working_copy.rs"]
mod working_copy;

use std::slice;

use anyhow::{Context, Result, ensure};
use bindery_client::{
    SourceRequest, UnlinkRequest,
    proto::v1::{Source, hook},
};
use bindery_tests::{
    forge::GiteaForge,
    gitea::{Auth, Gitea},
};

use self::{
    expected::{annotated, deleted, pushed, tagged},
    registry::{Registry, linked},
    rotating::rotate,
    working_copy::WorkingCopy,
};
use crate::world::World;

/// A registry that watches one repository of a real Gitea.
struct Watched {
    world: World<GiteaForge>,
    link: String,
    source: Source,
    registry: Registry,
    copy: WorkingCopy,
}

impl Watched {
    /// `None` where there is no Gitea.
    async fn start() -> Result<Option<Self>> {
        if let Err(reason) = Gitea::available() {
            bindery_tests::not_run(&reason);
            return Ok(None);
        }
        let mut world = World::new(GiteaForge::start(3600, true).await?).await?;
        let link = linked(&mut world, "namespaces/acme").await?;
        let request = SourceRequest::new(&link, "octo/hello");
        let source = world.client.create_source(request).await?;
        let registry = Registry::of(&world.client, "namespaces/acme");
        let copy = WorkingCopy::of(&world.forge, "octo/hello").await?;
        Ok(Some(Self {
            world,
            link,
            source,
            registry,
            copy,
        }))
    }

    /// A commit on `main` is pushed; says where it was before and after.
    async fn push(&self, text: &str) -> Result<(String, String)> {
        let commits = self.copy.commit("main", text).await?;
        self.copy.push(&["main"]).await?;
        Ok(commits)
    }

    async fn hooks_at_the_forge(&self) -> Result<usize> {
        let forge = &self.world.forge;
        let auth = Auth::Basic(forge.person());
        let path = "/api/v1/repos/octo/hello/hooks";
        let answer = forge.server.api("GET", path, &auth, None).await?;
        Ok(answer.json.as_array().context("no list")?.len())
    }
}

/// Branches, light and annotated tags, deletions and many refs at once: the exact list of events. The hook proves itself by its
/// first delivery, serves a second registry, and is gone after the unlinks.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_become_events_and_unlinking_leaves_nothing() -> Result<()> {
    let Some(mut watched) = Watched::start().await? else {
        return Ok(());
    };
    ensure!(watched.hooks_at_the_forge().await? == 1, "not one hook");

    let (before, first) = watched.push("one").await?;
    let registry = &mut watched.registry;
    registry.expect(&[pushed("main", &before, &first)]).await?;
    let source = watched
        .world
        .client
        .get_source(&watched.source.name)
        .await?;
    let hook = source.hook.context("no hook")?;
    ensure!(hook.state() == hook::State::Verified, "{hook:?}");

    one_by_one(&mut watched, &first).await?;
    many_at_once(&mut watched, &first).await?;
    second_registry(&mut watched).await?;
    let receipt = watched
        .world
        .client
        .unlink(UnlinkRequest::new(&watched.link))
        .await?;
    println!("{receipt:?}");
    ensure!(
        watched.hooks_at_the_forge().await? == 0,
        "a hook is left behind"
    );
    Ok(())
}

/// A push for each.
async fn one_by_one(watched: &mut Watched, commit: &str) -> Result<()> {
    let (copy, registry) = (&watched.copy, &mut watched.registry);
    copy.git(&["tag", "light"]).await?;
    copy.git(&["tag", "-a", "v1.0", "-m", "first"]).await?;
    copy.git(&["branch", "topic"]).await?;
    let steps = [
        ("light", tagged("light", commit)),
        ("v1.0", annotated("v1.0", commit)),
        ("topic", pushed("topic", "", commit)),
        (":light", deleted("refs/tags/light", commit)),
        (":v1.0", deleted("refs/tags/v1.0", commit)),
        (":topic", deleted("refs/heads/topic", commit)),
    ];
    for (pushed, wanted) in steps {
        copy.push(&[pushed]).await?;
        registry.expect(&[wanted]).await?;
    }
    Ok(())
}

/// Branches, light and annotated tags and deletions of each in one push: the events of all, whatever the order in which the
/// forge delivers them, and then nothing but that of the next push.
async fn many_at_once(watched: &mut Watched, commit: &str) -> Result<()> {
    let (copy, registry) = (&watched.copy, &mut watched.registry);
    copy.git(&["branch", "old"]).await?;
    copy.git(&["tag", "old-light"]).await?;
    copy.git(&["tag", "-a", "old-noted", "-m", "old"]).await?;
    copy.push(&["old", "old-light", "old-noted"]).await?;
    let made = vec![
        pushed("old", "", commit),
        tagged("old-light", commit),
        annotated("old-noted", commit),
    ];
    registry.expect_all(made).await?;

    let gone = [
        "refs/heads/old",
        "refs/tags/old-light",
        "refs/tags/old-noted",
    ];
    let mut refs: Vec<_> = gone.iter().map(|name| format!(":{name}")).collect();
    let mut wanted: Vec<_> = gone.iter().map(|name| deleted(name, commit)).collect();
    for n in 0..4 {
        let [branch, light, noted] = ["many", "light", "noted"].map(|kind| format!("{kind}-{n}"));
        copy.git(&["branch", &branch]).await?;
        copy.git(&["tag", &light]).await?;
        copy.git(&["tag", "-a", &noted, "-m", "many"]).await?;
        wanted.push(pushed(&branch, "", commit));
        wanted.push(tagged(&light, commit));
        wanted.push(annotated(&noted, commit));
        refs.extend([branch, light, noted]);
    }
    let refs: Vec<_> = refs.iter().map(String::as_str).collect();
    copy.push(&refs).await?;
    registry.expect_all(wanted).await?;
    let (before, after) = watched.push("mark").await?;
    let mark = pushed("main", &before, &after);
    watched.registry.expect(&[mark]).await
}

/// Another namespace uses the same repository: still one hook, and both are told.
async fn second_registry(watched: &mut Watched) -> Result<()> {
    let world = &mut watched.world;
    let link = linked(world, "namespaces/globex").await?;
    let request = SourceRequest::new(&link, "octo/hello");
    world.client.create_source(request).await?;
    ensure!(watched.hooks_at_the_forge().await? == 1, "a second hook");

    let mut other = Registry::of(&watched.world.client, "namespaces/globex");
    let (before, after) = watched.push("two").await?;
    let wanted = pushed("main", &before, &after);
    let wanted = slice::from_ref(&wanted);
    watched.registry.expect(wanted).await?;
    other.expect(wanted).await?;
    let unlink = UnlinkRequest::new(&link);
    watched.world.client.unlink(unlink).await?;
    ensure!(
        watched.hooks_at_the_forge().await? == 1,
        "the hook of a registry that stays is gone"
    );
    Ok(())
}

/// The hook gets new secrets while people push. Gitea replaces a hook to give it another secret, and drops what it had not
/// delivered to the old one: such pushes are found by comparing refs. Each that is waited for is one event; of those that
/// follow each other at once some may come as one, and none is lost or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_during_rotations_come_once() -> Result<()> {
    let Some(mut watched) = Watched::start().await? else {
        return Ok(());
    };
    let mut head = String::new();
    for round in 0..3 {
        let rotating = rotate(&watched.world.client, &watched.source.name, 1);
        let text = format!("waited {round}");
        let (pushing, rotated) = tokio::join!(watched.push(&text), rotating);
        rotated?;
        let (before, after) = pushing?;
        let wanted = pushed("main", &before, &after);
        watched.registry.expect(&[wanted]).await?;
        head = after;
    }
    let (client, source) = (watched.world.client.clone(), watched.source.name.clone());
    let rotating = tokio::spawn(async move { rotate(&client, &source, 3).await });
    let (mut last, mut pushes) = (head.clone(), 0);
    while !rotating.is_finished() || pushes < 6 {
        (_, last) = watched.push(&format!("in a row {pushes}")).await?;
        pushes += 1;
    }
    rotating.await??;
    let came = watched.registry.expect_chain(&head, &last).await?;
    println!("{pushes} pushes during 3 rotations came as {came} events");
    ensure!(watched.hooks_at_the_forge().await? == 1, "not one hook");
    let (before, after) = watched.push("mark").await?;
    let mark = pushed("main", &before, &after);
    watched.registry.expect(&[mark]).await
}

/// The daemon is away while people push: the push is found, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_while_the_daemon_is_dead_comes_once() -> Result<()> {
    let Some(mut watched) = Watched::start().await? else {
        return Ok(());
    };
    let (before, after) = watched.push("seen").await?;
    let seen = pushed("main", &before, &after);
    watched.registry.expect(&[seen]).await?;
    watched.world.daemon.kill()?;
    let (before, after) = watched.push("unseen").await?;
    watched.world.daemon.resume().await?;
    watched.world.connect().await?;
    let client = &watched.world.client;
    client.catch_up_source(&watched.source.name, None).await?;
    let unseen = pushed("main", &before, &after);
    watched.registry.expect(&[unseen]).await?;
    client.catch_up_source(&watched.source.name, None).await?;
    let (before, after) = watched.push("mark").await?;
    let mark = pushed("main", &before, &after);
    watched.registry.expect(&[mark]).await
}
