//! Sources as callers see them: connected, listed, changed, rotated, disconnected, with every wrong field told.

use bindery_proto::v1::{
    self as wire, cleanup_step::Outcome, hook::State, hook_rotation,
    link_service_client::LinkServiceClient, source_service_client::SourceServiceClient,
};
use tonic::transport::Channel;

use crate::{client::reason, world::World};

const LINK: &str = "namespaces/acme/links/bound";
const SOURCE: &str = "namespaces/acme/links/bound/sources/built";

fn ask() -> wire::CreateSourceRequest {
    wire::CreateSourceRequest {
        parent: LINK.into(),
        source_id: "built".into(),
        source: Some(wire::Source {
            repository: "acme/built".into(),
            display_name: "Builds".into(),
            rules: vec![wire::Rule {
                id: "releases".into(),
                tags: vec![glob("v*")],
                build: Some(wire::Build {
                    image_repository: "acme/api".into(),
                    tag_template: "{tag}".into(),
                    ..Default::default()
                }),
                ..Default::default()
            }],
            labels: [("team".to_owned(), "a".to_owned())].into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn glob(text: &str) -> wire::Pattern {
    wire::Pattern {
        kind: Some(wire::pattern::Kind::Glob(text.into())),
    }
}

async fn owner(world: &World) -> SourceServiceClient<Channel> {
    SourceServiceClient::new(world.caller("owner").await)
}

async fn connected(sources: &mut SourceServiceClient<Channel>) -> wire::Source {
    let made = sources.create_source(ask()).await.expect("source");
    made.into_inner()
}

/// What is asked for comes back, with a hook whose URL holds an opaque id and no credential.
#[tokio::test]
async fn a_source_comes_back_as_it_was_asked_for() {
    let world = World::new().await;
    let mut sources = owner(&world).await;
    let made = connected(&mut sources).await;
    assert_eq!(
        (made.name.as_str(), made.repository.as_str()),
        (SOURCE, "built")
    );
    assert_eq!(made.repository_full_name, "acme/built");
    assert_eq!(made.rules, {
        let mut rules = ask().source.expect("source").rules;
        rules[0].set_action(wire::rule::Action::Include);
        rules
    });
    let hook = made.hook.clone().expect("hook");
    assert_eq!((hook.state(), hook.source_count), (State::Silent, 1));
    let id = hook
        .delivery_uri
        .strip_prefix("https://bindery.example/hooks/");
    assert_eq!(id.expect("our URL").len(), 26);
    let got = sources
        .get_source(wire::GetSourceRequest {
            name: SOURCE.into(),
        })
        .await;
    assert_eq!(got.expect("source").into_inner(), made);
}

/// The same request twice is one source; nothing is stored by one that only checks.
#[tokio::test]
async fn creation_is_repeated_safely() {
    let world = World::new().await;
    let mut sources = owner(&world).await;
    let tried = wire::CreateSourceRequest {
        validate_only: true,
        ..ask()
    };
    sources.create_source(tried).await.expect("valid");
    let named = wire::GetSourceRequest {
        name: SOURCE.into(),
    };
    let absent = sources.get_source(named).await.expect_err("nothing stored");
    assert_eq!(reason(&absent), "NOT_FOUND");
    let request = wire::CreateSourceRequest {
        request_id: "0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a10".into(),
        ..ask()
    };
    let first = sources.create_source(request.clone()).await.expect("made");
    let again = sources.create_source(request).await.expect("the same");
    assert_eq!(first.into_inner(), again.into_inner());
    let twin = wire::CreateSourceRequest {
        source_id: "other".into(),
        ..ask()
    };
    let refused = sources.create_source(twin).await.expect_err("twin");
    assert_eq!(reason(&refused), "SOURCE_EXISTS");
}

/// What could not be judged later is refused with the field that is meant.
#[tokio::test]
async fn wrong_rules_are_refused() {
    let world = World::new().await;
    let mut sources = owner(&world).await;
    let wrong = |change: fn(&mut wire::Source)| {
        let mut request = ask();
        change(request.source.as_mut().expect("source"));
        request
    };
    for request in [
        wrong(|source| source.rules[0].tags = vec![wire::Pattern { kind: None }]),
        wrong(|source| source.rules[0].id = "R".into()),
        wrong(|source| source.rules[0].tags = vec![regex("(")]),
        wrong(|source| source.rules.push(source.rules[0].clone())),
        wrong(|source| source.repository = "../x".into()),
        wrong(|source| {
            source.reconcile_interval = Some(prost_types::Duration {
                seconds: 5,
                nanos: 0,
            });
        }),
    ] {
        let refused = sources.create_source(request).await.expect_err("wrong");
        assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    }
    let denied = wrong(|source| source.repository = "acme/api".into());
    let refused = sources.create_source(denied).await.expect_err("no rights");
    assert_eq!(reason(&refused), "PROVIDER_DENIED");
}

fn regex(text: &str) -> wire::Pattern {
    wire::Pattern {
        kind: Some(wire::pattern::Kind::Regex(text.into())),
    }
}

/// Only what the mask names changes, and only at the version that was read.
#[tokio::test]
async fn an_update_changes_what_it_names() {
    let world = World::new().await;
    let mut sources = owner(&world).await;
    let made = connected(&mut sources).await;
    let given = wire::Source {
        paused: true,
        display_name: "not meant".into(),
        ..made.clone()
    };
    let mask = |path: &str| {
        Some(prost_types::FieldMask {
            paths: vec![path.into()],
        })
    };
    let ask = |source: &wire::Source, path| wire::UpdateSourceRequest {
        source: Some(source.clone()),
        update_mask: mask(path),
        ..Default::default()
    };
    let changed = sources.update_source(ask(&given, "paused")).await;
    let changed = changed.expect("changed").into_inner();
    assert!(changed.paused && changed.display_name == "Builds");
    let stale = sources.update_source(ask(&made, "paused")).await;
    assert_eq!(reason(&stale.expect_err("stale")), "ETAG_MISMATCH");
    let fixed = sources.update_source(ask(&changed, "repository")).await;
    assert_eq!(reason(&fixed.expect_err("fixed")), "FIELD_IMMUTABLE");
}

/// A list holds what the filter and the caller's rights admit, wherever it is asked for.
#[tokio::test]
async fn g1_a_list_holds_what_the_caller_may_see() {
    let world = World::new().await;
    connected(&mut owner(&world).await).await;
    let list = |parent: &str, filter: &str| wire::ListSourcesRequest {
        parent: parent.into(),
        filter: filter.into(),
        ..Default::default()
    };
    for (role, parent, filter, count) in [
        ("owner", LINK, "", 1),
        ("reader", "namespaces/-/links/-", "", 1),
        ("other", "namespaces/-/links/-", "", 0),
        (
            "owner",
            LINK,
            r#"hook.state = "SILENT" AND labels.team = "a""#,
            1,
        ),
        ("owner", LINK, r#"paused = "true""#, 0),
    ] {
        let mut sources = SourceServiceClient::new(world.caller(role).await);
        let listed = sources.list_sources(list(parent, filter)).await;
        let listed = listed.expect("list").into_inner();
        assert_eq!(listed.sources.len(), count, "{role} {filter}");
    }
}

/// A rotation returns at once, and its reports tell each hook.
#[tokio::test]
async fn a_rotation_is_told_hook_by_hook() {
    let world = World::new().await;
    let mut sources = owner(&world).await;
    connected(&mut sources).await;
    let rotate = |parent: &str, filter: &str| wire::RotateHookSecretsRequest {
        parent: parent.into(),
        filter: filter.into(),
        ..Default::default()
    };
    let none = rotate("namespaces/acme", r#"labels.team = "b""#);
    let none = sources.rotate_hook_secrets(none).await.expect("none");
    assert_eq!(none.into_inner().total_count, 0);
    let begun = sources
        .rotate_hook_secrets(rotate("namespaces/-", ""))
        .await;
    let begun = begun.expect("rotation").into_inner();
    assert_eq!(begun.total_count, 1);
    let named = wire::GetHookRotationRequest {
        name: begun.name.clone(),
    };
    let mut now = begun.clone();
    while now.state() == hook_rotation::State::Running {
        tokio::task::yield_now().await;
        let got = sources.get_hook_rotation(named.clone()).await;
        now = got.expect("rotation").into_inner();
    }
    assert_eq!((now.done_count, now.failed_count), (1, 0));
    let reports = wire::ListHookRotationReportsRequest {
        parent: begun.name,
        ..Default::default()
    };
    let listed = sources.list_hook_rotation_reports(reports.clone()).await;
    let listed = listed.expect("reports").into_inner().reports;
    assert_eq!(listed[0].source, SOURCE);
    assert!(listed[0].previous_secret_until_time.is_some());
    let mut other = SourceServiceClient::new(world.caller("other").await);
    let hidden = other.list_hook_rotation_reports(reports).await;
    assert_eq!(reason(&hidden.expect_err("not theirs")), "NOT_FOUND");
}

/// Disconnecting says what was done; unlinking names the repository of each hook.
#[tokio::test]
async fn what_is_done_about_hooks_is_told() {
    let world = World::new().await;
    let mut sources = owner(&world).await;
    connected(&mut sources).await;
    let delete = wire::DeleteSourceRequest {
        name: SOURCE.into(),
        ..Default::default()
    };
    let gone = sources.delete_source(delete.clone()).await.expect("gone");
    let steps = gone.into_inner().steps;
    assert_eq!(steps[0].outcome(), Outcome::Done);
    assert_eq!(steps[0].subject, "acme/built");
    let again = sources.delete_source(delete.clone()).await;
    assert_eq!(reason(&again.expect_err("gone")), "NOT_FOUND");
    let missing = wire::DeleteSourceRequest {
        allow_missing: true,
        ..delete
    };
    sources.delete_source(missing).await.expect("no matter");
    let same = sources.create_source(ask()).await;
    assert_eq!(reason(&same.expect_err("used before")), "ALREADY_EXISTS");
    let anew = wire::CreateSourceRequest {
        source_id: "anew".into(),
        ..ask()
    };
    sources.create_source(anew).await.expect("source");
    let unlink = wire::UnlinkRequest {
        name: LINK.into(),
        ..Default::default()
    };
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let receipt = links.unlink(unlink).await.expect("receipt").into_inner();
    let step = receipt
        .steps
        .iter()
        .find(|step| step.subject == "acme/built");
    assert_eq!(step.expect("step").outcome(), Outcome::Done);
}
