//! What an operator says about hosts, how secrets replace each other, and what probes tell.

use std::time::Duration;

use bindery_core::{
    exchange::ProbeReport,
    host::{Certificates, Host, SecretFact, SecretKind},
    problem::{Problem, Reason},
    provider::{FailureCode, Output, ServerFacts},
    secret::Secret,
};
use bindery_engine::{
    expiring::{ExpiringKind, Horizon},
    hosts::{AppUpdate, HostUpdate, NewHost},
};

use crate::support::{World, failure, host_name};

const APP_KEY: &str = include_str!("../../src/jwt/rfc7515.pkcs1.pem");
const SHORT_KEY: &str = include_str!("../../src/jwt/short.pem");

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

async fn host(world: &World) -> Host {
    world.engine.host(&host_name()).await.expect("host").record
}

async fn change(world: &World, change: impl FnOnce(&mut HostUpdate)) -> Result<Host, Problem> {
    let mut update = HostUpdate::default();
    change(&mut update);
    let changed = world.engine.update_host(&host_name(), update, None).await;
    changed.map(|entry| entry.record)
}

fn clients(host: &Host) -> Vec<&SecretFact> {
    let client = |fact: &&SecretFact| matches!(fact.kind, SecretKind::ClientSecret(_));
    host.secret_facts.iter().filter(client).collect()
}

fn app(id: &str, key: &str) -> AppUpdate {
    AppUpdate {
        id: Some(id.to_owned()),
        private_key: Some(secret(key)),
        ..AppUpdate::default()
    }
}

/// One client secret replaces another without a moment in which there is none: the new one comes first, both are there,
/// and the old one is taken away by its fingerprint. What is known of a secret stays with it.
#[tokio::test]
async fn client_secrets_rotate_without_a_gap() {
    let world = World::new().await;
    let old = clients(&host(&world).await)[0].clone();
    world.clock.advance(Duration::from_secs(60));
    let both = change(&world, |update| update.client.add = vec![secret("new")]).await;
    let both = both.expect("added");
    let facts = clients(&both);
    assert_eq!(facts.len(), 2);
    assert_eq!(facts[0].kind, SecretKind::ClientSecret(0));
    assert!(facts[0].created > old.created, "the new one is tried first");
    assert_eq!(facts[1].fingerprint, old.fingerprint);
    assert_eq!(facts[1].created, old.created);
    let print = old.fingerprint.clone();
    let one = change(&world, |update| update.client.remove = vec![print]).await;
    let one = one.expect("taken away");
    assert_eq!(one.client_secret_count, 1);
    assert_eq!(clients(&one)[0].fingerprint, facts[0].fingerprint);
    let print = old.fingerprint;
    let gone = change(&world, |update| update.client.remove = vec![print]).await;
    assert_eq!(
        gone.expect_err("no such one").reason,
        Reason::InvalidArgument
    );
}

/// A fingerprint tells secrets of one host apart, and nothing outside of it: the same secret has another one elsewhere.
#[tokio::test]
async fn fingerprints_belong_to_their_host() {
    let world = World::new().await;
    let provider = bindery_core::name::ProviderName::parse("forge").expect("name");
    let name = bindery_core::name::HostName::parse("other").expect("name");
    let mut other = NewHost::new(name, provider, "https://other.example");
    other.settings.client.id = Some("client".to_owned());
    other.settings.client.secrets = Some(vec![secret("s3cret")]);
    let other = world.engine.create_host(other, None).await.expect("host");
    let (here, there) = (host(&world).await, other.record);
    let print = clients(&here)[0].fingerprint.clone();
    assert_eq!(print.len(), 16);
    assert_ne!(print, clients(&there)[0].fingerprint);
}

/// The token endpoint's verdict on each client secret is shown at once, and written down without a change of the etag at
/// every refresh.
#[tokio::test]
async fn verdicts_on_client_secrets_are_told() {
    let world = World::new().await;
    let added = change(&world, |update| update.client.add = vec![secret("wrong")]).await;
    added.expect("added");
    *world.forge.judges.lock().expect("lock") = (Some(1), vec![0]);
    world.bound(Some(3600)).await;
    let seen = world.engine.host(&host_name()).await.expect("host");
    let facts = clients(&seen.record);
    assert!(facts[0].refused.is_some() && facts[0].taken.is_none());
    assert!(facts[1].taken.is_some() && facts[1].refused.is_none());
    world.engine.sweep().await.expect("sweep");
    let written = world.engine.host(&host_name()).await.expect("host");
    assert_eq!(written.version, seen.version + 1);
    world.bound_as("2", Some(3600)).await;
    world.engine.sweep().await.expect("sweep");
    let again = world.engine.host(&host_name()).await.expect("host");
    assert_eq!(
        again.version, written.version,
        "nothing new within the hour"
    );
}

