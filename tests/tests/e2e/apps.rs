//! A world whose host has a GitHub App, and what a person does to install it.

use anyhow::{Context, Result};
use bindery_client::{
    CredentialRequest, Error, LinkRequest,
    proto::v1::{Host, Link, Namespace, host, namespace},
};
use bindery_tests::{
    artifacts::Plugin,
    browser::{Browser, Page, Wire},
    daemon::Options,
    forge::{Forge, GitHubForge},
    github::{Person, RegisteredApp},
};
use http::{Request, StatusCode};
use url::Url;

use crate::world::World;

/// The app is allowed to write; `octo` owns `octo/hello` and `octo/other`.
pub(crate) struct AppWorld {
    pub(crate) world: World<GitHubForge>,
    pub(crate) app: RegisteredApp,
}

/// What the app may do.
const PERMISSIONS: [&str; 2] = ["contents:write", "members:read"];

impl AppWorld {
    pub(crate) async fn new(policy: Option<&str>) -> Result<Self> {
        Self::allowed(policy, &PERMISSIONS).await
    }

    /// An app that may make webhooks of repositories too.
    pub(crate) async fn with_hooks() -> Result<Self> {
        let [contents, members] = PERMISSIONS;
        Self::allowed(None, &[contents, members, "repository_hooks:write"]).await
    }

    async fn allowed(policy: Option<&str>, permissions: &[&str]) -> Result<Self> {
        let forge = GitHubForge::start(false, None).await?;
        let options = Options {
            plugins: vec![Plugin::GitHub],
            policy: policy.map(str::to_owned),
            ..Options::default()
        };
        let world = World::with(forge, options).await?;
        Self::with(world, permissions).await
    }

    /// Puts an app that is allowed this into a world.
    pub(crate) async fn with(world: World<GitHubForge>, permissions: &[&str]) -> Result<Self> {
        let github = &world.forge.standin;
        github.add_repo("octo", "other", true, &[("README.md", "other\n")])?;
        let known = world.client.get_host("hosts/forge").await?;
        let callback = known.oauth_client.context("no OAuth client")?.redirect_uri;
        let app = github.add_github_app("Binder", "octo", &callback, permissions)?;
        let update = Host {
            name: known.name,
            app: Some(host::App {
                app_id: app.app_id.to_string(),
                private_key_pem: app.private_key.clone(),
                slug: app.slug.clone(),
                ..Default::default()
            }),
            oauth_client: Some(host::OAuthClient {
                client_id: app.client_id.clone(),
                client_secrets: vec![app.client_secret.clone()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let mask = ["app", "oauth_client"];
        world.client.update_host(update, mask).await?;
        Ok(Self { world, app })
    }

    /// The app is on everything that `octo` owns.
    pub(crate) fn install(&self) -> Result<u64> {
        let github = &self.world.forge.standin;
        github.install(self.app.app_id, "octo", &[])
    }

    /// An operator binds an installation by its number.
    pub(crate) async fn bind(&self, namespace: &str, installation: u64) -> Result<Link, Error> {
        let id = installation.to_string();
        let request = LinkRequest::app_installation(namespace, "hosts/forge", Some(&id));
        let created = self.world.client.create_link(request).await?;
        Ok(created.link.unwrap_or_default())
    }

    pub(crate) async fn add_namespace(&self, id: &str) -> Result<()> {
        let kind = namespace::Kind::Organization.into();
        let namespace = Namespace {
            kind,
            ..Default::default()
        };
        self.world.client.create_namespace(id, namespace).await?;
        Ok(())
    }

    /// Starts a link that a person finishes: its name, and the start page.
    pub(crate) async fn start_link(&self) -> Result<(String, String)> {
        let request = LinkRequest::app_installation("namespaces/acme", "hosts/forge", None);
        let created = self.world.client.create_link(request).await?;
        let uri = created.authorization.context("no authorization")?;
        Ok((created.link.context("no link")?.name, uri.authorization_uri))
    }

    /// The person installs the app on an account of theirs; returns the redirect back to Bindery.
    pub(crate) async fn install_by_person(
        &self,
        browser: &mut Browser,
        person: &Person,
        start: &str,
    ) -> Result<Page> {
        let page = browser.open(&Url::parse(start)?).await?;
        let mut forms = page.forms().into_iter();
        let form = forms.find(|form| form.action.path().ends_with("/start"));
        let leaving = browser.submit(&form.context("no start form")?).await?;
        let install = leaving.location()?.context("no way to the forge")?;
        let github = &self.world.forge.standin;
        let account = (person.login.as_str(), "all");
        github
            .install_by_page(browser, person, &install, account)
            .await
    }

    /// What the forge's API says to a token.
    pub(crate) async fn api(&self, method: &str, path: &str, token: &str) -> Result<StatusCode> {
        let url = Url::parse(&format!("{}{path}", self.world.forge.api_url()))?;
        let request = Request::builder()
            .method(method)
            .header("authorization", format!("Bearer {token}"))
            .body(String::new())?;
        Ok(Wire::plain()?.send(&url, request).await?.status())
    }
}

/// A credential for `octo/hello` alone.
pub(crate) fn for_hello(link: &str) -> CredentialRequest {
    CredentialRequest::new(link).repository("octo/hello")
}
