//! A daemon and a forge that know each other.

use std::time::Duration;

use anyhow::{Context, Result};
use bindery_client::{
    Client, Credential, CredentialRequest, LinkRequest,
    proto::v1::{AuthMethodKind, Host, Link, Namespace, Permission, host, namespace},
};
use bindery_tests::{
    artifacts::artifacts,
    browser::Page,
    daemon::{Daemon, Options},
    forge::{Forge, link_in_browser, outlive},
};

/// A client of a daemon.
pub(crate) async fn connected(daemon: &Daemon) -> Result<Client> {
    let builder = Client::builder().endpoint(daemon.endpoint());
    Ok(builder.connect().await?)
}

/// A daemon, a forge, and a client of the daemon.
pub(crate) struct World<F> {
    pub(crate) daemon: Daemon,
    pub(crate) forge: F,
    pub(crate) client: Client,
}

impl<F: Forge> World<F> {
    /// Host `forge` is configured with an OAuth client, namespaces `acme` and `globex` exist.
    pub(crate) async fn new(forge: F) -> Result<Self> {
        let plugins = vec![F::PLUGIN];
        Self::with(
            forge,
            Options {
                plugins,
                ..Options::default()
            },
        )
        .await
    }

    pub(crate) async fn with(forge: F, options: Options) -> Result<Self> {
        Self::around(forge, Daemon::start(&options).await?).await
    }

    /// As [`World::new`], with `binderyd-hasty`, for which time passes by [`World::ahead`].
    pub(crate) async fn hasty(forge: F) -> Result<Self> {
        let options = Options {
            plugins: vec![F::PLUGIN],
            binary: Some(artifacts().control("hasty", "binderyd-hasty")?),
            ..Options::default()
        };
        Self::with(forge, options).await
    }

    /// The clock of the daemon is so far ahead of the real one from now on.
    pub(crate) fn ahead(&self, time: Duration) -> Result<()> {
        // In one step: the daemon must not read half of it.
        let new = self.daemon.path("data/ahead-by.new");
        std::fs::write(&new, time.as_millis().to_string())?;
        Ok(std::fs::rename(new, self.daemon.path("data/ahead-by"))?)
    }

    /// As [`World::new`], with a daemon that runs already.
    pub(crate) async fn around(forge: F, daemon: Daemon) -> Result<Self> {
        let host = host_of(&forge);
        Self::described(forge, daemon, host).await
    }

    /// As [`World::around`], with a forge that the operator describes otherwise.
    pub(crate) async fn described(mut forge: F, daemon: Daemon, host: Host) -> Result<Self> {
        let client = connected(&daemon).await?;
        let host = client.create_host("forge", host).await?;
        let redirect_uri = host.oauth_client.context("no OAuth client")?.redirect_uri;
        let registered = forge.register(&redirect_uri).await?;
        let oauth_client = host::OAuthClient {
            client_id: registered.id,
            client_secrets: vec![registered.secret],
            ..Default::default()
        };
        let update = Host {
            name: host.name,
            oauth_client: Some(oauth_client),
            ..Default::default()
        };
        client.update_host(update, ["oauth_client"]).await?;
        let organization = Namespace {
            kind: namespace::Kind::Organization.into(),
            ..Default::default()
        };
        client
            .create_namespace("acme", organization.clone())
            .await?;
        client.create_namespace("globex", organization).await?;
        Ok(Self {
            daemon,
            forge,
            client,
        })
    }

    /// Kills the daemon with -9 and starts it again on its folder.
    pub(crate) async fn crash(&mut self) -> Result<()> {
        self.daemon.kill()?;
        self.daemon.resume().await?;
        self.connect().await
    }

    /// The link's token ends, and nothing takes its place: the link is left disabled, so that it is not refreshed by itself.
    ///
    /// A kill in these states meets no refresh under way, whose pair some forges give only once.
    pub(crate) async fn expire(&mut self, link: &str) -> Result<()> {
        let old = self.token(link).await?;
        self.client.disable_link(link, "").await?;
        outlive(&mut self.forge, &old).await
    }

    /// Connects to the daemon again.
    pub(crate) async fn connect(&mut self) -> Result<()> {
        self.client = connected(&self.daemon).await?;
        Ok(())
    }