/// A key that can't prove the app is refused at the door, with what to do and without the key.
#[tokio::test]
async fn app_keys_are_checked_at_the_door() {
    let world = World::new().await;
    for key in ["no PEM", SHORT_KEY] {
        let refused = change(&world, |update| update.app = app("77", key)).await;
        let problem = refused.expect_err("refused");
        assert_eq!(problem.reason, Reason::InvalidArgument);
        assert!(problem.message.contains("2048"), "{problem}");
        assert!(!problem.message.contains("no PEM"), "{problem}");
    }
    let kept = change(&world, |update| update.app = app("77", APP_KEY)).await;
    let kept = kept.expect("a good key");
    let key = |fact: &SecretFact| fact.kind == SecretKind::AppKey;
    assert!(kept.secret_facts.iter().any(key));
    let gone = change(&world, |update| update.app.id = Some(String::new())).await;
    let gone = gone.expect("taken away");
    assert!(gone.app.is_none() && !gone.secret_facts.iter().any(key));
}

/// A host that is switched off says by whom, why, and what to do; switching it on again is all it takes.
#[tokio::test]
async fn a_host_is_switched_off_and_on() {
    let world = World::new().await;
    assert!(host(&world).await.usable().is_ok());
    let off = change(&world, |update| {
        update.disabled = Some(true);
        update.disabled_reason = Some("moving house".to_owned());
        update.actor = "uid:7".to_owned();
    });
    let problem = off.await.expect("switched").usable().expect_err("off");
    assert_eq!(problem.reason, Reason::HostDisabled);
    assert!(problem.message.contains("moving house"), "{problem}");
    let on = change(&world, |update| update.disabled = Some(false)).await;
    assert!(on.expect("switched").usable().is_ok());
    let odd = change(&world, |update| {
        update.disabled_reason = Some("x".to_owned())
    })
    .await;
    assert_eq!(odd.expect_err("it is on").reason, Reason::InvalidArgument);
}

/// A check of a change changes nothing, and finds what the change would.
#[tokio::test]
async fn a_change_can_be_tried() {
    let world = World::new().await;
    let before = world.engine.host(&host_name()).await.expect("host");
    let update = HostUpdate {
        display_name: Some("Other".to_owned()),
        ..HostUpdate::default()
    };
    let tried = world
        .engine
        .try_update_host(&host_name(), update, None)
        .await;
    assert_eq!(tried.expect("fine").record.display_name, "Other");
    let after = world.engine.host(&host_name()).await.expect("host");
    assert_eq!(
        (after.version, after.record),
        (before.version, before.record)
    );
    world.bound(Some(3600)).await;
    let deletion = world.engine.try_delete_host(&host_name(), None).await;
    assert_eq!(deletion.expect_err("a link").reason, Reason::HasChildren);
}

fn answered(date_unix: u64) -> ProbeReport {
    ProbeReport {
        http: Some(Ok("status 200".to_owned())),
        date_unix: Some(date_unix),
        ..ProbeReport::default()
    }
}

fn server(slug: &str) -> Output {
    Output::Server(ServerFacts {
        version: "3.2".to_owned(),
        app_slug: slug.to_owned(),
        ..ServerFacts::default()
    })
}

/// A probe keeps the server's version, its clock, and the short name of the app; a skewed clock is a finding.
#[tokio::test]
async fn probes_keep_what_they_learn() {
    let world = World::new().await;
    let set = change(&world, |update| update.app = app("77", APP_KEY)).await;
    set.expect("an app");
    world.plugin.on("Probe", |call| {
        assert_eq!(call.credential.app_id, "77");
        Ok(server("bindery-acme"))
    });
    let now = host(&world).await.updated.unix_seconds();
    *world.forge.probed.lock().expect("lock") = answered(now + 90);
    let probe = world.engine.probe_host(&host_name()).await.expect("probe");
    let reasons: Vec<_> = probe.findings.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [Reason::HostClockSkew]);
    let probed = host(&world).await;
    assert_eq!(probed.probed.version, "3.2");
    assert_eq!(probed.probed.clock_skew_ms, Some(90_000));
    assert!(probed.probed.at.is_some());
    assert_eq!(probed.app.expect("an app").slug, "bindery-acme");
}

