//! Organizations of each kind that a forge has.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bindery_client::proto::v1::{
    WhoMustAct::{OrganizationOwner, User},
    organization::AccessState,
};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, TwinForge},
    github::{self, OrgOptions, Sso},
};
use bindery_twins::{
    Twin,
    gitea::Gitea,
    gitee::Gitee,
    gitlab::GitLab,
    world::{Owner, Role, World},
};

use super::{Scene, Told};

impl Scene for GitHubForge {
    const LEFT_OUT: Option<&'static str> = Some("a single sign-on session is due");

    /// What restricts applications and what asks for single sign-on is left out of the list, and found where the person shows the
    /// membership to everybody.
    fn seed(&mut self, client_id: &str) -> Result<Vec<Told>> {
        let (web, standin) = (self.web_url(), &self.standin);
        let restricted = || OrgOptions {
            restricted: true,
            sso: None,
        };
        let signs_on = OrgOptions {
            restricted: false,
            sso: Some(Sso::AllTokens),
        };
        for (login, options, role) in [
            ("approved", restricted(), github::Role::Member),
            ("open", OrgOptions::default(), github::Role::Member),
            ("owned", OrgOptions::default(), github::Role::Owner),
            ("saml", signs_on, github::Role::Member),
            ("strict", restricted(), github::Role::Member),
        ] {
            standin.add_org(login, options);
            standin.add_member(login, "octo", role)?;
        }
        standin.approve_app("approved", client_id)?;
        standin.publicize_membership("saml", "octo")?;
        standin.publicize_membership("strict", "octo")?;
        Ok(vec![
            Told::granted("approved", "member"),
            Told::granted("open", "member"),
            Told::granted("owned", "admin"),
            Told::granted("saml", "")
                .with(AccessState::SsoRequired)
                .see(User, format!("{web}/orgs/saml/sso?"), "single sign-on"),
            // Members ask on the first page, and owners decide on the second one.
            Told::granted("strict", "")
                .with(AccessState::RestrictedByPolicy)
                .see(
                    OrganizationOwner,
                    format!("{web}/settings/connections/applications/{client_id}"),
                    format!("{web}/organizations/strict/settings/oauth_application_policy"),
                ),
        ])
    }
}

impl Scene for TwinForge<GitLab> {
    fn seed(&mut self, _: &str) -> Result<Vec<Told>> {
        let web = self.web_url();
        self.served.with(|twin| {
            let octo = octo(twin)?;
            let world = &mut twin.state_mut().world;
            let acme = joined(world, octo, "acme", Role::Owner);
            world.add_group("tools", Some(acme), now_ms());
            joined(world, octo, "readers", Role::Read);
            joined(world, octo, "visitors", Role::Guest);
            let single = world.add_group("single", None, now_ms());
            let one = world.add_repository(Owner::Group(single), "one", now_ms());
            let one = world.repositories.get_mut(&one).context("no repository")?;
            one.members.insert(octo, Role::Write);
            let hidden = joined(world, octo, "hidden", Role::Owner);
            let saml = joined(world, octo, "saml", Role::Owner);
            twin.hidden_groups.insert(hidden);
            twin.sign_on_groups.insert(saml);
            anyhow::Ok(())
        })?;
        let members = |group: &str| format!("{web}/groups/{group}/-/group_members");
        Ok(vec![
            Told::granted("acme", "owner"),
            Told::granted("acme/tools", "owner"),
            Told::granted("hidden", "owner")
                .with(AccessState::RestrictedByPolicy)
                .see(
                    OrganizationOwner,
                    format!("{web}/groups/hidden/-/edit"),
                    "hides itself",
                ),
            Told::granted("readers", "reporter").see(
                OrganizationOwner,
                members("readers"),
                "creates no webhooks",
            ),
            Told::granted("saml", "owner")
                .with(AccessState::SsoRequired)
                .see(
                    User,
                    format!("{web}/groups/saml/-/saml/sso"),
                    "single sign-on",
                ),
            Told::granted("single", "")
                .with(AccessState::NoMembership)
                .see(OrganizationOwner, members("single"), "no member"),
            Told::granted("visitors", "guest")
                .with(AccessState::Unknown)
                .see(
                    OrganizationOwner,
                    members("visitors"),
                    "reads no private code",
                ),
        ])
    }
}

