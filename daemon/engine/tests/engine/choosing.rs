//! What is looked at before a grant is kept, where it is bound, and what people say about a link.

use std::{collections::BTreeMap, time::Duration};

use bindery_core::{
    exchange::{TokenOutcome, Tokens},
    host::Host,
    link::{Desired, Stage, Wish},
    name::NamespaceName,
    namespace::NamespaceKind,
    port::{Clock as _, Key, Record},
    problem::Reason,
    provider::{
        AccountKind, AuthKind, Identity, Organization, OrganizationAccess, Output, Permission,
        Repository, TokenFacts,
    },
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::{
    RequestKey,
    flows::{Shown, StarterSays},
    links::{Created, LinkChange, NewLink, PermissionKey, Severity},
    namespaces::{NamespaceChange, NewNamespace},
};

use crate::support::{World, acme, host_name, oauth_link, octo, says, token_link, umbrella};

fn told(world: &World, scopes: &'static [&'static str], expires: Option<Timestamp>) {
    world.plugin.on("InspectToken", move |_| {
        Ok(Output::TokenFacts(TokenFacts {
            scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            expires,
            active: true,
        }))
    });
}

fn reasons(created: &Created) -> Vec<(Severity, Reason)> {
    let all = created.findings.iter();
    all.map(|finding| (finding.severity, finding.problem.reason))
        .collect()
}

async fn change_host(world: &World, change: impl FnOnce(&mut Host)) {
    let mut host = world.engine.host(&host_name()).await.expect("host").record;
    change(&mut host);
    world.put(Key::Host(host_name()), Record::Host(host)).await;
}

/// What a missing scope costs is said in words that a person can act on.
#[tokio::test]
async fn preflight_says_what_a_missing_scope_costs() {
    let world = World::new().await;
    told(&world, &["user"], None);
    let new = NewLink {
        permissions: [PermissionKey::ReadCode].into(),
        ..token_link("t0k")
    };
    let problem = world
        .engine
        .create_link(new, None)
        .await
        .expect_err("scope");
    assert_eq!(
        problem.message,
        "missing repo: private code can't be read; make a token that has it"
    );
}

/// A token that is bound all the same comes with what is worth knowing: its end, more scopes than were asked for, a team
/// that hangs on one person, and how far it reaches.
#[tokio::test]
async fn preflight_finds_what_is_worth_knowing() {
    let world = World::new().await;
    let soon = world.clock.now().after(Duration::from_secs(86_400));
    told(&world, &["user", "repo", "admin"], Some(soon));
    world.plugin.on("ListRepositories", |_| {
        Ok(Output::Repositories {
            items: Vec::<Repository>::new(),
            next_cursor: String::new(),
            partial: false,
        })
    });
    let new = NewLink {
        permissions: [PermissionKey::ReadCode].into(),
        ..token_link("t0k")
    };
    let created = world.engine.create_link(new, None).await.expect("link");
    assert_eq!(
        reasons(&created),
        [
            (Severity::Warning, Reason::ExpiresSoon),
            (Severity::Warning, Reason::PersonalAccount),
            (Severity::Info, Reason::ScopeExcessive),
            (Severity::Warning, Reason::ProviderNotFound),
        ]
    );
    assert_eq!(created.findings[0].until, Some(soon));
}

