//! Headless links: a registry's own page receives code and state, and hands them in by API.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, ConfirmRequest, Error, LinkRequest, RetryPolicy, Token,
    proto::v1::{Host, Permission, host, observed_state::Stage},
};
use bindery_tests::{artifacts::Plugin, daemon::Options, forge::GitHubForge, github::Decision};
use url::Url;

use crate::{
    mtls::{Authority, spiffe},
    policies::own_user,
    story::clones,
    world::World,
};

const PAGE: &str = "http://127.0.0.1:9/registry/callback";
const OTHER: &str = "spiffe://example.org/other";

/// What the registry's page received.
struct Received {
    code: Token,
    state: Token,
}

struct Scene {
    world: World<GitHubForge>,
    authority: Authority,
}

fn policy() -> String {
    let uid = own_user();
    format!(
        "[[allow]]\nprincipals = [\"uid:{uid}\"]\nnamespaces = [\"*\"]\n\
         actions = [\"read\", \"link\", \"credential:read\", \"namespace\", \"host\", \"host:read\"]\n\
         [[allow]]\nprincipals = [\"{OTHER}\"]\nnamespaces = [\"acme\"]\nactions = [\"read\", \"link\"]\n",
    )
}

impl Scene {
    /// A host whose OAuth client redirects to the registry's page.
    async fn new() -> Result<Self> {
        let authority = Authority::new()?;
        let options = Options {
            plugins: vec![Plugin::GitHub],
            policy: Some(policy()),
            tls: Some(authority.server()?),
            extra: format!("[linking.return_addresses]\nregistry = \"{PAGE}\"\n"),
            ..Options::default()
        };
        let world = World::with(GitHubForge::start(false, None).await?, options).await?;
        let app = world
            .forge
            .standin
            .add_oauth_app("Registry", "octo", &[PAGE]);
        let update = Host {
            name: "hosts/forge".to_owned(),
            oauth_client: Some(host::OAuthClient {
                client_id: app.client_id,
                client_secrets: vec![app.client_secret],
                ..Default::default()
            }),
            ..Default::default()
        };
        world.client.update_host(update, ["oauth_client"]).await?;
        Ok(Self { world, authority })
    }

    /// Another principal, who may link in the namespace as well.
    async fn other(&self) -> Result<Client> {
        let identity = self.authority.identity("other", spiffe(OTHER)?)?;
        let client = Client::builder()
            .endpoint(self.world.daemon.tls_endpoint())
            .ca_file(self.authority.file())
            .identity_files(&identity.certificate, &identity.key)
            .retry(RetryPolicy::never())
            .deadline(Duration::from_secs(30))
            .connect();
        Ok(client.await?)
    }

    /// Starts a link, and lets the person agree at the forge.
    async fn consent(&self) -> Result<(String, Received)> {
        let request = LinkRequest::oauth("namespaces/acme", "hosts/forge")
            .headless()
            .return_to("registry")
            .permissions([Permission::ReadCode]);
        let created = self.world.client.create_link(request).await?;
        let uri = created.authorization.context("no authorization")?;
        let uri = Url::parse(&uri.authorization_uri)?;
        let (github, octo) = (&self.world.forge.standin, self.world.forge.person());
        ensure!(
            uri.origin() == github.web_url().origin(),
            "not the forge: {uri}"
        );
        let mut browser = github.browser();
        let back = github
            .authorize(&mut browser, octo, &uri, Decision::Agree)
            .await?;
        let back = back.location()?.context("no redirect")?;
        ensure!(back.as_str().starts_with(PAGE), "another page: {back}");
        let (code, state) = (query(&back, "code")?, query(&back, "state")?);
        Ok((
            created.link.context("no link")?.name,
            Received { code, state },
        ))
    }

    fn exchanges(&self) -> usize {
        let github = &self.world.forge.standin;
        github.requests("/login/oauth/access_token").len()
    }

    async fn stage(&self, link: &str) -> Result<Stage> {
        let observed = self.world.get(link).await?.observed;
        Ok(observed.context("no state")?.stage())
    }
}