impl Scene for TwinForge<Gitee> {
    fn seed(&mut self, _: &str) -> Result<Vec<Told>> {
        self.served.with(|twin| {
            let octo = octo(twin)?;
            let world = &mut twin.state_mut().world;
            joined(world, octo, "acme", Role::Admin);
            joined(world, octo, "team", Role::Read);
            let invited = joined(world, octo, "invited", Role::Read);
            let enterprise = joined(world, octo, "works", Role::Read);
            twin.invitations.insert((invited, octo));
            twin.enterprises.insert(enterprise);
            anyhow::Ok(())
        })?;
        Ok(vec![
            Told::granted("acme", "admin"),
            Told::granted("invited", "member")
                .with(AccessState::NoMembership)
                .see(User, "", "an invitation was not accepted"),
            Told::granted("team", "member"),
            // An enterprise, of which Gitee tells no role.
            Told::granted("works", ""),
        ])
    }
}

impl Scene for TwinForge<Gitea> {
    fn seed(&mut self, _: &str) -> Result<Vec<Told>> {
        self.served.with(|twin| {
            let octo = octo(twin)?;
            let world = &mut twin.state_mut().world;
            joined(world, octo, "acme", Role::Owner);
            joined(world, octo, "team", Role::Read);
            joined(world, octo, "units", Role::Guest);
            anyhow::Ok(())
        })?;
        let page = format!("{}/org/units/teams", self.web_url());
        Ok(vec![
            Told::granted("acme", "owner"),
            Told::granted("team", "read"),
            Told::granted("units", "").with(AccessState::Unknown).see(
                OrganizationOwner,
                page,
                "no team",
            ),
        ])
    }
}

impl Scene for BitbucketCloudForge {
    /// Everybody has a workspace of their own.
    fn seed(&mut self, _: &str) -> Result<Vec<Told>> {
        self.served.with(|twin| {
            let octo = octo(twin)?;
            let world = &mut twin.state_mut().world;
            joined(world, octo, "acme", Role::Admin);
            joined(world, octo, "team", Role::Read);
            let closed = joined(world, octo, "closed", Role::Read);
            twin.closed_workspaces.insert(closed);
            anyhow::Ok(())
        })?;
        let page = format!("{}/closed/workspace/settings", self.web_url());
        Ok(vec![
            Told::granted("acme", "owner"),
            Told::granted("closed", "member")
                .with(AccessState::RestrictedByPolicy)
                .see(OrganizationOwner, page, "does not let this token in"),
            Told::granted("octo", "owner"),
            Told::granted("team", "member"),
        ])
    }
}

impl Scene for BitbucketDataCenterForge {
    fn seed(&mut self, _: &str) -> Result<Vec<Told>> {
        self.served.with(|twin| {
            let octo = octo(twin)?;
            let world = &mut twin.state_mut().world;
            joined(world, octo, "shared", Role::Read);
            joined(world, octo, "partly", Role::Guest);
            anyhow::Ok(())
        })?;
        let page = format!("{}/projects/partly/permissions", self.web_url());
        Ok(vec![
            Told::granted("octo", "admin"),
            Told::granted("partly", "").with(AccessState::Unknown).see(
                OrganizationOwner,
                page,
                "as a whole is not open",
            ),
            Told::granted("shared", "read"),
        ])
    }
}

fn octo(twin: &impl Twin) -> Result<u64> {
    let octo = twin.state().world.person("octo");
    octo.map(|octo| octo.id).context("no octo")
}

/// A new group that somebody is in.
fn joined(world: &mut World, person: u64, path: &str, role: Role) -> u64 {
    let group = world.add_group(path, None, now_ms());
    world.join(person, group, role);
    group
}

fn now_ms() -> u64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH);
    real.map_or(0, |real| {
        u64::try_from(real.as_millis()).unwrap_or(u64::MAX)
    })
}