/// What was consented to is looked at as a token is, before anybody confirms: an organization that the grant does not
/// reach and an end that nobody can put off are on the confirm page, and in the flow for whoever has no page.
#[tokio::test]
async fn preflight_of_a_consented_grant_is_told_before_it_is_confirmed() {
    let world = World::new().await;
    world.plugin.on("ListOrganizations", |_| {
        Ok(Output::Organizations {
            items: vec![Organization {
                stable_id: "7".to_owned(),
                login: "walled".to_owned(),
                display_name: String::new(),
                access: OrganizationAccess::SsoRequired,
                reason: "a single sign-on is due".to_owned(),
                who: None,
                action_uri: "https://forge.example/sso".to_owned(),
                role: String::new(),
            }],
            partial: false,
            partial_reason: String::new(),
            partial_uri: String::new(),
        })
    });
    world.forge.answer(|_| {
        TokenOutcome::Granted(Tokens {
            access_token: Secret::new("a1".to_owned()),
            refresh_token: None,
            expires_in: Some(Duration::from_secs(86_400)),
            scopes: None,
        })
    });
    let new = NewLink {
        permissions: [PermissionKey::Organizations].into(),
        ..oauth_link()
    };
    let created = world.engine.create_link(new, None).await.expect("link");
    let uri = created.authorization.expect("authorization").uri;
    let flow = uri.rsplit('/').next().expect("flow");
    world.consent(flow, "cookie").await.expect("consent");
    let open = world.read(&created.link.record.id).await.flow;
    let notes = open.expect("flow").notes;
    let noted: Vec<_> = notes.iter().map(|note| note.reason.as_str()).collect();
    assert_eq!(noted, ["EXPIRES_SOON", "PERSONAL_ACCOUNT", "SSO_REQUIRED"]);
    assert_eq!(notes[2].action_uri, "https://forge.example/sso");
    let view = world.engine.confirm_view(flow, "cookie").await;
    let warnings = view.expect("page").warnings;
    assert_eq!(warnings, [&*notes[0].message, &*notes[2].message]);
}

/// A token whose day is over is not kept, whatever the provider goes on to say about it.
#[tokio::test]
async fn an_ended_token_is_not_kept() {
    let world = World::new().await;
    told(&world, &["user"], Some(world.clock.now()));
    let ended = world.engine.create_link(token_link("t0k"), None).await;
    assert_eq!(ended.expect_err("ended").reason, Reason::TokenRefused);
}

/// Checking stores nothing, and finds the same.
#[tokio::test]
async fn validation_stores_nothing() {
    let world = World::new().await;
    for new in [token_link("t0k"), oauth_link()] {
        let only = NewLink {
            validate_only: true,
            ..new
        };
        let checked = world.engine.create_link(only, None).await.expect("checked");
        assert!(checked.authorization.is_none());
        assert!(!checked.findings.is_empty());
    }
    let listed = world
        .engine
        .list_links(&acme(), &bindery_engine::LinkFilter::default(), None, 9)
        .await;
    assert!(listed.expect("list").items.is_empty());
}

/// A host that is switched off, and a method that its operator does not allow, take no new links.
#[tokio::test]
async fn operators_decide_how_links_are_made() {
    let world = World::new().await;
    change_host(&world, |host| {
        host.allowed_methods = vec![AuthKind::OAuthCode];
    })
    .await;
    let by_token = world.engine.create_link(token_link("t0k"), None).await;
    assert_eq!(
        by_token.expect_err("not allowed").reason,
        Reason::MethodNotSupported
    );
    change_host(&world, |host| {
        host.desired = Desired::Disabled(Wish {
            reason: "moving".to_owned(),
            actor: "uid:1".to_owned(),
            since: host.created,
        });
    })
    .await;
    let off = world.engine.create_link(oauth_link(), None).await;
    let off = off.expect_err("off");
    assert_eq!(off.reason, Reason::HostDisabled);
    assert!(off.message.contains("moving"));
}

