//! What each provider tells of a push, a tag and a deletion, in each way in which it proves that the delivery is its own.
//!
//! A row is a forge that stands for a provider, and the scheme that its hook is made with. Refs are never compared here, so that
//! every event comes of a delivery that was verified and read.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use bindery_client::proto::v1::{
    Event,
    event::{Change, Origin},
};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, Kind, TwinForge},
    inside::Changing,
};
use bindery_twins::{
    gitea::Gitea,
    gitee::Gitee,
    gitlab::GitLab,
    hooks::{Hook, Outcome, Outgoing},
};

use super::{
    expected::{Seen, annotated, deleted, pushed, tagged},
    registry::{Followed, verified},
};

/// Whether a delivery proves that it is the hook's in the way of its row, and in no other.
type Proof = fn(&Hook, &Outgoing) -> bool;

/// What a provider's deliveries say beside the commits before and after.
#[derive(Clone, Copy)]
struct Tells {
    /// The object of an annotated tag.
    tag_object: bool,
    /// The commits of a push.
    commits: bool,
    /// The paths that they change.
    paths: bool,
}

/// GitHub and those who followed it.
const ALL: Tells = Tells {
    tag_object: true,
    commits: true,
    paths: true,
};
/// Gitea, whose twin names no head commit of a tag: what it points to is looked up.
const LOOKED_UP: Tells = Tells {
    tag_object: false,
    ..ALL
};
/// Bitbucket Cloud.
const COMMITS: Tells = Tells {
    tag_object: false,
    commits: true,
    paths: false,
};
/// Bitbucket Data Center.
const REFS: Tells = Tells {
    tag_object: false,
    commits: false,
    paths: false,
};

