//! The stand-in for GitHub from the inside

use anyhow::{Context, Result};
use bindery_client::Token;

use super::{Inside, Installed, Personal, is_for_tokens};
use crate::{
    browser::{Browser, Page},
    forge::{GitHubForge, SHORT},
    github::{Decision, GitHub, OrgOptions, Pat, PatKind, Role, TokenShape},
};

impl GitHubForge {
    /// Does something that hooks are told of, and loses every delivery
    fn unheard(&self, does: impl FnOnce(&GitHub) -> Result<()>) -> Result<()> {
        let hooks = self.standin.hooks("octo/hello").len();
        self.standin.fail_next_deliveries(u32::try_from(hooks)?);
        does(&self.standin)
    }
}

impl Inside for GitHubForge {
    fn hooks_pointing_at(&self, url_prefix: &str) -> usize {
        self.standin.hooks_pointing_at(url_prefix)
    }

    fn hook_secrets(&self, url_prefix: &str) -> Vec<String> {
        let hooks = self.standin.hooks("octo/hello").into_iter();
        let ours = hooks.filter(|hook| hook.url.starts_with(url_prefix));
        ours.filter_map(|hook| hook.secret).collect()
    }

    fn alive(&self) -> usize {
        let standin = &self.standin;
        standin.live_tokens().len() + standin.authorizations() + standin.installations().len()
    }

    fn asked(&self, part: &str) -> usize {
        let requests = self.standin.requests("");
        let about = requests.iter().filter(|one| one.path.contains(part));
        about.count()
    }

    fn token_requests(&self) -> usize {
        let requests = self.standin.requests("/login/oauth");
        let tokens = requests
            .iter()
            .filter(|one| is_for_tokens(&one.method, &one.path));
        tokens.count()
    }

    fn delivered(&self) -> usize {
        let all = self.standin.deliveries();
        let good = all.iter().filter(|one| one.outcome.is_success());
        good.count()
    }

    async fn push(&mut self) -> Result<()> {
        let text = format!("hello {}\n", self.standin.deliveries().len());
        self.standin
            .commit("octo/hello", "main", ("NEWS.md", &text))?;
        self.standin.deliveries_done().await;
        Ok(())
    }

    fn forbid_hooks(&self, forbidden: bool) {
        self.standin.forbid_hooks(forbidden);
    }

    fn go_away(&self, away: bool) {
        self.standin.set_away(away);
    }

    fn make_token(&mut self) -> Result<Personal> {
        let kind = PatKind::Classic {
            scopes: &["repo", "admin:repo_hook", "read:user"],
        };
        let pat = Pat {
            kind,
            expires_in: None,
        };
        let token = self.standin.add_pat("octo", &pat)?;
        Ok(Personal {
            token: Token::from(token),
            username: "",
        })
    }

    fn take_back(&mut self) {
        self.standin.revoke_all_of("octo");
    }

    fn remove_hooks(&mut self, url_prefix: &str) {
        for hook in self.standin.hooks("octo/hello") {
            if hook.url.starts_with(url_prefix) {
                self.standin.remove_hook(hook.id);
            }
        }
    }

    fn add_person(&mut self, login: &str) {
        self.standin.add_user(login);
    }

    async fn agree_as(&mut self, browser: &mut Browser, login: &str, page: Page) -> Result<Page> {
        let person = self
            .standin
            .person(login)
            .context("there is no such person")?;
        let agree = Decision::Agree;
        self.standin.decide(browser, &person, page, agree).await
    }

    fn whose(&self, token: &str) -> Option<String> {
        let live = self.standin.live_tokens().into_iter();
        let mut live = live.filter(|live| !live.refresh);
        live.find(|live| live.secret == token)
            .map(|live| live.login)
    }

    fn shorten(&mut self) -> Result<()> {
        let access_seconds = i64::try_from(SHORT.as_secs())?;
        self.set_shape(TokenShape::Expiring { access_seconds })
    }

    fn rename(&mut self, name: &str) -> Result<()> {
        self.unheard(|standin| standin.rename("octo/hello", name))
    }

    fn transfer(&mut self, team: &str) -> Result<()> {
        self.unheard(|standin| standin.transfer("octo/hello", team))
    }

    fn add_team(&mut self, login: &str) -> Result<()> {
        self.standin.add_org(login, OrgOptions::default());
        self.standin.add_member(login, "octo", Role::Owner)
    }

    fn leave_team(&mut self, login: &str) -> Result<()> {
        self.standin.remove_member(login, "octo")
    }

    fn suspend(&mut self, suspended: bool) -> Result<()> {
        self.standin.suspend_user("octo", suspended);
        Ok(())
    }

    async fn enter(&mut self, code: &str) -> Result<()> {
        let octo = self.person().clone();
        let mut browser = self.standin.browser();
        let agree = Decision::Agree;
        self.standin
            .let_device_in(&mut browser, &octo, code, agree)
            .await
    }

    fn install(&mut self, redirect_uri: &str) -> Result<Installed> {
        let permissions = ["contents:write", "members:read", "repository_hooks:write"];
        let app = self
            .standin
            .add_github_app("Binder", "octo", redirect_uri, &permissions)?;
        let installation = self.standin.install(app.app_id, "octo", &[])?;
        Ok(Installed { app, installation })
    }

    fn activate_app_hook(&mut self, app_id: u64) -> Result<()> {
        self.standin
            .activate_app_hook(app_id, &["push", "repository"])
    }

    fn app_hook_url(&self, app_id: u64) -> Option<String> {
        let hook = self.standin.app_hook(app_id)?;
        Some(hook.url).filter(|url| !url.is_empty())
    }
}