/// One identity is linked to a namespace once: by token, by consent, and by many at the same time. In another namespace,
/// and with another identity, it is another link.
#[tokio::test]
async fn an_identity_is_linked_once() {
    let world = World::new().await;
    let first = world.bound(Some(3600)).await;
    let twin = world.engine.create_link(token_link("t0k"), None).await;
    let twin = twin.expect_err("twin");
    assert_eq!(twin.reason, Reason::LinkExists);
    assert!(twin.metadata.contains(&("link", first.resource())));
    let (_, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    let view = world.engine.confirm_view(&flow, "cookie").await;
    let code = view.expect("page").confirm_code;
    let confirmed = world
        .engine
        .confirm_in_browser(&flow, code.expose(), "cookie", Shown::default())
        .await;
    assert_eq!(confirmed.expect_err("twin").reason, Reason::LinkExists);
    world.bound_in(umbrella(), Some(3600)).await;
    world.plugin.on("Identify", |_| {
        Ok(Output::Identity(Identity {
            stable_id: "1".to_owned(),
            ..octo()
        }))
    });
    let engine = &world.engine;
    let (one, other) = tokio::join!(
        engine.create_link(token_link("t0k"), None),
        engine.create_link(token_link("t1k"), None),
    );
    assert_ne!(one.is_ok(), other.is_ok());
}

async fn require_service_accounts(world: &World) {
    let wanted = NamespaceChange {
        require_service_account: Some(true),
        ..NamespaceChange::default()
    };
    let changed = world.engine.update_namespace(&acme(), wanted, None).await;
    assert!(changed.expect("changed").record.require_service_account);
}

/// A namespace that requires a service account refuses a person's token, unless the caller insists, or says that the account
/// is one for machines; where the provider says so it is taken as it is.
#[tokio::test]
async fn service_accounts_can_be_required() {
    let asked = |allow, mark| NewLink {
        allow_personal_account: allow,
        service_account: mark,
        ..token_link("t0k")
    };
    for (new, kind, passes) in [
        (asked(false, false), AccountKind::User, false),
        (asked(false, false), AccountKind::Unknown, false),
        (asked(true, false), AccountKind::User, true),
        (asked(false, true), AccountKind::User, true),
        (asked(false, false), AccountKind::Bot, true),
    ] {
        let world = World::new().await;
        require_service_accounts(&world).await;
        world.plugin.on("Identify", move |_| {
            Ok(Output::Identity(Identity { kind, ..octo() }))
        });
        let created = world.engine.create_link(new, None).await;
        assert_eq!(created.is_ok(), passes, "{kind:?}");
        if let Err(problem) = created {
            assert_eq!(problem.reason, Reason::ServiceAccountRequired);
        }
    }
}

/// The same holds when a link is confirmed, and the override may come then.
#[tokio::test]
async fn service_accounts_are_required_at_the_confirmation() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    require_service_accounts(&world).await;
    let view = world.engine.confirm_view(&flow, "cookie").await;
    let view = view.expect("page");
    assert!(view.personal);
    let code = view.confirm_code.expose();
    let engine = &world.engine;
    let refused = engine
        .confirm_in_browser(&flow, code, "cookie", Shown::default())
        .await;
    assert_eq!(
        refused.expect_err("personal").reason,
        Reason::ServiceAccountRequired
    );
    let insists = StarterSays {
        code: Some(code),
        allow_personal_account: true,
        ..says("uid:1000")
    };
    engine
        .confirm_by_starter(&acme(), &link, insists, None)
        .await
        .expect("bound");
}

async fn instance(world: &World) -> NamespaceName {
    let name = NamespaceName::parse("registry").expect("name");
    let kind = NamespaceKind::Instance {
        instance_type: "enterprise".to_owned(),
        region: "eu-central-1".to_owned(),
    };
    let new = NewNamespace::new(name.clone(), kind);
    world
        .engine
        .create_namespace(new, None)
        .await
        .expect("namespace");
    name
}

/// The person chose another namespace: the link is bound there, with its id and its grant, and is gone from where it was
/// started. A repetition of the request finds it under its new name, and so does one of the request that started it.
#[tokio::test]
async fn a_link_is_bound_where_the_person_chose() {
    bound_where_chosen(false).await;
    bound_where_chosen(true).await;
}

