//! A row: links at one forge, each from its beginning to its end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    AppHookRequest, ConfirmRequest, DisconnectRequest, LinkRequest, RotationRequest, SourceRequest,
    UnlinkRequest,
    names::LinkName,
    proto::v1::{AuthMethodKind, Host, Permission, Receipt, Source, hook, host},
};
use bindery_tests::inside::{Inside, Installed};

use super::{
    compare::{has_page, is_true, stays},
    ending::Ending,
};
use crate::world::World;

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const PERMISSIONS: [Permission; 2] = [Permission::ReadCode, Permission::Webhooks];
const ACME: &str = "namespaces/acme";
const GLOBEX: &str = "namespaces/globex";

/// A daemon and a forge.
pub(super) struct Row<F> {
    pub(super) world: World<F>,
    /// How the URL of every hook of ours begins.
    ours: String,
}

impl<F: Inside> Row<F> {
    /// The operator allows all methods.
    pub(super) async fn new(forge: F, methods: &[AuthMethodKind]) -> Result<Self> {
        let mut world = World::new(forge).await?;
        world.forge.lengthen()?;
        let update = Host {
            name: "hosts/forge".to_owned(),
            allowed_methods: methods.iter().map(|&method| method.into()).collect(),
            ..Default::default()
        };
        world
            .client
            .update_host(update, ["allowed_methods"])
            .await?;
        let ours = format!("{}/hooks/", world.daemon.web_url());
        Ok(Self { world, ours })
    }

    /// A link with a source hears of a push, ends, and the receipt is true. Then the person does what is left to them.
    pub(super) async fn ends(&mut self, method: AuthMethodKind, ending: Ending) -> Result<()> {
        let link = self.links(method, ACME).await?;
        let source = self.connects(&link).await?;
        self.hears(&source.name).await?;
        self.world.token(&link).await?;
        let receipt = match ending {
            Ending::Plain => self.unlinks(&link).await?,
            Ending::RightsLost => self.without_rights(&link).await?,
            Ending::GrantLost => self.without_grant(&link).await?,
            Ending::ForgeAway => self.without_forge(&link).await?,
            Ending::Disconnected => self.disconnected(&link, &source).await?,
            Ending::DisconnectedWithoutRights => self.left_behind(&link, &source, false).await?,
            Ending::RightsRegained => self.left_behind(&link, &source, true).await?,
            Ending::Kept => self.kept(&link, &source).await?,
            Ending::Rotated => self.rotated(&link, &source).await?,
            Ending::Shared => self.shared(&link).await?,
        };
        is_true(&self.world.forge, &self.ours, &receipt)?;
        self.world.forge.take_back();
        self.world.forge.remove_hooks(&self.ours);
        Ok(())
    }

    /// As [`Row::ends`], plainly, with a source that is served by the hook of the app, which its owner keeps: none is made for
    /// the source, nothing is said of one, and nothing is heard any more.
    pub(super) async fn ends_by_the_hook_of_an_app(&mut self) -> Result<()> {
        let app = self.puts_app_in().await?;
        self.world.forge.activate_app_hook(app.app.app_id)?;
        let set_up = AppHookRequest::new("hosts/forge");
        self.world.client.set_up_app_hook(set_up).await?;
        let link = self.by_installation(&app, ACME).await?;
        let request = SourceRequest::new(&link, "octo/hello");
        let source = self.world.client.create_source(request).await?;
        let by_app = source.hook.as_ref().is_some_and(|hook| hook.by_app);
        ensure!(by_app && self.hooks() == 0, "a hook was made: {source:?}");
        self.hears(&source.name).await?;
        self.world.token(&link).await?;
        let receipt = self.unlinks(&link).await?;
        is_true(&self.world.forge, &self.ours, &receipt)?;
        let heard = self.world.forge.delivered();
        self.world.forge.push().await?;
        ensure!(self.world.forge.delivered() == heard, "it hears on");
        let kept = self.world.forge.app_hook_url(app.app.app_id);
        let ours = kept.is_some_and(|url| url.starts_with(&self.ours));
        ensure!(ours, "the hook of the app is its owner's");
        Ok(())
    }

