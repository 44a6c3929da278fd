//! Links by an installation of the host's app: who may make one, and on whose installation.

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Error,
    proto::v1::{WhoMustAct, observed_state::Stage, organization::AccessState},
};
use bindery_tests::github::{OrgOptions, Permission, Person, Role};

use crate::{
    apps::{AppWorld, for_hello},
    policies::own_user,
    story::clones,
};

fn rules(actions: &str) -> String {
    format!(
        "[[allow]]\nprincipals = [\"uid:{}\"]\nnamespaces = [\"*\"]\nactions = [{actions}]\n",
        own_user()
    )
}

/// G1: installation ids can be guessed, so only who may change hosts binds a bare one; a tenant, who may link, is refused.
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_bare_installation_id_needs_the_right_to_the_host() -> Result<()> {
    let tenant = "\"read\", \"link\", \"credential:read\", \"namespace\", \"host:read\"";
    let operator = rules(&format!("{tenant}, \"host\""));
    let mut app = AppWorld::new(Some(&operator)).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?;
    let stage = link.observed.as_ref().map(|observed| observed.stage());
    ensure!(stage == Some(Stage::Bound), "not bound: {link:?}");
    ensure!(
        link.installation_id == installation.to_string(),
        "another installation: {link:?}"
    );
    app.add_namespace("beta").await?;

    std::fs::write(app.world.daemon.path("policy.toml"), rules(tenant))?;
    app.world.crash().await?;
    let refused = app.bind("namespaces/beta", installation).await;
    ensure!(
        matches!(refused, Err(Error::PermissionDenied(_))),
        "a tenant bound somebody's installation: {refused:?}"
    );
    Ok(())
}

/// A person goes from the start page to the page that installs the app and back, confirms, and the link fetches for one
/// repository.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_installs_the_app_and_confirms() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let (link, start) = app.start_link().await?;
    let octo = app.world.forge.person().clone();
    let mut browser = app.world.forge.standin.browser();
    let back = app.install_by_person(&mut browser, &octo, &start).await?;
    let confirm = browser.follow(back).await?;
    ensure!(confirm.body.contains("octo"), "who is not shown");
    let mut forms = confirm.forms().into_iter();
    let form = forms.find(|form| form.action.path().ends_with("/confirm"));
    let answer = browser.submit(&form.context("no confirm form")?).await?;
    browser.follow(answer).await?;
    let bound = app.world.get(&link).await?;
    let installations = app.world.forge.standin.installations();
    ensure!(
        installations.iter().map(u64::to_string).collect::<Vec<_>>() == [bound.installation_id],
        "another installation is bound"
    );
    let credential = app.world.client.read_credential(&for_hello(&link)).await?;
    clones(&app.world, &credential)
}

/// G1: a callback can name any installation; one that the person who agreed can't see is refused, and the link ends.
#[tokio::test(flavor = "multi_thread")]
async fn g1_an_installation_of_somebody_else_is_refused() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let victim = app.install()?;
    let mallory = app.world.forge.standin.add_user("mallory");
    refuses(&app, &mallory, victim).await
}

/// G1: whoever reads one repository of an installation, or merely belongs to its organization, finds it in their own list,
/// and may not bind the whole of it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn g1_who_reads_a_repository_does_not_own_the_installation() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let github = &app.world.forge.standin;
    let mallory = github.add_user("mallory");
    github.add_collaborator("octo/other", "mallory", Permission::Pull)?;
    refuses(&app, &mallory, app.install()?).await?;
    github.add_org("tools", OrgOptions::default());
    github.add_member("tools", "mallory", Role::Member)?;
    let of_tools = github.install(app.app.app_id, "tools", &[])?;
    refuses(&app, &mallory, of_tools).await
}

/// Comes back with an installation of somebody else in the place of the person's own; nothing may come of it.
async fn refuses(app: &AppWorld, mallory: &Person, victim: u64) -> Result<()> {
    let (link, start) = app.start_link().await?;
    let mut browser = app.world.forge.standin.browser();
    let back = app.install_by_person(&mut browser, mallory, &start).await?;
    let mut forged = back.location()?.context("no redirect")?;
    let pairs: Vec<(String, String)> = forged.query_pairs().into_owned().collect();
    forged.query_pairs_mut().clear();
    for (name, value) in &pairs {
        let id = victim.to_string();
        let value = if name == "installation_id" {
            &id
        } else {
            value
        };
        forged.query_pairs_mut().append_pair(name, value);
    }
    let page = browser.open(&forged).await?;
    ensure!(
        !page.status.is_success() && page.forms().is_empty(),
        "the installation of somebody else was taken: {}",
        page.status
    );
    let after = app.world.get(&link).await?.observed.context("no state")?;
    ensure!(after.stage() == Stage::Unlinked, "it goes on: {after:?}");
    ensure!(
        after.message.contains("does not own the account"),
        "refused for another reason: {after:?}"
    );
    let people = app.world.forge.standin.live_tokens();
    ensure!(
        people.iter().all(|token| token.login != "mallory"),
        "the person's own token was kept"
    );
    Ok(())
}

/// An organization whose owners were asked for the app is told as one where that is pending, and by whom: a person's own link
/// shows it, although the provider tells the app alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_was_asked_is_pending() -> Result<()> {
    let mut app = AppWorld::new(None).await?;
    let standin = &app.world.forge.standin;
    standin.add_org("big", OrgOptions::default());
    standin.add_member("big", "octo", Role::Member)?;
    let link = app.world.link_with_organizations().await?;
    let access = |app: &AppWorld| app.world.client.list_organizations(&link).all();
    let found = access(&app).await?;
    ensure!(found.len() == 1, "{found:?}");
    ensure!(found[0].access() == AccessState::NotInstalled, "{found:?}");
    let standin = &app.world.forge.standin;
    standin.ask_to_install(app.app.app_id, "big", "octo");
    let found = access(&app).await?;
    ensure!(
        found[0].access() == AccessState::RequestPending,
        "{found:?}"
    );
    ensure!(found[0].message.contains("octo"), "{found:?}");
    ensure!(
        found[0].who_must_act() == WhoMustAct::OrganizationOwner,
        "{found:?}"
    );
    ensure!(
        found[0]
            .action_uri
            .ends_with("/organizations/big/settings/installations"),
        "{found:?}"
    );
    Ok(())
}