/// `swept`: the engine has looked which requests there are.
async fn bound_where_chosen(swept: bool) {
    let world = World::new().await;
    if swept {
        world.engine.sweep().await.expect("sweep");
    }
    let registry = instance(&world).await;
    let create = async || {
        let key = RequestKey::new("uid:1000", "CreateLink", "6c5e", b"one");
        let created = world.engine.create_link(oauth_link(), key.as_ref()).await;
        created.expect("link")
    };
    let started = create().await;
    let (link, uri) = (
        started.link.record.id,
        started.authorization.expect("authorization").uri,
    );
    let flow = uri.rsplit('/').next().expect("flow").to_owned();
    world.consent(&flow, "cookie").await.expect("callback");
    let view = world.engine.confirm_view(&flow, "cookie").await;
    let code = view.expect("page").confirm_code;
    let chosen = |region| StarterSays {
        code: Some(code.expose()),
        shown: Shown {
            namespace: "namespaces/registry",
            instance_type: "enterprise",
            region,
        },
        move_to: Some(&registry),
        ..says("uid:1000")
    };
    let key = RequestKey::new("uid:1000", "ConfirmLink", "6c5f", b"one");
    let (namespace, engine) = (acme(), &world.engine);
    let confirm =
        |region| engine.confirm_by_starter(&namespace, &link, chosen(region), key.as_ref());
    assert_eq!(
        confirm("us-east-1").await.expect_err("region").reason,
        Reason::InvalidArgument
    );
    for _ in 0..2 {
        let bound = confirm("eu-central-1").await.expect("bound").link.record;
        assert_eq!((&bound.namespace, &bound.id), (&registry, &link));
        assert_eq!(bound.observed.stage, Stage::Bound);
    }
    let gone = engine.link(&acme(), &link).await;
    assert_eq!(gone.expect_err("moved").reason, Reason::NotFound);
    let again = create().await.link.record;
    assert_eq!((&again.namespace, &again.id), (&registry, &link));
    let wanted = bindery_engine::credentials::Wanted {
        namespace: registry,
        ..crate::support::wanted(&link)
    };
    let credential = engine.fetch_credential(&wanted).await.expect("token");
    assert_eq!(credential.token.expose(), "a1");
}

/// Only the starter moves a link, and not into a namespace that has the identity already.
#[tokio::test]
async fn o1_a_move_keeps_the_rules() {
    let world = World::new().await;
    world.bound_in(umbrella(), Some(3600)).await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    let view = world.engine.confirm_view(&flow, "cookie").await;
    let code = view.expect("page").confirm_code;
    let (from, to) = (acme(), umbrella());
    let confirm = |principal| {
        let says = StarterSays {
            code: Some(code.expose()),
            move_to: Some(&to),
            ..says(principal)
        };
        world.engine.confirm_by_starter(&from, &link, says, None)
    };
    assert_eq!(
        confirm("uid:1001").await.expect_err("other").reason,
        Reason::FlowMismatch
    );
    assert_eq!(
        confirm("uid:1000").await.expect_err("twin").reason,
        Reason::LinkExists
    );
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::PendingConfirmation
    );
}

/// What people say about a link is changed field by field, at the version that they saw, and once for each request.
#[tokio::test]
async fn links_are_described() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await;
    let labels = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
    let change = LinkChange {
        labels: Some(labels.clone()),
        service_account: Some(true),
        ..LinkChange::default()
    };
    let version = world
        .engine
        .link(&acme(), &link.id)
        .await
        .expect("link")
        .version;
    let update = |change: LinkChange, expect, request: Option<RequestKey>| {
        let (engine, id) = (world.engine.clone(), link.id.clone());
        async move {
            engine
                .update_link(&acme(), &id, &change, expect, request.as_ref())
                .await
        }
    };
    let only = LinkChange {
        validate_only: true,
        ..change.clone()
    };
    let checked = update(only, Some(version), None).await.expect("checked");
    assert_eq!(
        (checked.record.labels, checked.version),
        (labels.clone(), version)
    );
    assert!(world.read(&link.id).await.labels.is_empty());
    let key = || RequestKey::new("uid:1000", "UpdateLink", "6c5f", b"one");
    for _ in 0..2 {
        let changed = update(change.clone(), Some(version), key()).await;
        let changed = changed.expect("changed");
        assert_eq!(
            (&changed.record.labels, changed.version),
            (&labels, version + 1)
        );
    }
    let stale = update(change, Some(version), None).await;
    assert_eq!(stale.expect_err("stale").reason, Reason::EtagMismatch);
    assert!(world.read(&link.id).await.service_account);
    assert_eq!(link.permissions, [Permission::Identity]);
}

/// A link that is offered for other namespaces as well, and the id of its flow, at its confirm page.
async fn offered(world: &World, names: &[NamespaceName]) -> (bindery_core::name::LinkId, String) {
    let new = NewLink {
        offered: names.to_vec(),
        ..oauth_link()
    };
    let created = world.engine.create_link(new, None).await.expect("link");
    let uri = created.authorization.expect("authorization").uri;
    let flow = uri.rsplit('/').next().expect("flow").to_owned();
    world.consent(&flow, "cookie").await.expect("callback");
    (created.link.record.id, flow)
}