fn query(url: &Url, name: &str) -> Result<Token> {
    let found = url.query_pairs().find(|(key, _)| key == name);
    let (_, value) = found.with_context(|| format!("no {name}"))?;
    Ok(Token::from(value.into_owned()))
}

fn refused<T: std::fmt::Debug>(answer: &Result<T, Error>, reasons: &[&str]) -> Result<()> {
    match answer {
        Err(error) if reasons.contains(&error.reason()) => Ok(()),
        other => anyhow::bail!("not {reasons:?}: {other:?}"),
    }
}

/// The registry's own page is enough: no page of Bindery is opened, and the link is bound by API alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_completed_by_api_alone() -> Result<()> {
    let scene = Scene::new().await?;
    let (link, got) = scene.consent().await?;
    let client = &scene.world.client;
    client
        .complete_link(&link, &got.code, &got.state, "")
        .await?;
    ensure!(
        scene.stage(&link).await? == Stage::PendingConfirmation,
        "not pending"
    );
    ensure!(
        matches!(scene.world.fetch(&link).await, Err(Error::NotBound { .. })),
        "handed out unconfirmed"
    );
    client.confirm(ConfirmRequest::new(&link)).await?;
    clones(&scene.world, &scene.world.fetch(&link).await?)
}

/// O1, O2: a wrong state, another flow's state and another principal are refused before anything is sent to the forge,
/// and the one who started goes on as if nothing had happened. Only that one confirms.
#[tokio::test(flavor = "multi_thread")]
async fn o1_o2_only_the_starter_completes_with_the_right_state() -> Result<()> {
    let scene = Scene::new().await?;
    let (link, got) = scene.consent().await?;
    let (_, foreign) = scene.consent().await?;
    let (client, other) = (&scene.world.client, scene.other().await?);
    let flow = got.state.expose().split('.').next().unwrap_or_default();
    let forged = Token::from(format!("{flow}.{}", "A".repeat(43)));
    let wrong = client.complete_link(&link, &got.code, &forged, "").await;
    refused(&wrong, &["FLOW_MISMATCH"])?;
    let wrong = client
        .complete_link(&link, &got.code, &foreign.state, "")
        .await;
    refused(&wrong, &["FLOW_MISMATCH"])?;
    let stolen = other.complete_link(&link, &got.code, &got.state, "").await;
    refused(&stolen, &["FLOW_MISMATCH"])?;
    ensure!(scene.exchanges() == 0, "a code was sent to the forge");
    client
        .complete_link(&link, &got.code, &got.state, "")
        .await?;
    let stolen = other.confirm(ConfirmRequest::new(&link)).await;
    refused(&stolen, &["FLOW_MISMATCH"])?;
    client.confirm(ConfirmRequest::new(&link)).await?;
    ensure!(scene.stage(&link).await? == Stage::Bound, "not bound");
    Ok(())
}

/// O2: what was handed in once is worth nothing the second time, before and after the confirmation.
#[tokio::test(flavor = "multi_thread")]
async fn o2_a_replay_is_refused() -> Result<()> {
    let scene = Scene::new().await?;
    let (link, got) = scene.consent().await?;
    let client = &scene.world.client;
    let hand_in = async || client.complete_link(&link, &got.code, &got.state, "").await;
    let over = ["FLOW_EXPIRED", "FLOW_USED"];
    hand_in().await?;
    refused(&hand_in().await, &over)?;
    client.confirm(ConfirmRequest::new(&link)).await?;
    refused(&hand_in().await, &over)?;
    let again = client.confirm(ConfirmRequest::new(&link)).await;
    refused(&again, &over)?;
    ensure!(scene.exchanges() == 1, "a code was sent twice");
    Ok(())
}

/// O3: an issuer of another origin answers for another forge.
#[tokio::test(flavor = "multi_thread")]
async fn o3_a_foreign_issuer_is_refused() -> Result<()> {
    let scene = Scene::new().await?;
    let (link, got) = scene.consent().await?;
    let client = &scene.world.client;
    let foreign = client
        .complete_link(&link, &got.code, &got.state, "https://evil.example")
        .await;
    refused(&foreign, &["FLOW_MISMATCH"])?;
    ensure!(scene.exchanges() == 0, "a code was sent to the forge");
    Ok(())
}
