//! From `git push` to the registry, and not one hook left behind, on a real Gitea.

#[path = "hooks/expected.rs"]
mod expected;
#[path = "hooks/working_copy.rs"]
mod working_copy;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    EventWatch, LinkRequest, RotationRequest, SourceRequest, UnlinkRequest,
    proto::v1::{Event, Permission, Source, hook},
};
use bindery_tests::{
    forge::GiteaForge,
    gitea::{Auth, Gitea},
};

use self::{
    expected::{Seen, deleted, ends, pushed, seen, tagged},
    working_copy::WorkingCopy,
};
use crate::world::World;

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(150);

/// A registry that watches one repository.
struct Watched {
    world: World<GiteaForge>,
    link: String,
    source: Source,
    watch: EventWatch,
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
        let link = linked(&mut world).await?;
        let request = SourceRequest::new(&link, "octo/hello");
        let source = world.client.create_source(request).await?;
        let watch = world
            .client
            .events("namespaces/acme")
            .consumer("builder")
            .oldest()
            .watch();
        let copy = WorkingCopy::of(&world.forge, "octo/hello").await?;
        Ok(Some(Self {
            world,
            link,
            source,
            watch,
            copy,
        }))
    }

    /// The next events that are about refs, each acknowledged.
    async fn next(&mut self, count: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.len() < count {
            let event = tokio::time::timeout(PATIENCE, self.watch.next())
                .await
                .with_context(|| format!("only {:?} of {count} came", seen(&events)))??;
            self.watch.ack(&event).await?;
            if Seen::of(&event).is_some() {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Exactly these come, in this order, and nothing else before the mark that follows them.
    async fn expect(&mut self, wanted: &[Seen]) -> Result<()> {
        let events = self.next(wanted.len()).await?;
        ensure!(
            seen(&events) == wanted,
            "{:#?} came instead of {wanted:#?}",
            seen(&events)
        );
        Ok(())
    }

    /// The last commit comes, and none twice. Gitea replaces a hook to give it a new secret, and drops what it had not
    /// delivered to the old one: those pushes are found by comparing refs, and come as one.
    async fn expect_up_to(&mut self, last: &str) -> Result<usize> {
        let mut came = Vec::new();
        loop {
            came.extend(seen(&self.next(1).await?));
            let ends = ends(&came);
            let different: BTreeSet<_> = ends.iter().collect();
            ensure!(different.len() == ends.len(), "some came twice: {came:#?}");
            if ends.iter().any(|end| end == last) {
                return Ok(came.len());
            }
        }
    }

    async fn hooks_at_the_forge(&self) -> Result<usize> {
        let forge = &self.world.forge;
        let auth = Auth::Basic(forge.person());
        let path = "/api/v1/repos/octo/hello/hooks";
        let answer = forge.server.api("GET", path, &auth, None).await?;
        Ok(answer.json.as_array().context("no list")?.len())
    }
}

async fn linked(world: &mut World<GiteaForge>) -> Result<String> {
    let request = LinkRequest::oauth("namespaces/acme", "hosts/forge")
        .permissions([Permission::ReadCode, Permission::Webhooks]);
    let created = world.client.create_link(request).await?;
    let told = created.authorization.context("no authorization")?;
    world.person_links(&told.authorization_uri).await?;
    Ok(created.link.context("no link")?.name)
}

/// Branches, light and annotated tags, deletions and many refs at once: the exact list of events. The hook proves itself by its
/// first delivery, serves a second registry, and is gone after the unlinks.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_become_events_and_unlinking_leaves_nothing() -> Result<()> {
    let Some(mut watched) = Watched::start().await? else {
        return Ok(());
    };
    ensure!(watched.hooks_at_the_forge().await? == 1, "not one hook");

    let (before, first) = watched.copy.commit("main", "one").await?;
    watched.copy.push(&["main"]).await?;
    watched.expect(&[pushed("main", &before, &first)]).await?;
    let source = watched
        .world
        .client
        .get_source(&watched.source.name)
        .await?;
    let hook = source.hook.context("no hook")?;
    ensure!(hook.state() == hook::State::Verified, "{hook:?}");

    watched.copy.git(&["tag", "light"]).await?;
    watched
        .copy
        .git(&["tag", "-a", "v1.0", "-m", "first"])
        .await?;
    watched.copy.git(&["branch", "topic"]).await?;
    watched.copy.push(&["light"]).await?;
    watched.expect(&[tagged("light", &first)]).await?;
    watched.copy.push(&["v1.0"]).await?;
    watched.expect(&[tagged("v1.0", &first)]).await?;
    watched.copy.push(&["topic"]).await?;
    watched.expect(&[pushed("topic", "", &first)]).await?;
    watched.copy.push(&[":light"]).await?;
    watched.expect(&[deleted("refs/tags/light")]).await?;
    watched.copy.push(&[":topic"]).await?;
    watched.expect(&[deleted("refs/heads/topic")]).await?;

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

/// Eight branches in one push: the events of all, whatever the order in which the forge delivers them.
async fn many_at_once(watched: &mut Watched, commit: &str) -> Result<()> {
    let names: Vec<String> = (0..8).map(|n| format!("many-{n}")).collect();
    for name in &names {
        watched.copy.git(&["branch", name, commit]).await?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    watched.copy.push(&names).await?;
    let mut came = seen(&watched.next(names.len()).await?);
    came.sort();
    let mut wanted: Vec<_> = names.iter().map(|name| pushed(name, "", commit)).collect();
    wanted.sort();
    ensure!(came == wanted, "{came:#?}");
    Ok(())
}

/// Another namespace uses the same repository: still one hook, and both are told.
async fn second_registry(watched: &mut Watched) -> Result<()> {
    let world = &mut watched.world;
    let request = LinkRequest::oauth("namespaces/globex", "hosts/forge")
        .permissions([Permission::ReadCode, Permission::Webhooks]);
    let created = world.client.create_link(request).await?;
    let told = created.authorization.context("no authorization")?;
    world.person_links(&told.authorization_uri).await?;
    let link = created.link.context("no link")?.name;
    let request = SourceRequest::new(&link, "octo/hello");
    world.client.create_source(request).await?;
    ensure!(watched.hooks_at_the_forge().await? == 1, "a second hook");

    let mut other = watched
        .world
        .client
        .events("namespaces/globex")
        .oldest()
        .watch();
    let (before, after) = watched.copy.commit("main", "two").await?;
    watched.copy.push(&["main"]).await?;
    let wanted = pushed("main", &before, &after);
    watched.expect(std::slice::from_ref(&wanted)).await?;
    let theirs = loop {
        let event = tokio::time::timeout(PATIENCE, other.next()).await??;
        if let Some(theirs) = Seen::of(&event) {
            break theirs;
        }
    };
    ensure!(theirs == wanted, "{theirs:?}");
    let unlink = UnlinkRequest::new(&link);
    watched.world.client.unlink(unlink).await?;
    ensure!(
        watched.hooks_at_the_forge().await? == 1,
        "the hook of a registry that stays is gone"
    );
    Ok(())
}

/// The daemon is away while people push, and its hook gets new secrets while they do: nothing is lost, nothing doubled.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_during_a_rotation_and_a_death_come_once() -> Result<()> {
    let Some(mut watched) = Watched::start().await? else {
        return Ok(());
    };
    let mut wanted = String::new();
    for round in 0..6 {
        let rotation = (round % 2 == 0).then(|| {
            let ask = RotationRequest::new("namespaces/acme");
            ask.overlap(Duration::from_secs(3600))
        });
        let client = watched.world.client.clone();
        let rotating = async {
            match rotation {
                Some(ask) => client.rotate_hook_secrets(ask).await.map(drop),
                None => Ok(()),
            }
        };
        let (_, after) = watched.copy.commit("main", &format!("r{round}")).await?;
        let (pushed_it, rotated) = tokio::join!(watched.copy.push(&["main"]), rotating);
        pushed_it?;
        rotated?;
        wanted = after;
    }
    let came = watched.expect_up_to(&wanted).await?;
    println!("6 pushes during 3 rotations came as {came} events");

    watched.world.daemon.kill()?;
    let (before, after) = watched.copy.commit("main", "unseen").await?;
    watched.copy.push(&["main"]).await?;
    watched.world.daemon.resume().await?;
    watched.world.connect().await?;
    let caught = watched
        .world
        .client
        .catch_up_source(&watched.source.name, None);
    caught.await?;
    let event = watched.next(1).await?.remove(0);
    let found = Seen::of(&event).context("not about a ref")?;
    ensure!(found == pushed("main", &before, &after), "{found:?}");
    Ok(())
}
