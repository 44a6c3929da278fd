//! Links by an installation of the host's app: by its id, or proven by a person in a browser.

use std::sync::{Arc, Mutex};

use bindery_core::{
    link::Stage,
    name::LinkId,
    problem::{Problem, Reason, Who},
    provider::{AuthKind, FailureCode, Input, Installation, OperationKind, Output},
    secret::Secret,
};
use bindery_engine::{
    flows::{Returned, Shown},
    links::{Method, NewLink, Severity},
};

use crate::support::{World, acme, failure, host_name, installation, oauth_link, octo, query};

fn app_link(id: Option<&str>) -> NewLink {
    NewLink {
        method: Method::Installation {
            id: id.map(str::to_owned),
        },
        ..oauth_link()
    }
}

/// An installation by its id is looked at as the app and bound at once, with a token that was minted.
#[tokio::test]
async fn an_installation_is_bound_by_its_id() {
    let world = World::new().await;
    world.give_app().await;
    let created = world.engine.create_link(app_link(Some("42")), None).await;
    let created = created.expect("link");
    let link = created.link.record;
    assert_eq!(
        (link.observed.stage, link.auth_kind),
        (Stage::Bound, AuthKind::AppInstallation)
    );
    assert_eq!(link.installation_id, "42");
    assert_eq!(link.identity.expect("identity").login, "tools");
    assert!(link.refreshable);
    // Builds hang on no person, so nothing warns of that.
    let warned = |finding: &bindery_engine::links::Finding| finding.severity > Severity::Info;
    assert!(
        !created.findings.iter().any(warned),
        "{:?}",
        created.findings
    );
    let credential = world.fetch(&link.id).await.expect("token");
    // The broad one is `m1`, and stays here.
    assert_eq!(credential.token.expose(), "m2");
}

/// An installation on a person's own account ends with that account: a team is told so, when it is bound and at each check.
#[tokio::test]
async fn an_installation_on_a_person_is_no_machine() {
    let world = World::new().await;
    world.give_app().await;
    let person = Installation {
        account: octo(),
        ..installation("42")
    };
    world.plugin.on("GetInstallation", move |_| {
        Ok(Output::Installation(person.clone()))
    });
    let created = world.engine.create_link(app_link(Some("42")), None).await;
    let created = created.expect("link");
    let warns = |findings: &[bindery_engine::links::Finding]| {
        let mut reasons = findings.iter().map(|finding| finding.problem.reason);
        reasons.any(|reason| reason == Reason::PersonalAccount)
    };
    assert!(warns(&created.findings));
    let id = &created.link.record.id;
    let checked = world.engine.check_link(&acme(), id, false).await;
    assert!(warns(&checked.expect("checked").findings));
}

/// Without an app there is nothing to install, and a suspended or foreign installation is not bound.
#[tokio::test]
async fn what_can_not_work_is_refused() {
    let world = World::new().await;
    let create = || world.engine.create_link(app_link(Some("42")), None);
    assert_eq!(
        create().await.expect_err("no app").reason,
        Reason::MethodNotSupported
    );
    world.give_app().await;
    world.plugin.on("GetInstallation", |_| {
        Ok(Output::Installation(Installation {
            suspended: true,
            ..installation("42")
        }))
    });
    assert_eq!(
        create().await.expect_err("suspended").reason,
        Reason::IdentitySuspended
    );
    world.plugin.on("GetInstallation", |_| {
        Err(failure(FailureCode::NotInstalled))
    });
    assert_eq!(
        create().await.expect_err("gone").reason,
        Reason::AppNotInstalled
    );
    let listed = world
        .engine
        .list_links(&acme(), &bindery_engine::LinkFilter::default(), None, 9)
        .await;
    assert!(listed.expect("list").items.is_empty());
}

/// A pending link by the page on which the app is installed, and the `state` that went there.
async fn left(world: &World) -> (LinkId, String, String) {
    world.give_app().await;
    let created = world.engine.create_link(app_link(None), None).await;
    let created = created.expect("link");
    let uri = created.authorization.expect("authorization").uri;
    let flow = uri.rsplit('/').next().expect("flow").to_owned();
    let page = world
        .engine
        .leave_for_forge(&flow, "cookie")
        .await
        .expect("page");
    assert!(page.starts_with("https://forge.example/apps/bindery/new?state="));
    (created.link.record.id, flow, query(&page, "state"))
}