/// The registry offers namespaces, the person chooses one on the page, and the link is bound there. What was shown of it must
/// come back as it was.
#[tokio::test]
async fn a_person_chooses_among_what_was_offered() {
    let world = World::new().await;
    let registry = instance(&world).await;
    let (link, flow) = offered(&world, &[umbrella(), registry.clone(), acme()]).await;
    let view = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page");
    let shown: Vec<_> = view
        .choices
        .iter()
        .map(|choice| {
            (
                choice.place.namespace.as_str(),
                choice.place.region.as_str(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("namespaces/acme", ""),
            ("namespaces/umbrella", ""),
            ("namespaces/registry", "eu-central-1")
        ]
    );
    let confirm = async |region| {
        let shown = Shown {
            namespace: "namespaces/registry",
            instance_type: "enterprise",
            region,
        };
        let code = view.confirm_code.expose();
        let confirmed = world
            .engine
            .confirm_in_browser(&flow, code, "cookie", shown);
        confirmed.await.map(|confirmed| confirmed.link.record)
    };
    let other = confirm("us-east-1").await.expect_err("another region");
    assert_eq!(other.reason, Reason::InvalidArgument);
    let bound = confirm("eu-central-1").await.expect("bound");
    assert_eq!((&bound.namespace, &bound.id), (&registry, &link));
    assert_eq!(bound.observed.stage, Stage::Bound);
    let gone = world.engine.link(&acme(), &link).await;
    assert_eq!(gone.expect_err("moved").reason, Reason::NotFound);
}

/// O1: what was not offered can't be chosen, whatever comes back; and without an offer there is no choice. A namespace that
/// asks for a service account asks in whatever way it was chosen.
#[tokio::test]
async fn o1_only_what_was_offered_can_be_chosen() {
    let world = World::new().await;
    for names in [vec![], vec![acme()]] {
        let (link, flow) = offered(&world, &names).await;
        let view = world
            .engine
            .confirm_view(&flow, "cookie")
            .await
            .expect("page");
        assert!(view.choices.is_empty());
        let shown = Shown {
            namespace: "namespaces/umbrella",
            ..Shown::default()
        };
        let code = view.confirm_code.expose();
        let confirmed = world
            .engine
            .confirm_in_browser(&flow, code, "cookie", shown)
            .await;
        assert_eq!(
            confirmed.expect_err("not offered").reason,
            Reason::InvalidArgument
        );
        assert_eq!(
            world.read(&link).await.observed.stage,
            Stage::PendingConfirmation
        );
        let cancelled = world.engine.cancel_link(&acme(), &link, None, None).await;
        cancelled.expect("cancelled");
    }
    let strict = NamespaceChange {
        require_service_account: Some(true),
        ..NamespaceChange::default()
    };
    let changed = world
        .engine
        .update_namespace(&umbrella(), strict, None)
        .await;
    changed.expect("strict");
    let (_, flow) = offered(&world, &[umbrella()]).await;
    let view = world
        .engine
        .confirm_view(&flow, "cookie")
        .await
        .expect("page");
    let shown = Shown {
        namespace: "namespaces/umbrella",
        ..Shown::default()
    };
    let code = view.confirm_code.expose();
    let confirmed = world
        .engine
        .confirm_in_browser(&flow, code, "cookie", shown)
        .await;
    assert_eq!(
        confirmed.expect_err("personal").reason,
        Reason::ServiceAccountRequired
    );
}

/// Only a page offers a choice, and only of what there is.
#[tokio::test]
async fn a_choice_needs_a_page() {
    let world = World::new().await;
    let by_token = NewLink {
        offered: vec![umbrella()],
        ..token_link("t0k")
    };
    let refused = world.engine.create_link(by_token, None).await;
    assert_eq!(
        refused.expect_err("no page").reason,
        Reason::InvalidArgument
    );
    let nowhere = NewLink {
        offered: vec![NamespaceName::parse("nowhere").expect("name")],
        ..oauth_link()
    };
    let refused = world.engine.create_link(nowhere, None).await;
    assert_eq!(refused.expect_err("absent").reason, Reason::NotFound);
}
