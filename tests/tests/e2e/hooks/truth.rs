//! The truth about hooks, at every forge: what others did to one is found and put right in place, what is ours and belongs to
//! nobody is found and removed, and a repository that moved is told. All by command, as a person would.
//!
//! Refs are never compared here, so that every push that becomes an event was delivered and proven.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    EventQuery,
    proto::v1::{
        Hook, RepositoryChange,
        event::{Change, Origin},
        hook,
        repository_change::Kind,
    },
};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{GitHubForge, TwinForge},
    inside::{Changing, Inside},
};
use bindery_twins::{Twin as _, gitea::Gitea, gitee::Gitee, gitlab::GitLab};
use serde_json::Value;

use super::{
    expected::{Seen, pushed},
    registry::{Followed, linked, verified},
};
use crate::{
    rows::at_every_forge,
    table::cli::{json, text},
    world::World,
};

at_every_forge! {
    /// A hook that somebody removed is made again.
    a_removed_hook_is_made_again: super::removed
}

at_every_forge! {
    /// A hook that somebody changed is put right in place, and its secret counts as before.
    a_changed_hook_is_put_right: super::changed
}

at_every_forge! {
    /// Who lost the right to a hook is told who can act and where, and has it back by command.
    a_forbidden_hook_is_said_with_its_page: super::forbidden
}

at_every_forge! {
    /// A hook whose creation was not answered is taken over, and none is made beside it.
    a_lost_answer_is_no_second_hook: super::lost
}

at_every_forge! {
    /// A hook that belongs to no source is found, taken over by whoever connects the repository, or removed.
    orphans_are_found_adopted_and_removed: super::orphans
}

at_every_forge! {
    /// A repository that has another name is told once, with both names.
    a_rename_is_told: super::renamed
}

at_every_forge! {
    /// A repository that has another owner is told once, with both names.
    a_transfer_is_told: super::transferred
}

/// What a forge lets one do with a hook.
pub(super) trait Truth: Inside + Changing {
    /// It delivers when it is asked to. Where it does not, only the next push is proof.
    const PINGS: bool = true;
    /// A person can switch a hook off.
    const SWITCHES: bool = true;
}

impl Truth for BitbucketCloudForge {
    const PINGS: bool = false;
}
impl Truth for BitbucketDataCenterForge {}
impl Truth for GitHubForge {}
impl Truth for TwinForge<Gitea> {}
impl Truth for TwinForge<Gitee> {
    const SWITCHES: bool = false;
}
impl Truth for TwinForge<GitLab> {
    const SWITCHES: bool = false;
}

/// A forge, and what is known of its `octo/hello`.
struct Scene<F> {
    followed: Followed<F>,
    /// Where `main` is.
    head: String,
    /// How the URL of every hook of ours begins.
    ours: String,
}

impl<F: Truth> Scene<F> {
    async fn start(forge: F) -> Result<Self> {
        let head = forge.commit("main", ("NEWS.md", "first\n"))?;
        let followed = Followed::start(forge, 0).await?;
        let ours = format!("{}/hooks/", followed.world.daemon.web_url());
        Ok(Self {
            followed,
            head,
            ours,
        })
    }

    const fn forge(&self) -> &F {
        &self.followed.world.forge
    }

    const fn forge_mut(&mut self) -> &mut F {
        &mut self.followed.world.forge
    }

    fn hooks(&self) -> usize {
        self.forge().hooks_pointing_at(&self.ours)
    }

    fn bindery(&self, arguments: &[&str]) -> Result<Value> {
        json(&self.followed.world.daemon, arguments)
    }