    /// Starts a link, and returns its name and the page for the person.
    pub(crate) async fn start_link(&self) -> Result<(String, String)> {
        self.start_link_in("namespaces/acme").await
    }

    /// As [`World::start_link`], in another namespace: one identity is linked to a namespace once.
    pub(crate) async fn start_link_in(&self, namespace: &str) -> Result<(String, String)> {
        let request =
            LinkRequest::oauth(namespace, "hosts/forge").permissions([Permission::ReadCode]);
        let created = self.client.create_link(request).await?;
        let uri = created
            .authorization
            .context("no authorization")?
            .authorization_uri;
        Ok((created.link.context("no link")?.name, uri))
    }

    /// A bound link that may see organizations as well.
    pub(crate) async fn link_with_organizations(&mut self) -> Result<String> {
        self.link_for(&[Permission::Organizations, Permission::ReadCode])
            .await
    }

    /// A bound link that may manage webhooks as well.
    pub(crate) async fn link_with_hooks(&mut self) -> Result<String> {
        self.link_for(&[Permission::ReadCode, Permission::Webhooks])
            .await
    }

    async fn link_for(&mut self, permissions: &[Permission]) -> Result<String> {
        let request = LinkRequest::oauth("namespaces/acme", "hosts/forge")
            .permissions(permissions.iter().copied());
        let created = self.client.create_link(request).await?;
        let told = created.authorization.context("no authorization")?;
        self.person_links(&told.authorization_uri).await?;
        Ok(created.link.context("no link")?.name)
    }

    /// A bound link.
    pub(crate) async fn link(&mut self) -> Result<String> {
        let (name, uri) = self.start_link().await?;
        self.person_links(&uri).await?;
        Ok(name)
    }

    /// The person's way through the pages.
    pub(crate) async fn person_links(&mut self, uri: &str) -> Result<Page> {
        let mut browser = self.forge.browser();
        link_in_browser(&mut self.forge, &mut browser, uri).await
    }

    pub(crate) async fn fetch(&self, link: &str) -> Result<Credential, bindery_client::Error> {
        self.client
            .read_credential(&CredentialRequest::new(link))
            .await
    }

    /// The token itself.
    pub(crate) async fn token(&self, link: &str) -> Result<String> {
        Ok(self.fetch(link).await?.token.expose().to_owned())
    }

    pub(crate) async fn get(&self, link: &str) -> Result<Link> {
        Ok(self.client.get_link(link).await?)
    }

    /// Whether the provider says that this host binds codes to those who asked for them.
    pub(crate) async fn has_pkce(&self) -> Result<bool> {
        let mut settings = self.forge.settings().iter();
        let edition = settings.find(|(name, _)| *name == "edition");
        let provider = format!("providers/{}", F::PLUGIN.name());
        let described = self.client.get_provider(provider).await?;
        let mut editions = described.editions.into_iter();
        let methods = match edition {
            None => described.auth_methods,
            Some((_, name)) => {
                let found = editions.find(|one| one.name == *name);
                found.context("no such edition")?.auth_methods
            }
        };
        let mut methods = methods.iter();
        let oauth = methods.find(|one| one.kind() == AuthMethodKind::OauthCode);
        Ok(oauth.context("no OAuth")?.pkce)
    }
}

/// The forge as the operator describes it; on loopback, so private addresses and plain HTTP are allowed by name.
pub(crate) fn host_of<F: Forge>(forge: &F) -> Host {
    let http_ports = vec![host::PortRange {
        first: 1025,
        last: 65535,
    }];
    Host {
        provider: format!("providers/{}", F::PLUGIN.name()),
        public_urls: Some(host::Urls {
            web: forge.web_url(),
            api: forge.api_url(),
            ..Default::default()
        }),
        settings: forge
            .settings()
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        allowed_private_cidrs: vec!["127.0.0.0/8".to_owned()],
        port_policy: Some(host::PortPolicy {
            http_ports,
            ..Default::default()
        }),
        // The redirect URI is told by the daemon, and the client is registered with it afterwards.
        oauth_client: Some(host::OAuthClient {
            client_id: "not-registered-yet".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
