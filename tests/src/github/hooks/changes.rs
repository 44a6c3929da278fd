//! What tests let people do to repositories and hooks, and what they look at

use anyhow::{Context, ensure};
use bindery_twins::hooks::{Change, Dropped, Hook, Lost, Push, RefChange, Sent};
use bindery_twins::world::Owner;

use super::super::seed::Role;
use super::super::world::{Repo, World};
use super::super::{GitHub, mint};
use crate::repositories::Point;

impl GitHub {
    /// The hooks of a repository, with their secrets
    #[must_use]
    pub fn hooks(&self, repo: &str) -> Vec<Hook> {
        let id = self.repository_id(repo).unwrap_or_default();
        self.inner.world().hooks.of(id).cloned().collect()
    }

    /// How many hooks there are, in whatever repository, whose URL begins so; those of apps are in none
    #[must_use]
    pub fn hooks_pointing_at(&self, url_prefix: &str) -> usize {
        let world = self.inner.world();
        let in_repositories = world.repos.iter().flat_map(|repo| world.hooks.of(repo.id));
        let ours = in_repositories.filter(|hook| hook.url.starts_with(url_prefix));
        ours.count()
    }

    /// Changes a hook behind everybody's back
    ///
    /// # Errors
    ///
    /// When there is no such hook.
    pub fn change_hook(&self, id: u64, change: impl FnOnce(&mut Hook)) -> anyhow::Result<()> {
        let mut world = self.inner.world();
        change(world.hooks.get_mut(id).context("there is no such hook")?);
        Ok(())
    }

    /// Adds a hook for these events with a URL that nobody knows of, and returns its id
    ///
    /// # Errors
    ///
    /// When there is no such repository.
    pub fn plant_hook(&self, repo: &str, url: &str, events: &[&str]) -> anyhow::Result<u64> {
        let repository = self.repository_id(repo)?;
        let now = self.inner.now_ms();
        let mut world = self.inner.world();
        let mut hook = Hook::new(world.id(), repository, url, now);
        hook.secret = Some(mint::random(20));
        hook.events = events.iter().map(|&event| event.to_owned()).collect();
        let id = hook.id;
        world.hooks.plant(hook);
        Ok(id)
    }

    /// Removes a hook as a person on the forge's own pages would; says whether there was one
    pub fn remove_hook(&self, id: u64) -> bool {
        self.inner.world().hooks.remove(id)
    }

    /// Switches a hook off as a person on the forge's own pages would
    pub fn disable_hook(&self, id: u64) {
        self.inner.world().hooks.disable(id);
    }

    /// Lets nobody at any hook, or ends that
    pub fn forbid_hooks(&self, forbidden: bool) {
        self.inner.world().hooks.forbidden = forbidden;
    }

    /// Lets the next hook be made, and the reply be lost
    pub fn lose_next_hook_create(&self, lost: Lost) {
        self.inner.world().hooks.lose_next_create(lost);
    }

    /// Lets so many of the next deliveries vanish: not even the list of deliveries has them
    pub fn drop_next_deliveries(&self, count: u32) {
        self.inner.world().hooks.drop_next(count);
    }

    /// Lets so many of the next deliveries fail on their way: the list of deliveries says so
    pub fn fail_next_deliveries(&self, count: u32) {
        self.inner.world().hooks.fail_next(count);
    }

    /// All deliveries that were made, and what was answered
    #[must_use]
    pub fn deliveries(&self) -> Vec<Sent> {
        self.inner.world().hooks.sent().to_vec()
    }

    /// All deliveries that never were, and why
    #[must_use]
    pub fn dropped_deliveries(&self) -> Vec<Dropped> {
        self.inner.world().hooks.dropped().to_vec()
    }

    /// Waits until every delivery that was begun has an answer
    pub async fn deliveries_done(&self) {
        self.inner.deliver();
        self.inner.courier.idle().await;
    }

    /// Tells the hooks of a repository of a push that git knows nothing of
    ///
    /// # Errors
    ///
    /// When there is no such repository or person.
    pub fn announce_push(
        &self,
        repo: &str,
        login: &str,
        refs: Vec<RefChange>,
    ) -> anyhow::Result<()> {
        let (repo, by) = self.repo_and_person(repo, login)?;
        let push = Push {
            repository: repo.id,
            by,
            refs,
        };
        self.inner.announce(&repo, &Change::Push(push));
        self.inner.deliver();
        Ok(())
    }