/// Clocks that differ by what a request takes are in order.
#[tokio::test]
async fn a_small_skew_is_no_finding() {
    let world = World::new().await;
    world.plugin.on("Probe", |_| Ok(server("")));
    let now = host(&world).await.updated.unix_seconds();
    *world.forge.probed.lock().expect("lock") = answered(now + 20);
    let probe = world.engine.probe_host(&host_name()).await.expect("probe");
    assert_eq!(probe.clock_skew_ms, Some(20_000));
    assert!(probe.findings.is_empty());
}

/// What answers and is no server of the provider is named so; one that is away is not.
#[tokio::test]
async fn other_servers_are_not_recognized() {
    let world = World::new().await;
    for (code, expected) in [
        (FailureCode::MalformedResponse, Reason::HostNotRecognized),
        (FailureCode::NotFound, Reason::HostNotRecognized),
        (FailureCode::Upstream, Reason::ProviderUnavailable),
        (FailureCode::Unauthenticated, Reason::TokenRefused),
    ] {
        world.plugin.on("Probe", move |_| Err(failure(code)));
        let probe = world.engine.probe_host(&host_name()).await.expect("probe");
        assert_eq!(probe.server.expect_err("no server").reason, expected);
    }
}

/// Settings can be tried before there is a host: the daemon's own ways and the public ones are told apart, and nothing is
/// kept.
#[tokio::test]
async fn a_host_can_be_tried_before_it_is_made() {
    let world = World::new().await;
    world.plugin.on("Probe", |_| Ok(server("")));
    let provider = bindery_core::name::ProviderName::parse("forge").expect("name");
    let name = bindery_core::name::HostName::parse("new").expect("name");
    let mut new = NewHost::new(name.clone(), provider, "https://new.example");
    new.settings.urls.internal_api = Some("https://inside.example/api/".to_owned());
    new.settings.urls.git = Some("https://git.example".to_owned());
    let probe = world.engine.probe_new_host(new).await.expect("probe");
    let ways: Vec<_> = probe
        .legs
        .iter()
        .map(|leg| (leg.url.as_str(), leg.used))
        .collect();
    assert_eq!(
        ways,
        [
            ("https://new.example", true),
            ("https://inside.example/api", true),
            ("https://new.example/api", false),
            ("https://git.example", true),
        ]
    );
    let kept = world.engine.host(&name).await;
    assert_eq!(kept.expect_err("not kept").reason, Reason::NotFound);
}

/// An internal address is one that the host's secrets may be sent to; the public one stays what others are shown.
#[tokio::test]
async fn internal_addresses_are_allowed_origins() {
    let world = World::new().await;
    let changed = change(&world, |update| {
        update.urls.internal_api = Some("https://inside.example/api".to_owned());
    });
    let changed = changed.await.expect("no links yet");
    assert_eq!(changed.api_url, "https://forge.example/api");
    assert_eq!(changed.api_base(), "https://inside.example/api");
    let inside = bindery_core::origin::Origin::parse("https://inside.example").expect("origin");
    assert!(
        changed
            .allowed_origins()
            .expect("origins")
            .contains(&inside)
    );
    let kept = change(&world, |update| update.client.add = vec![secret("new")]).await;
    let kept = kept.expect("the secrets went along").client_secret_count;
    assert_eq!(kept, 2);
    world.bound(Some(3600)).await;
    let moved = change(&world, |update| {
        update.urls.internal_api = Some("https://elsewhere.example".to_owned());
    });
    assert_eq!(moved.await.expect_err("links").reason, Reason::HasChildren);
}

/// What ends at a host is listed in time: secrets by what the operator said, certificates by what they say themselves.
#[tokio::test]
async fn what_ends_at_a_host_is_listed() {
    let world = World::new().await;
    let now = host(&world).await.updated;
    let soon = now.after(Duration::from_secs(86_400));
    let far = now.after(Duration::from_secs(365 * 86_400));
    let set = change(&world, |update| {
        update.client.add = vec![secret("new")];
        update.client.expires = Some(vec![Some(far), Some(soon)]);
    });
    let set = set.await.expect("set");
    assert_eq!(clients(&set)[1].expires, Some(soon));
    *world.forge.certificates.lock().expect("lock") = Certificates {
        bundle_expires: Some(soon),
        client_expires: Some(far),
        client_sha256: String::new(),
    };
    let horizon = Horizon {
        within: Duration::from_secs(7 * 86_400),
        include_refreshable: false,
    };
    let ends = world.engine.expiring_hosts(horizon).await.expect("list");
    let kinds: Vec<_> = ends.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [ExpiringKind::ClientSecret, ExpiringKind::CaBundle]);
}