/// Each row as a test of its own, and all of them as a list of providers.
macro_rules! rows {
    ($($(#[$doc:meta])+ $row:ident: $forge:ty, $start:expr, $tells:expr, $proof:expr;)+) => {
        $(
            $(#[$doc])+
            #[tokio::test(flavor = "multi_thread")]
            async fn $row() -> Result<()> {
                whole::<$forge>($start.await?, $tells, $proof).await
            }
        )+

        /// Provider of each row.
        const ROWS: &[&str] = &[$(<$forge as Forge>::PLUGIN.name()),+];
    };
}

rows! {
    /// The twin of Bitbucket Cloud: all of a push in one delivery, whose body is signed.
    bitbucket_cloud: BitbucketCloudForge, BitbucketCloudForge::start(), COMMITS,
        |_, sent| starts(sent, "x-hub-signature", "sha256=");
    /// The twin of Bitbucket Data Center: the same, with other events.
    bitbucket_data_center: BitbucketDataCenterForge, BitbucketDataCenterForge::start(), REFS,
        |_, sent| starts(sent, "x-hub-signature", "sha256=");
    /// The twin of Gitea: the bare signature of the body.
    gitea: TwinForge<Gitea>, TwinForge::<Gitea>::start(false), LOOKED_UP,
        |_, sent| sent.header("x-gitea-signature").is_some_and(|signature| signature.len() == 64);
    /// The twin of Gitee as it is: the secret signs the time.
    gitee_signature: TwinForge<Gitee>, TwinForge::<Gitee>::start(false), ALL,
        |hook, sent| sent.header("x-gitee-token").is_some() && !shows(hook, sent, "x-gitee-token");
    /// The twin of Gitee without signatures: the secret itself.
    gitee_password: TwinForge<Gitee>, changed::<Gitee>(|twin| twin.signs_webhooks = false), ALL,
        |hook, sent| shows(hook, sent, "x-gitee-token");
    /// The stand-in for GitHub.
    github: GitHubForge, GitHubForge::start(false, None), ALL,
        |_, sent| starts(sent, "x-hub-signature-256", "sha256=");
    /// The twin of GitLab where signing is switched on: the signature of Standard Webhooks.
    gitlab_signing_token: TwinForge<GitLab>, changed::<GitLab>(|twin| twin.signs_webhooks = true), ALL,
        |_, sent| starts(sent, "webhook-signature", "v1,") && sent.header("x-gitlab-token").is_none();
    /// The twin of GitLab where it is not: the token itself.
    gitlab_token: TwinForge<GitLab>, changed::<GitLab>(|twin| twin.signs_webhooks = false), ALL,
        |hook, sent| shows(hook, sent, "x-gitlab-token") && sent.header("webhook-signature").is_none();
}

/// A twin that is not as usual.
async fn changed<T: Kind>(change: impl FnOnce(&mut T)) -> Result<TwinForge<T>> {
    let forge = TwinForge::start(false).await?;
    forge.served.with(change);
    Ok(forge)
}

fn starts(sent: &Outgoing, header: &str, start: &str) -> bool {
    let value = sent.header(header);
    value.is_some_and(|value| value.starts_with(start))
}

fn shows(hook: &Hook, sent: &Outgoing, header: &str) -> bool {
    hook.secret.is_some() && sent.header(header) == hook.secret.as_deref()
}

/// A forge, and what it tells.
struct Row<F> {
    followed: Followed<F>,
    tells: Tells,
}

/// A push, a branch, a light and an annotated tag, the deletion of each with the commit where it was, a delivery that somebody else signed, and one more
/// push: exactly these events.
async fn whole<F: Changing>(forge: F, tells: Tells, proof: Proof) -> Result<()> {
    let first = forge.commit("main", ("NEWS.md", "first\n"))?;
    let followed = Followed::start(forge, 0).await?;
    let mut row = Row { followed, tells };
    let second = row.is_pushed_to(&first).await?;
    verified(&row.followed.world.client, &row.followed.source.name).await?;
    row.refs_come_and_go(&second).await?;
    row.is_proven(proof)?;
    row.another_signature_is_refused(&second).await?;
    row.is_pushed_to(&second).await?;
    Ok(())
}

impl<F: Changing> Row<F> {
    const fn forge(&self) -> &F {
        &self.followed.world.forge
    }

    /// A commit comes onto `main`, where `before` is. Returns it.
    async fn is_pushed_to(&mut self, before: &str) -> Result<String> {
        let forge = self.forge();
        let text = format!("after {before}\n");
        let after = forge.commit("main", ("NEWS.md", &text))?;
        forge.told().await;
        let event = self.is_told(pushed("main", before, &after)).await?;
        let Some(Change::Push(push)) = event.change else {
            bail!("no push");
        };
        let commits: Vec<_> = push.commits.iter().map(|one| one.id.as_str()).collect();
        let wanted: &[&str] = if self.tells.commits { &[&after] } else { &[] };
        ensure!(commits == wanted, "{push:?}");
        let wanted: &[&str] = if self.tells.paths { &["NEWS.md"] } else { &[] };
        ensure!(push.changed_paths == wanted, "{push:?}");
        ensure!(!push.forced, "{push:?}");
        Ok(after)
    }

    /// Branches and tags at the head of `main`, which is this commit.
    async fn refs_come_and_go(&mut self, head: &str) -> Result<()> {
        let noted = match self.tells.tag_object {
            true => annotated("noted", head),
            false => tagged("noted", head),
        };
        self.forge().add_branches(&["topic"])?;
        self.is_told(pushed("topic", "", head)).await?;
        self.forge().add_tags(&["light"], false)?;
        self.is_told(tagged("light", head)).await?;
        self.forge().add_tags(&["noted"], true)?;
        self.is_told(noted).await?;
        for name in ["refs/heads/topic", "refs/tags/light", "refs/tags/noted"] {
            self.forge().remove_refs(&[name])?;
            self.is_told(deleted(name, head)).await?;
        }
        Ok(())
    }

    /// Exactly this comes next, of a delivery, with who did it where.
    async fn is_told(&mut self, wanted: Seen) -> Result<Event> {
        let event = self.followed.registry.next(1).await?.remove(0);
        ensure!(
            Seen::of(&event).as_ref() == Some(&wanted),
            "{event:#?} is not {wanted:?}"
        );
        let source = &self.followed.source;
        let whole = event.source == source.name
            && event.repository_stable_id == source.repository
            && event.repository_full_name == "octo/hello"
            && event.host == "hosts/forge"
            && event.origin() == Origin::Delivery
            && event.delivery.starts_with(&source.name);
        ensure!(whole, "{event:#?}");
        let actor = event.actor.as_ref().map(|actor| actor.login.as_str());
        ensure!(actor == Some("octo"), "{event:#?}");
        Ok(event)
    }

    /// Every delivery was proven in the way of the row, and taken.
    fn is_proven(&self, proof: Proof) -> Result<()> {
        let (hook, all) = (self.forge().hook()?, self.forge().sent());
        ensure!(all.len() >= 7, "{} deliveries", all.len());
        for sent in all {
            ensure!(proof(&hook, &sent.delivery.request), "{sent:?}");
            ensure!(sent.outcome.is_success(), "{sent:?}");
        }
        Ok(())
    }

    /// What another secret proves is refused, and no event.
    async fn another_signature_is_refused(&mut self, head: &str) -> Result<()> {
        let forge = self.forge();
        let (hook, count) = (forge.hook()?, forge.sent().len());
        let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=".to_owned();
        let mut forged = hook.clone();
        for secret in [&mut forged.secret, &mut forged.signing] {
            if secret.is_some() {
                *secret = Some(other.clone());
            }
        }
        forge.replace_hook(forged);
        // Gone again, so that it is not found where a delivery proves too little and refs are looked at.
        forge.add_tags(&["forged"], false)?;
        forge.remove_refs(&["refs/tags/forged"])?;
        forge.told().await;
        for sent in forge.sent().split_off(count) {
            ensure!(sent.outcome == Outcome::Answered(401), "{sent:?}");
        }
        ensure!(forge.sent().len() >= count + 2, "nothing was sent");
        forge.replace_hook(hook);
        forge.add_tags(&["good"], false)?;
        self.is_told(tagged("good", head)).await.map(drop)
    }
}

/// The table can't be shortened: a plugin without a row fails this. The template speaks to no forge that exists.
#[test]
fn every_provider_has_a_row() -> Result<()> {
    let rows: BTreeSet<_> = ROWS.iter().map(|row| (*row).to_owned()).collect();
    let mut plugins = crate::table::plugins()?;
    plugins.retain(|name| name != "template");
    assert_eq!(rows, plugins, "providers with a row, and plugins");
    Ok(())
}