async fn come_back(
    world: &World,
    state: &str,
    installation: Option<&'static str>,
) -> Result<(), Problem> {
    let returned = Returned {
        code: Some(Secret::new("code".to_owned())),
        installation,
        ..world.returned(state, Some("cookie")).await
    };
    world.engine.callback(returned).await.map(drop)
}

/// A person installs the app; they prove with their own token that it is theirs; that token is given back; what is bound is
/// a token of the app, after a confirmation like any other.
#[tokio::test]
async fn a_person_proves_the_installation() {
    let world = World::new().await;
    let (link, flow, state) = left(&world).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    world.plugin.on("GetInstallation", move |call| {
        if let Input::GetInstallation { as_person, .. } = call.input {
            seen.lock().expect("lock").push(as_person);
        }
        Ok(Output::Installation(installation("42")))
    });
    come_back(&world, &state, Some("42")).await.expect("back");
    assert_eq!(*asked.lock().expect("lock"), [true, false]);
    assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
    let pending = world.read(&link).await;
    assert_eq!(pending.observed.stage, Stage::PendingConfirmation);
    let view = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page");
    assert_eq!(
        (view.identity.login.as_str(), view.personal),
        ("tools", false)
    );
    assert!(view.missing.is_empty() && view.extra.is_empty());
    let code = view.confirm_code.expose();
    let bound = world
        .engine
        .confirm_in_browser(&flow, code, "cookie", Shown::default())
        .await
        .expect("bound")
        .link
        .record;
    assert_eq!(bound.installation_id, "42");
    let credential = world.fetch(&link).await.expect("token");
    // The broad one is `m1`, and stays here.
    assert_eq!(credential.token.expose(), "m2");
}

/// Ids of installations can be guessed, and whoever reads one repository can see the whole installation: one whose account
/// the person does not own is refused, in words that send for its owner; nothing is minted for it, and the person's token
/// is given back all the same.
#[tokio::test]
async fn o2_a_guessed_installation_is_refused() {
    for code in [FailureCode::NotFound, FailureCode::PermissionDenied] {
        let world = World::new().await;
        let (link, _, state) = left(&world).await;
        world
            .plugin
            .on("GetInstallation", move |call| match call.input {
                Input::GetInstallation {
                    as_person: true, ..
                } => Err(failure(code)),
                _ => Ok(Output::Installation(installation("43"))),
            });
        let refused = come_back(&world, &state, Some("43")).await;
        let problem = refused.expect_err("foreign");
        assert_eq!(
            (problem.reason, problem.who),
            (Reason::IdentityMismatch, Some(Who::OrganizationOwner))
        );
        assert_eq!(world.plugin.count(OperationKind::MintToken), 0);
        assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
        assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
    }
}

/// A person without the right to install comes back without an installation, and is told to wait for an owner.
#[tokio::test]
async fn a_requested_installation_is_no_installation() {
    let world = World::new().await;
    let (link, _, state) = left(&world).await;
    let refused = come_back(&world, &state, None).await;
    assert_eq!(refused.expect_err("asked").reason, Reason::AppNotInstalled);
    assert_eq!(world.token_calls(), 0);
    assert_eq!(world.read(&link).await.observed.stage, Stage::Unlinked);
}

/// An app whose short name nobody knows has no page to send people to.
#[tokio::test]
async fn an_app_without_a_name_has_no_page() {
    let world = World::new().await;
    world.give_app().await;
    let mut host = world.engine.host(&host_name()).await.expect("host").record;
    host.app.as_mut().expect("app").slug.clear();
    let (key, record) = (
        bindery_core::port::Key::Host(host_name()),
        bindery_core::port::Record::Host(host),
    );
    world.put(key, record).await;
    let created = world.engine.create_link(app_link(None), None).await;
    let uri = created.expect("link").authorization.expect("page").uri;
    let flow = uri.rsplit('/').next().expect("flow").to_owned();
    let nowhere = world.engine.leave_for_forge(&flow, "cookie").await;
    assert_eq!(
        nowhere.expect_err("no page").reason,
        Reason::MethodNotSupported
    );
}
