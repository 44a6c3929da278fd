//! Two hosts of one provider, and two identities of one namespace at each, all at once: what is fetched and refreshed beside each
//! other is never mixed.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, CredentialRequest, LinkRequest,
    proto::v1::{Host, Namespace, Permission, host, namespace, observed_state::Stage},
};
use bindery_tests::{
    daemon::{Daemon, Options},
    inside::Inside,
};
use futures_util::future::try_join_all;
use url::Url;

use crate::{
    rows::at_two_of_every_forge,
    table::next_second,
    world::{connected, host_of},
};

/// Each link is refreshed so often, with fetches beside it all the time.
const REFRESHES: usize = 3;
const FETCHES: usize = 20;
const LOGINS: [&str; 2] = ["octo", "mallory"];

at_two_of_every_forge! {
    /// Every token is of the identity and the host of its link.
    links_of_two_hosts_and_two_identities_are_never_mixed: super::apart
}

/// A link, and where it belongs.
struct Bound {
    name: String,
    login: &'static str,
    /// 0 or 1.
    host: usize,
}

async fn apart<F: Inside>(one: F, two: F) -> Result<()> {
    let mut forges = [one, two];
    let daemon = Daemon::start(&Options {
        plugins: vec![F::PLUGIN],
        ..Options::default()
    })
    .await?;
    let client = connected(&daemon).await?;
    let organization = Namespace {
        kind: namespace::Kind::Organization.into(),
        ..Default::default()
    };
    client.create_namespace("acme", organization).await?;
    let mut links = Vec::new();
    for (host, forge) in forges.iter_mut().enumerate() {
        add_host(&client, host, forge).await?;
        for login in LOGINS {
            let name = link_as(&client, host, forge, login).await?;
            links.push(Bound { name, login, host });
        }
    }
    next_second().await;
    let mut asked = Vec::new();
    for forge in &mut forges {
        asked.push(forge.refreshes().await?);
    }
    let tokens = all_at_once(&client, &links).await?;
    for (at, own) in tokens.iter().enumerate() {
        let others = tokens.iter().enumerate().filter(|(other, _)| *other != at);
        for (_, other) in others {
            ensure!(own.is_disjoint(other), "a token of another link");
        }
    }
    for link in &links {
        is_its_own(&client, &forges, link).await?;
    }
    for (forge, asked) in forges.iter_mut().zip(asked) {
        let refreshes = forge.refreshes().await? - asked;
        let wanted = REFRESHES * LOGINS.len();
        ensure!(refreshes == wanted, "{refreshes} refreshes, not {wanted}");
    }
    Ok(())
}

/// Adds a host, with an OAuth client, and the second person there.
async fn add_host<F: Inside>(client: &Client, number: usize, forge: &mut F) -> Result<()> {
    forge.reseed(u64::try_from(number)? + 2);
    forge.add_person("mallory");
    let id = format!("host-{number}");
    let host = client.create_host(&id, host_of(forge)).await?;
    let redirect_uri = host.oauth_client.context("no OAuth client")?.redirect_uri;
    let registered = forge.register(&redirect_uri).await?;
    let update = Host {
        name: host.name,
        oauth_client: Some(host::OAuthClient {
            client_id: registered.id,
            client_secrets: vec![registered.secret],
            ..Default::default()
        }),
        ..Default::default()
    };
    client.update_host(update, ["oauth_client"]).await?;
    forge.lengthen()
}

/// A link that somebody has agreed to and confirmed.
async fn link_as<F: Inside>(
    client: &Client,
    host: usize,
    forge: &mut F,
    login: &str,
) -> Result<String> {
    let request = LinkRequest::oauth("namespaces/acme", format!("hosts/host-{host}"))
        .permissions([Permission::ReadCode]);
    let created = client.create_link(request).await?;
    let told = created.authorization.context("no authorization")?;
    let mut browser = forge.browser();
    let page = browser.open(&Url::parse(&told.authorization_uri)?).await?;
    let mut forms = page.forms().into_iter();
    let form = forms.find(|form| form.action.path().ends_with("/start"));
    let leaving = browser.submit(&form.context("no start form")?).await?;
    let back = forge.agree_as(&mut browser, login, leaving).await?;
    let shown = browser.follow(back).await?;
    let mut forms = shown.forms().into_iter();
    let form = forms.find(|form| form.action.path().ends_with("/confirm"));
    let answer = browser.submit(&form.context("no confirm form")?).await?;
    browser.follow(answer).await?;
    Ok(created.link.context("no link")?.name)
}

/// All links are refreshed again and again, while others fetch: every token that was handed out, by link.
async fn all_at_once(client: &Client, links: &[Bound]) -> Result<Vec<BTreeSet<String>>> {
    let refreshing = async || {
        let all = links.iter().map(async |link| {
            for _ in 0..REFRESHES {
                client.check_link_refreshed(&link.name).await?;
                // Gitea's tokens of one grant that were made in the same second are the same.
                next_second().await;
            }
            anyhow::Ok(())
        });
        try_join_all(all).await.map(drop)
    };
    let fetching = async || {
        let all = links.iter().map(async |link| {
            let mut seen = BTreeSet::new();
            for _ in 0..FETCHES {
                let request = CredentialRequest::new(&link.name);
                let credential = client.read_credential(&request).await?;
                seen.insert(credential.token.expose().to_owned());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(seen)
        });
        try_join_all(all).await
    };
    let (refreshed, fetched) = tokio::join!(refreshing(), fetching());
    refreshed?;
    fetched
}

/// The link is bound to its identity, and what it hands out is of that identity at that host, and nobody's at the other one.
async fn is_its_own<F: Inside>(client: &Client, forges: &[F; 2], link: &Bound) -> Result<()> {
    let seen = client.get_link(&link.name).await?;
    let stage = seen.observed.unwrap_or_default().stage();
    let login = seen.identity.unwrap_or_default().login;
    ensure!(
        (stage, login.as_str()) == (Stage::Bound, link.login),
        "{login} is {stage:?}"
    );
    let request = CredentialRequest::new(&link.name);
    let credential = client.read_credential(&request).await?;
    let token = credential.token.expose();
    let (own, other) = (&forges[link.host], &forges[1 - link.host]);
    let whose = own.whose(token);
    ensure!(whose.as_deref() == Some(link.login), "it is {whose:?}'s");
    ensure!(other.whose(token).is_none(), "the other host knows it");
    Ok(())
}
