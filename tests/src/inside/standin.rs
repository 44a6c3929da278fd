//! The stand-in for GitHub from the inside

use anyhow::Result;
use bindery_client::Token;

use super::{Inside, Installed, Personal, is_for_tokens};
use crate::{
    forge::GitHubForge,
    github::{Decision, Pat, PatKind},
};

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
}