    /// Makes several tags at the head of `main` in one push
    ///
    /// # Errors
    ///
    /// When there is no such repository, or git refuses.
    pub fn add_tags(&self, repo: &str, names: &[&str], annotated: bool) -> anyhow::Result<()> {
        let id = self.repository_id(repo)?;
        self.inner.repositories.add_tags(id, names, annotated)?;
        self.inner.pushed_by_owner(id)
    }

    /// Removes branches and tags, by their full names, in one push
    ///
    /// # Errors
    ///
    /// When there is no such repository, or git refuses.
    pub fn remove_refs(&self, repo: &str, names: &[&str]) -> anyhow::Result<()> {
        let id = self.repository_id(repo)?;
        let gone: Vec<_> = names.iter().map(|&name| (name, Point::Nowhere)).collect();
        self.inner.repositories.point(id, &gone)?;
        self.inner.pushed_by_owner(id)
    }

    /// Lets a branch or tag, by its full name, point to another object: a forced push
    ///
    /// # Errors
    ///
    /// When there is no such repository, or git refuses.
    pub fn force(&self, repo: &str, name: &str, object: &str) -> anyhow::Result<()> {
        let id = self.repository_id(repo)?;
        self.inner
            .repositories
            .point(id, &[(name, Point::To(object))])?;
        self.inner.pushed_by_owner(id)
    }

    /// Gives a repository to another account; its former name redirects from now on
    ///
    /// # Errors
    ///
    /// When there is no such repository or account.
    pub fn transfer(&self, repo: &str, owner: &str) -> anyhow::Result<()> {
        let by = self.owner_of(repo)?;
        let (moved, to) = {
            let mut world = self.inner.world();
            let to = world.org(owner).map(|org| Owner::Group(org.id));
            let to = to.or_else(|| world.user(owner).map(|user| Owner::Person(user.id)));
            let to = to.with_context(|| format!("there is no account {owner}"))?;
            let (old, name) = repo.split_once('/').context("owner/name is needed")?;
            let repo = world.repo_mut(old, name).context("no such repository")?;
            let former = std::mem::replace(&mut repo.owner, owner.to_owned());
            repo.former.push((former, repo.name.clone()));
            (repo.clone(), to)
        };
        let change = Change::Transferred {
            repository: moved.id,
            to,
            by,
        };
        self.inner.announce(&moved, &change);
        self.inner.deliver();
        Ok(())
    }

    /// Deletes a repository with its hooks, which hear of it
    ///
    /// # Errors
    ///
    /// When there is no such repository.
    pub fn delete_repo(&self, repo: &str) -> anyhow::Result<()> {
        let by = self.owner_of(repo)?;
        let id = self.repository_id(repo)?;
        let repo = self
            .inner
            .world()
            .repos
            .iter()
            .find(|known| known.id == id)
            .cloned();
        let repo = repo.context("no such repository")?;
        self.inner
            .announce(&repo, &Change::Deleted { repository: id, by });
        {
            let mut world = self.inner.world();
            world.repos.retain(|known| known.id != id);
            world.hooks.remove_all_of(id);
        }
        self.inner.deliver();
        Ok(())
    }

    /// Tells hooks that a repository has another name
    pub(in super::super) fn announce_rename(&self, repo: &Repo) {
        let by = responsible(&self.inner.world(), repo);
        let change = Change::Renamed {
            repository: repo.id,
            to: repo.name.clone(),
            by,
        };
        self.inner.announce(repo, &change);
        self.inner.deliver();
    }

    fn owner_of(&self, repo: &str) -> anyhow::Result<u64> {
        let (owner, name) = repo.split_once('/').context("owner/name is needed")?;
        let world = self.inner.world();
        let repo = world.repo(owner, name).context("no such repository")?;
        Ok(responsible(&world, repo))
    }

    fn repo_and_person(&self, repo: &str, login: &str) -> anyhow::Result<(Repo, u64)> {
        let (owner, name) = repo.split_once('/').context("owner/name is needed")?;
        let world = self.inner.world();
        let repo = world.repo(owner, name).context("no such repository")?;
        let by = world.user(login).map(|user| user.id);
        ensure!(by.is_some(), "there is no user {login}");
        Ok((repo.clone(), by.unwrap_or_default()))
    }
}

/// Somebody who may do anything with a repository: its owner, or an owner of its organization
pub(super) fn responsible(world: &World, repo: &Repo) -> u64 {
    let owner = world.user(&repo.owner).or_else(|| {
        let org = world.org(&repo.owner)?;
        let mut members = org.members.iter();
        let (login, _) = members.find(|(_, role)| **role == Role::Owner)?;
        world.user(login)
    });
    owner.map_or(0, |user| user.id)
}