    /// A bound link, which a person has agreed to, or made a token for.
    async fn links(&mut self, method: AuthMethodKind, namespace: &str) -> Result<String> {
        ensure!(self.world.forge.alive() == 0, "something is left of before");
        match method {
            AuthMethodKind::OauthCode => self.by_consent(namespace).await,
            AuthMethodKind::DeviceFlow => self.by_device(namespace).await,
            AuthMethodKind::AccessToken => {
                let made = self.world.forge.make_token()?;
                let request = LinkRequest::token(namespace, "hosts/forge", &made.token);
                self.at_once(request.username(made.username)).await
            }
            AuthMethodKind::AppInstallation => {
                let app = self.puts_app_in().await?;
                self.by_installation(&app, namespace).await
            }
            AuthMethodKind::Unspecified => anyhow::bail!("no method"),
        }
    }

    async fn by_consent(&mut self, namespace: &str) -> Result<String> {
        let request = LinkRequest::oauth(namespace, "hosts/forge").permissions(PERMISSIONS);
        let created = self.world.client.create_link(request).await?;
        let told = created.authorization.context("no authorization")?;
        self.world.person_links(&told.authorization_uri).await?;
        Ok(created.link.context("no link")?.name)
    }

    async fn by_device(&mut self, namespace: &str) -> Result<String> {
        let request = LinkRequest::device_flow(namespace, "hosts/forge").permissions(PERMISSIONS);
        let created = self.world.client.create_link(request).await?;
        let told = created.authorization.context("no authorization")?;
        self.world.forge.enter(&told.user_code).await?;
        let link = created.link.context("no link")?.name;
        let who = self.waits(&link).await?;
        let confirm = ConfirmRequest::new(&link).identity(who);
        self.world.client.confirm(confirm).await?;
        Ok(link)
    }