    /// `bindery source verify`, which fails where the hook is not verified.
    fn verify(&self) -> Result<bool> {
        let verify = ["source", "verify", &self.followed.source.name, "--quiet"];
        let output = self.followed.world.daemon.cli(&verify).output()?;
        let code = output.status.code();
        ensure!(
            [Some(0), Some(6)].contains(&code),
            "{code:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(code == Some(0))
    }

    async fn hook(&self) -> Result<Hook> {
        let name = &self.followed.source.name;
        let source = self.followed.world.client.get_source(name).await?;
        source.hook.context("no hook")
    }

    /// A push is delivered, and is an event.
    async fn hears(&mut self) -> Result<()> {
        let forge = self.forge();
        let text = format!("after {}\n", self.head);
        let after = forge.commit("main", ("NEWS.md", &text))?;
        forge.told().await;
        let event = self.followed.registry.next(1).await?.remove(0);
        let wanted = pushed("main", &self.head, &after);
        ensure!(Seen::of(&event) == Some(wanted), "{event:?}");
        ensure!(event.origin() == Origin::Delivery, "{event:?}");
        self.head = after;
        verified(&self.followed.world.client, &self.followed.source.name).await
    }

    /// What hooks were said to be, in order.
    async fn states(&self) -> Result<Vec<hook::State>> {
        let changes = self.changes().await?.into_iter();
        let states = changes.filter_map(|change| match change {
            Change::HookChanged(change) => change.hook.map(|hook| hook.state()),
            _ => None,
        });
        Ok(states.collect())
    }

    async fn moves(&self) -> Result<Vec<RepositoryChange>> {
        let changes = self.changes().await?.into_iter();
        let moves = changes.filter_map(|change| match change {
            Change::RepositoryChanged(change) => Some(change),
            _ => None,
        });
        Ok(moves.collect())
    }

    async fn changes(&self) -> Result<Vec<Change>> {
        let client = &self.followed.world.client;
        let all = client.list_events("namespaces/acme", EventQuery::default());
        let all = all.all().await?.into_iter();
        Ok(all.filter_map(|event| event.change).collect())
    }
}

async fn removed<F: Truth>(forge: F) -> Result<()> {
    let mut scene = Scene::start(forge).await?;
    let ours = scene.ours.clone();
    scene.forge_mut().remove_hooks(&ours);
    ensure!(scene.verify()? == F::PINGS, "{:?}", scene.hook().await?);
    ensure!(scene.hooks() == 1, "{} hooks", scene.hooks());
    let states = scene.states().await?;
    ensure!(states.contains(&hook::State::Missing), "{states:?}");
    scene.hears().await
}

async fn changed<F: Truth>(forge: F) -> Result<()> {
    let mut scene = Scene::start(forge).await?;
    scene.hears().await?;
    let spoils: [fn(&mut bindery_twins::hooks::Hook); 3] = [
        |hook| hook.url = "https://elsewhere.example/hook".to_owned(),
        |hook| drop(hook.events.pop_first()),
        |hook| hook.active = false,
    ];
    let spoils = &spoils[..if F::SWITCHES { 3 } else { 2 }];
    for spoil in spoils {
        let right = scene.forge().hook()?;
        let mut wrong = right.clone();
        spoil(&mut wrong);
        scene.forge().replace_hook(wrong);
        ensure!(scene.verify()? == F::PINGS, "{:?}", scene.hook().await?);
        let now = scene.forge().hook()?;
        let same = (&now.url, &now.events, now.active) == (&right.url, &right.events, right.active);
        ensure!(same, "{now:?} at {} is not put right", now.url);
        scene.hears().await?;
    }
    let states = scene.states().await?;
    let told = states
        .iter()
        .filter(|state| **state == hook::State::Changed);
    ensure!(told.count() == spoils.len(), "{states:?}");
    Ok(())
}

async fn forbidden<F: Truth>(forge: F) -> Result<()> {
    let mut scene = Scene::start(forge).await?;
    scene.forge().forbid_hooks(true);
    ensure!(!scene.verify()?, "verified without the right to look");
    let shown = scene.hook().await?;
    ensure!(shown.state() == hook::State::Forbidden, "{shown:?}");
    let page = shown.action_uri.starts_with(&scene.forge().web_url());
    ensure!(page && !shown.message.is_empty(), "{shown:?}");
    scene.forge().forbid_hooks(false);
    scene.bindery(&["source", "repair", &scene.followed.source.name])?;
    ensure!(scene.hooks() == 1, "{} hooks", scene.hooks());
    scene.hears().await
}

async fn lost<F: Truth>(forge: F) -> Result<()> {
    let mut world = World::new(forge).await?;
    world.forge.lengthen()?;
    let link = linked(&mut world, "namespaces/acme").await?;
    world.forge.lose_next_hook_create();
    let short = link.replace("namespaces/", "").replace("links/", "");
    let made = json(&world.daemon, &["source", "add", &short, "octo/hello"])?;
    let source = text(&made, "/name")?.to_owned();
    json(&world.daemon, &["source", "repair", &source])?;
    let ours = format!("{}/hooks/", world.daemon.web_url());
    let hooks = world.forge.hooks_pointing_at(&ours);
    ensure!(hooks == 1, "{hooks} hooks");
    world.forge.push().await?;
    verified(&world.client, &source).await
}

async fn orphans<F: Truth>(forge: F) -> Result<()> {
    let mut scene = Scene::start(forge).await?;
    let link = scene.left_behind()?;
    let again = ["source", "add", &link, "octo/hello"];
    let made = scene.bindery(&again)?;
    ensure!(scene.hooks() == 1, "{} hooks", scene.hooks());
    text(&made, "/name")?.clone_into(&mut scene.followed.source.name);
    let none = scene.bindery(&["hooks", "orphans", "acme"])?;
    ensure!(found(&none) == 0, "{none}");
    scene.hears().await?;
    scene.left_behind()?;
    scene.bindery(&["hooks", "orphans", "acme", "--remove", "--dry-run"])?;
    ensure!(scene.hooks() == 1, "removed without being asked");
    let steps = scene.bindery(&["hooks", "orphans", "acme", "--remove"])?;
    ensure!(scene.hooks() == 0, "a hook is left: {steps}");
    let none = scene.bindery(&["hooks", "orphans", "acme"])?;
    ensure!(found(&none) == 0, "{none}");
    Ok(())
}

impl<F: Truth> Scene<F> {
    /// The source is disconnected, and its hook stays: then it is the only orphan. Returns the link as commands take it.
    fn left_behind(&self) -> Result<String> {
        let name = self.followed.source.name.clone();
        let remove = ["source", "remove", &name, "--keep-hook"];
        self.bindery(&remove)?;
        ensure!(self.hooks() == 1, "{} hooks", self.hooks());
        let orphans = self.bindery(&["hooks", "orphans", "acme"])?;
        ensure!(found(&orphans) == 1, "{orphans}");
        let all = orphans.to_string();
        ensure!(all.contains(&self.ours), "another one: {all}");
        let ids: Vec<_> = name.split('/').skip(1).step_by(2).take(2).collect();
        Ok(ids.join("/"))
    }

