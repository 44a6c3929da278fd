//! What is told of the organizations of an identity, at every forge: whether the link can act in each, why not, who can change
//! it and on which page. The API and `bindery link orgs` tell the same.

use anyhow::{Result, ensure};
use bindery_client::{
    Notice,
    proto::v1::{Organization, WhoMustAct, organization::AccessState},
};
use bindery_tests::forge::Forge;
use serde_json::Value;

use crate::{rows::at_every_forge, world::World};

#[path = "organizations/github.rs"]
mod github;
#[path = "organizations/scenes.rs"]
mod scenes;

at_every_forge! {
    /// Each organization is told with its state, its reason, who must act and where; a list that leaves something out says so.
    every_organization_says_what_it_is: super::are_told
}

/// What is to be told of an organization.
#[derive(Debug)]
struct Told {
    login: &'static str,
    access: AccessState,
    role: &'static str,
    who: WhoMustAct,
    /// How the page begins; empty where there is none.
    page: String,
    /// What the message says; empty where there is none.
    says: String,
}

impl Told {
    /// One in which the link can act.
    fn granted(login: &'static str, role: &'static str) -> Self {
        Self {
            login,
            access: AccessState::Granted,
            role,
            who: WhoMustAct::Unspecified,
            page: String::new(),
            says: String::new(),
        }
    }

    /// As it is, and somebody can change something there.
    fn see(self, who: WhoMustAct, page: impl Into<String>, says: impl Into<String>) -> Self {
        let (page, says) = (page.into(), says.into());
        Self {
            who,
            page,
            says,
            ..self
        }
    }

    fn with(self, access: AccessState) -> Self {
        Self { access, ..self }
    }

    fn is(&self, found: &Organization) -> bool {
        let place = |wanted: &str, found: &str| match wanted {
            "" => found.is_empty(),
            _ => found.starts_with(wanted),
        };
        let message = match self.says.as_str() {
            "" => found.message.is_empty(),
            says => found.message.contains(says),
        };
        found.login == self.login
            && found.access() == self.access
            && found.role == self.role
            && found.who_must_act() == self.who
            && place(&self.page, &found.action_uri)
            && !found.stable_id.is_empty()
            && message
    }
}

/// A forge where `octo` belongs to organizations.
trait Scene: Forge {
    /// What is said of what the list leaves out; `None` where it is whole.
    const LEFT_OUT: Option<&'static str> = None;

    /// Puts them there, and says what is to be told of each.
    fn seed(&mut self, client_id: &str) -> Result<Vec<Told>>;
}

async fn are_told<F: Scene>(forge: F) -> Result<()> {
    let mut world = World::new(forge).await?;
    world.forge.lengthen()?;
    let host = world.client.get_host("hosts/forge").await?;
    let client = host.oauth_client.unwrap_or_default().client_id;
    let mut wanted = world.forge.seed(&client)?;
    wanted.sort_by_key(|one| one.login);
    let link = world.link_with_organizations().await?;
    let (found, notice) = listed(&world, &link).await?;
    let same = found.len() == wanted.len() && wanted.iter().zip(&found).all(|(a, b)| a.is(b));
    ensure!(same, "{found:#?} instead of {wanted:#?}");
    let said = notice.map(|notice| notice.message);
    match F::LEFT_OUT {
        Some(left_out) => ensure!(
            said.as_ref().is_some_and(|said| said.contains(left_out)),
            "a list that is not whole says {said:?}"
        ),
        None => ensure!(said.is_none(), "a whole list says {said:?}"),
    }
    printed(&world, &link, &found, said.as_deref())
}

/// The list, by login, and what is said of what it leaves out.
async fn listed<F: Forge>(
    world: &World<F>,
    link: &str,
) -> Result<(Vec<Organization>, Option<Notice>)> {
    let mut pages = world.client.list_organizations(link);
    let mut found = pages.collect().await?;
    found.sort_by(|one, other| one.login.cmp(&other.login));
    Ok((found, pages.notice().cloned()))
}

/// The command line prints the same, and says beside it what is left out.
fn printed<F>(
    world: &World<F>,
    link: &str,
    found: &[Organization],
    left_out: Option<&str>,
) -> Result<()> {
    let output = world
        .daemon
        .cli(&["link", "orgs", link, "-o", "json"])
        .output()?;
    let beside = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{beside}");
    let list: Value = serde_json::from_slice(&output.stdout)?;
    let list = list.as_array().cloned().unwrap_or_default();
    ensure!(list.len() == found.len(), "{list:?}");
    for one in found {
        let mut named = list.iter().filter(|shown| shown["login"] == one.login);
        let access = one.access().as_str_name();
        let same = named.any(|shown| shown["access"] == access);
        ensure!(same, "{one:?} is printed as {list:?}");
    }
    let said = left_out.is_none_or(|left_out| beside.contains(left_out));
    ensure!(said, "not said: {left_out:?} in {beside}");
    Ok(())
}
