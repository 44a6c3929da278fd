//! A daemon, a forge, those who may link, and what they do.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, RetryPolicy, UnlinkRequest,
    proto::v1::{Host, host, observed_state::Stage},
};
use bindery_tests::{
    browser::{Browser, Page},
    daemon::Options,
    inside::Inside,
};
use http::StatusCode;
use url::Url;

use super::case::Case;
use crate::{
    mtls::{Authority, spiffe},
    policies::own_user,
    world::{World, host_of},
};

const OTHER: &str = "spiffe://example.org/other";
pub(super) const ACME: &str = "namespaces/acme";
pub(super) const GLOBEX: &str = "namespaces/globex";

/// Two hosts, `forge` and `other`, which lead to the same forge.
pub(super) struct Scene<F> {
    pub(super) world: World<F>,
    /// Redirect path of `other`.
    pub(super) other_place: String,
    /// Another principal, who may link in the same namespace.
    pub(super) other: Client,
    _authority: Authority,
}

/// The own user may do all that is done here, another one link in `acme`.
fn policy() -> String {
    let uid = own_user();
    format!(
        "[[allow]]\nprincipals = [\"uid:{uid}\"]\nnamespaces = [\"*\"]\n\
         actions = [\"read\", \"link\", \"credential:read\", \"namespace\", \"host\", \"host:read\", \"provider\"]\n\
         [[allow]]\nprincipals = [\"{OTHER}\"]\nnamespaces = [\"acme\"]\nactions = [\"read\", \"link\"]\n"
    )
}

impl<F: Inside> Scene<F> {
    pub(super) async fn new(forge: F) -> Result<Self> {
        let authority = Authority::new()?;
        let options = Options {
            plugins: vec![F::PLUGIN],
            policy: Some(policy()),
            tls: Some(authority.server()?),
            ..Options::default()
        };
        let mut world = World::with(forge, options).await?;
        world.forge.lengthen()?;
        let other = Host {
            oauth_client: Some(host::OAuthClient {
                client_id: "registered-elsewhere".to_owned(),
                ..Default::default()
            }),
            ..host_of(&world.forge)
        };
        let other = world.client.create_host("other", other).await?;
        let place = other.oauth_client.context("no OAuth client")?.redirect_uri;
        Ok(Self {
            other: other_client(&world, &authority).await?,
            world,
            other_place: Url::parse(&place)?.path().to_owned(),
            _authority: authority,
        })
    }

    /// After the case nothing is bound, and the forge was asked for tokens as often as it had to be.
    pub(super) async fn survives(&mut self, case: Case) -> Result<()> {
        let before = self.world.forge.token_requests();
        match case {
            Case::NoCookie => self.no_cookie().await,
            Case::AnotherCookie => self.another_cookie().await,
            Case::SecondBrowser => self.second_browser().await,
            Case::ForgedState => self.forged_state().await,
            Case::NoState => self.no_state().await,
            Case::TwoCodes => self.two_codes().await,
            Case::AnotherPlace => self.another_place().await,
            Case::AnotherIssuer => self.another_issuer().await,
            Case::Refused => self.refused_by_person().await,
            Case::EndedFlow => self.ended_flow().await,
            Case::Replay => self.replay().await,
            Case::SwappedCode => self.swapped_code().await,
            Case::WrongConfirmation => self.wrong_confirmation().await,
            Case::AnotherPrincipal => self.another_principal().await,
        }?;
        let asked = self.world.forge.token_requests() - before;
        ensure!(
            asked == case.exchanges(),
            "the forge was asked for tokens {asked} times"
        );
        self.nothing_is_bound().await?;
        self.give_up_all().await
    }

    /// The right person links in the right way.
    pub(super) async fn links(&mut self) -> Result<()> {
        let link = self.world.link().await?;
        ensure!(self.stage(&link).await? == Stage::Bound, "not bound");
        self.world.token(&link).await?;
        Ok(())
    }

    pub(super) async fn stage(&self, link: &str) -> Result<Stage> {
        let observed = self.world.get(link).await?.observed;
        Ok(observed.context("no state")?.stage())
    }