    /// Two looks tell a move once.
    async fn moved(&self, kind: Kind, name: &str) -> Result<()> {
        for _ in 0..2 {
            self.verify()?;
        }
        let moves = self.moves().await?;
        let wanted = RepositoryChange {
            kind: kind.into(),
            before_full_name: "octo/hello".to_owned(),
            after_full_name: name.to_owned(),
        };
        ensure!(moves == [wanted], "{moves:?}");
        let source = &self.followed.source.name;
        let source = self.followed.world.client.get_source(source).await?;
        ensure!(source.repository_full_name == name, "{source:?}");
        ensure!(self.hooks() == 1, "{} hooks", self.hooks());
        Ok(())
    }
}

/// How many there are in a list that a command prints.
fn found(list: &Value) -> usize {
    list.as_array().map_or(usize::MAX, Vec::len)
}

async fn renamed<F: Truth>(forge: F) -> Result<()> {
    let mut scene = Scene::start(forge).await?;
    scene.forge_mut().rename("goodbye")?;
    scene.moved(Kind::Renamed, "octo/goodbye").await
}

async fn transferred<F: Truth>(forge: F) -> Result<()> {
    let mut scene = Scene::start(forge).await?;
    scene.forge_mut().add_team("team")?;
    scene.forge_mut().transfer("team")?;
    scene.moved(Kind::Transferred, "team/hello").await
}

/// GitLab switches a hook off after deliveries that failed, and on again after a test that succeeds: that is said, and the test
/// is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_gitlab_switched_off_is_said_and_comes_back() -> Result<()> {
    let mut scene = Scene::start(TwinForge::<GitLab>::start(false).await?).await?;
    let id = scene.forge().hook()?.id;
    let served = &scene.forge().served;
    served.with(|twin| twin.state_mut().hooks.disable(id));
    ensure!(scene.verify()?, "{:?}", scene.hook().await?);
    let states = scene.states().await?;
    ensure!(
        states.contains(&hook::State::DisabledByProvider),
        "{states:?}"
    );
    scene.hears().await
}
