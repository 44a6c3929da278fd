//! What ends soon is listed before it ends.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    LinkRequest, Token,
    proto::v1::{Host, Permission, WhoMustAct, expiring::Kind, host},
};
use bindery_tests::{
    forge::GitHubForge,
    github::{Pat, PatKind},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use crate::world::World;

const DAY: Duration = Duration::from_secs(86_400);

/// A certificate authority that ends in so many days.
fn authority(days: u32) -> Result<String> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.not_after = (SystemTime::now() + days * DAY).into();
    let key = KeyPair::generate()?;
    Ok(parameters.self_signed(&key)?.pem())
}

/// A token that a person made, a client secret, the key of an app and a CA bundle are listed with who must act, the soonest
/// first; what ends later than the horizon is not.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_secrets_and_certificates_are_listed() -> Result<()> {
    let world = World::new(GitHubForge::start(false, None).await?).await?;
    let kind = PatKind::Classic { scopes: &["repo"] };
    let pat = Pat {
        kind,
        expires_in: Some(i64::try_from((10 * DAY).as_secs())?),
    };
    let token = Token::from(world.forge.standin.add_pat("octo", &pat)?);
    let request = LinkRequest::token("namespaces/acme", "hosts/forge", &token)
        .permissions([Permission::ReadCode]);
    let link = world.client.create_link(request).await?.link;
    let link = link.context("no link")?.name;
    let known = world.client.get_host("hosts/forge").await?;
    let client = known.oauth_client.context("no client")?;
    let callback = &client.redirect_uri;
    let app = world
        .forge
        .standin
        .add_github_app("Binder", "octo", callback, &["contents:read"])?;
    let update = Host {
        app: Some(host::App {
            app_id: app.app_id.to_string(),
            private_key_pem: app.private_key,
            private_key_expire_time: Some((SystemTime::now() + 17 * DAY).into()),
            ..Default::default()
        }),
        name: "hosts/forge".to_owned(),
        ca_bundle_pem: authority(20)?,
        oauth_client: Some(host::OAuthClient {
            client_id: client.client_id,
            client_secrets: vec!["one-that-ends".to_owned()],
            client_secret_expire_times: vec![(SystemTime::now() + 15 * DAY).into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let mask = ["ca_bundle_pem", "oauth_client", "app"];
    world.client.update_host(update, mask).await?;

    let within = |days: u32| world.client.list_expiring("namespaces/-", Some(days * DAY));
    let all = within(30).all().await?;
    let listed: Vec<_> = all
        .iter()
        .map(|one| (one.kind(), one.resource.as_str()))
        .collect();
    let expected = [
        (Kind::AccessToken, link.as_str()),
        (Kind::ClientSecret, "hosts/forge"),
        (Kind::AppKey, "hosts/forge"),
        (Kind::CaBundle, "hosts/forge"),
    ];
    ensure!(listed == expected, "{listed:?}");
    ensure!(all.iter().all(|one| !one.message.is_empty()), "{all:?}");
    let who: Vec<_> = all.iter().map(|one| one.who_must_act()).collect();
    let operator = WhoMustAct::HostOperator;
    ensure!(
        who == [WhoMustAct::User, operator, operator, operator],
        "{who:?}"
    );
    let soon = within(12).all().await?;
    ensure!(soon.len() == 1, "{soon:?}");
    Ok(())
}