    /// Waits until somebody agreed, and says who.
    async fn waits(&self, link: &str) -> Result<String> {
        let started = Instant::now();
        loop {
            let flow = self.world.get(link).await?.flow;
            if let Some(who) = flow.and_then(|flow| flow.pending_identity) {
                return Ok(who.stable_id);
            }
            ensure!(started.elapsed() < PATIENCE, "nobody agrees");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The host's app takes the place of its OAuth client, and is installed.
    async fn puts_app_in(&mut self) -> Result<Installed> {
        let host = self.world.client.get_host("hosts/forge").await?;
        let callback = host.oauth_client.context("no OAuth client")?.redirect_uri;
        let installed = self.world.forge.install(&callback)?;
        let app = &installed.app;
        let update = Host {
            name: "hosts/forge".to_owned(),
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
        self.world.client.update_host(update, mask).await?;
        Ok(installed)
    }

    async fn by_installation(&self, app: &Installed, namespace: &str) -> Result<String> {
        let id = app.installation.to_string();
        let request = LinkRequest::app_installation(namespace, "hosts/forge", Some(&id));
        self.at_once(request).await
    }

    /// A link that needs nobody.
    async fn at_once(&self, request: LinkRequest) -> Result<String> {
        let request = request.permissions(PERMISSIONS);
        let created = self.world.client.create_link(request).await?;
        Ok(created.link.context("no link")?.name)
    }

    /// One hook more is there.
    async fn connects(&self, link: &str) -> Result<Source> {
        let request = SourceRequest::new(link, "octo/hello");
        let source = self.world.client.create_source(request).await?;
        ensure!(self.hooks() == 1, "{} hooks: {source:?}", self.hooks());
        Ok(source)
    }

    fn hooks(&self) -> usize {
        self.world.forge.hooks_pointing_at(&self.ours)
    }

    /// A push is delivered, and the hook has proven itself.
    async fn hears(&mut self, source: &str) -> Result<()> {
        let before = self.world.forge.delivered();
        self.world.forge.push().await?;
        let heard = self.world.forge.delivered() > before;
        ensure!(heard, "no delivery was taken");
        let started = Instant::now();
        loop {
            let seen = self.world.client.get_source(source).await?;
            let state = seen.hook.context("no hook")?.state();
            if state == hook::State::Verified {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "the hook is {state:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn unlinks(&self, link: &str) -> Result<Receipt> {
        Ok(self.world.client.unlink(UnlinkRequest::new(link)).await?)
    }

    /// The hook stays, since nobody lets us at it.
    async fn without_rights(&self, link: &str) -> Result<Receipt> {
        self.world.forge.forbid_hooks(true);
        let receipt = self.unlinks(link).await;
        self.world.forge.forbid_hooks(false);
        ensure!(self.hooks() == 1, "it was deleted without rights");
        receipt
    }

    /// The hook stays, since no token is left to delete it with.
    async fn without_grant(&mut self, link: &str) -> Result<Receipt> {
        self.world.forge.take_back();
        let receipt = self.unlinks(link).await?;
        ensure!(self.hooks() == 1, "it was deleted without a grant");
        Ok(receipt)
    }

    /// Nothing is called gone while nobody answers; and by itself the unlink goes on.
    async fn without_forge(&mut self, link: &str) -> Result<Receipt> {
        self.world.forge.go_away(true);
        let refused = self.unlinks(link).await;
        ensure!(refused.is_err(), "ended without the forge: {refused:?}");
        ensure!(self.hooks() == 1, "deleted while nobody answered");
        let name = link.parse::<LinkName>()?.receipt();
        let open = self.world.client.get_receipt(&name).await?;
        ensure!(open.finish_time.is_none(), "ended: {open:?}");
        self.world.daemon.kill()?;
        self.world.forge.go_away(false);
        self.world.daemon.resume().await?;
        self.world.connect().await?;
        let started = Instant::now();
        loop {
            let receipt = self.world.client.get_receipt(&name).await?;
            if receipt.finish_time.is_some() {
                ensure!(self.hooks() == 0, "a hook is left: {receipt:?}");
                return Ok(receipt);
            }
            ensure!(started.elapsed() < PATIENCE, "it waits: {receipt:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The hook goes with its last source.
    async fn disconnected(&self, link: &str, source: &Source) -> Result<Receipt> {
        let request = DisconnectRequest::new(&source.name);
        let steps = self.world.client.delete_source(request).await?;
        ensure!(self.hooks() == 0, "the hook is left: {steps:?}");
        ensure!(!steps.iter().any(stays), "said to stay: {steps:?}");
        self.unlinks(link).await
    }

    /// The hook stays with nobody to use it. Who disconnects is told, and so is who unlinks, unless it can go by then.
    async fn left_behind(&self, link: &str, source: &Source, regained: bool) -> Result<Receipt> {
        self.world.forge.forbid_hooks(true);
        let request = DisconnectRequest::new(&source.name);
        let steps = self.world.client.delete_source(request).await?;
        let step = steps.iter().find(|step| stays(step));
        has_page(&self.world.forge, step.context("nobody was told")?)?;
        ensure!(self.hooks() == 1, "it was deleted without rights");
        self.world.forge.forbid_hooks(!regained);
        let receipt = self.unlinks(link).await;
        self.world.forge.forbid_hooks(false);
        ensure!(self.hooks() == usize::from(!regained), "{receipt:?}");
        receipt
    }

    /// Somebody wanted the hook to stay, and the receipt says that it does.
    async fn kept(&self, link: &str, source: &Source) -> Result<Receipt> {
        let request = DisconnectRequest::new(&source.name).keep_hook(true);
        self.world.client.delete_source(request).await?;
        let receipt = self.unlinks(link).await?;
        ensure!(self.hooks() == 1, "it was to stay: {receipt:?}");
        Ok(receipt)
    }

    /// One hook is there with another secret, it is heard, and it goes.
    async fn rotated(&mut self, link: &str, source: &Source) -> Result<Receipt> {
        let before = self.world.forge.hook_secrets(&self.ours);
        let ask = RotationRequest::new(ACME).overlap(PATIENCE);
        let rotation = self.world.client.rotate_hook_secrets(ask).await?;
        let started = Instant::now();
        while self
            .world
            .client
            .get_hook_rotation(&rotation.name)
            .await?
            .finish_time
            .is_none()
        {
            ensure!(started.elapsed() < PATIENCE, "the rotation does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let after = self.world.forge.hook_secrets(&self.ours);
        ensure!(after.len() == 1, "{} hooks after the rotation", after.len());
        ensure!(after != before, "the secret is the old one");
        self.hears(&source.name).await?;
        self.unlinks(link).await
    }

    /// The hook serves two registries, stays for the second, and goes with it.
    async fn shared(&mut self, link: &str) -> Result<Receipt> {
        let other = self.by_consent(GLOBEX).await?;
        let source = self.connects(&other).await?;
        let first = UnlinkRequest::new(link).keep_shared_grant(true);
        let first = self.world.client.unlink(first).await?;
        ensure!(self.hooks() == 1, "gone for the second: {first:?}");
        self.hears(&source.name).await?;
        self.world.token(&other).await?;
        let last = UnlinkRequest::new(&other).accept_shared_grant(true);
        Ok(self.world.client.unlink(last).await?)
    }
}