    async fn nothing_is_bound(&self) -> Result<()> {
        for namespace in [ACME, GLOBEX] {
            let bound = self.world.client.list_links(namespace, "stage = \"BOUND\"");
            let bound = bound.all().await?;
            ensure!(bound.is_empty(), "{bound:?}");
        }
        Ok(())
    }

    /// Ends what the case has left, so that the next has room.
    async fn give_up_all(&mut self) -> Result<()> {
        for namespace in [ACME, GLOBEX] {
            let left = self.world.client.list_links(namespace, "").all().await?;
            for link in left {
                let over = link.observed.map(|one| one.stage()) == Some(Stage::Unlinked);
                if !over {
                    let unlink = UnlinkRequest::new(link.name).keep_shared_grant(true);
                    self.world.client.unlink(unlink).await?;
                }
            }
        }
        self.world.forge.take_back();
        Ok(())
    }

    /// A browser opens a start page and goes on to the forge.
    pub(super) async fn leave(&self, browser: &mut Browser, start: &str) -> Result<Page> {
        let page = browser.open(&Url::parse(start)?).await?;
        let mut forms = page.forms().into_iter();
        let form = forms.find(|form| form.action.path().ends_with("/start"));
        browser.submit(&form.context("no start form")?).await
    }

    /// A link, the browser that started it, and the callback to which the forge redirects it.
    pub(super) async fn consented(&mut self, namespace: &str) -> Result<(String, Browser, Url)> {
        let (link, start) = self.world.start_link_in(namespace).await?;
        let mut browser = self.world.forge.browser();
        let page = self.leave(&mut browser, &start).await?;
        let back = self.world.forge.agree(&mut browser, page).await?;
        let back = back.location()?.context("the forge leads nowhere")?;
        Ok((link, browser, back))
    }

    /// A link that waits to be confirmed, its browser, and the confirm page.
    pub(super) async fn pending(&mut self) -> Result<(String, Browser, Page)> {
        let (link, mut browser, back) = self.consented(ACME).await?;
        let page = browser.open(&back).await?;
        ensure!(
            self.stage(&link).await? == Stage::PendingConfirmation,
            "not pending: {}",
            page.body
        );
        Ok((link, browser, page))
    }
}

/// A browser gets a page, and is refused.
pub(super) async fn is_refused(browser: &mut Browser, url: &Url) -> Result<()> {
    let page = browser.get(url).await?;
    was_refused(&page)
}

/// It is an error of the client, and leads nowhere.
pub(super) fn was_refused(page: &Page) -> Result<()> {
    let refusals = [
        StatusCode::BAD_REQUEST,
        StatusCode::FORBIDDEN,
        StatusCode::GONE,
    ];
    ensure!(
        refusals.contains(&page.status) && page.location()?.is_none(),
        "{} was answered with {}",
        page.url,
        page.status
    );
    Ok(())
}

/// A callback with a parameter set to a value, or without it.
pub(crate) fn with(url: &Url, name: &str, value: Option<&str>) -> Url {
    let kept = url.query_pairs().filter(|(known, _)| known != name);
    let kept: Vec<_> = kept
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut changed = url.clone();
    let mut query = changed.query_pairs_mut();
    query.clear().extend_pairs(kept);
    query.extend_pairs(value.map(|value| (name, value)));
    drop(query);
    changed
}

/// A parameter of a callback.
pub(crate) fn value(url: &Url, name: &str) -> Result<String> {
    let found = url.query_pairs().find(|(known, _)| known == name);
    let (_, value) = found.with_context(|| format!("no {name} in the callback"))?;
    Ok(value.into_owned())
}

async fn other_client<F>(world: &World<F>, authority: &Authority) -> Result<Client> {
    let identity = authority.identity("other", spiffe(OTHER)?)?;
    let client = Client::builder()
        .endpoint(world.daemon.tls_endpoint())
        .ca_file(authority.file())
        .identity_files(&identity.certificate, &identity.key)
        .retry(RetryPolicy::never())
        .deadline(Duration::from_secs(30))
        .connect();
    Ok(client.await?)
}
