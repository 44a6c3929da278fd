//! Twins from the inside

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bindery_client::Token;
use bindery_twins::{
    Twin,
    bitbucket::{Cloud, DataCenter},
    gitea::Gitea,
    gitee::Gitee,
    gitlab::GitLab,
    hooks::Hook,
    world::{NewToken, Owner, Role},
};

use super::{Inside, Personal, is_for_tokens};
use crate::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    browser::{Browser, Page},
    forge::{Forge, Kind, SHORT, TwinForge},
    gitea::Decision,
    twin::Served,
};

/// How a twin lets people make tokens
pub trait Maker: Twin + Send + Sized + 'static {
    /// Scopes of a token that reads code and manages webhooks
    const TOKEN_SCOPES: &'static [&'static str];
    /// What goes with a token
    const USERNAME: &'static str = "";

    /// Makes a token and returns it
    fn make(&mut self, new: &NewToken<'_>, now_ms: u64) -> String;
}

impl Maker for GitLab {
    const TOKEN_SCOPES: &'static [&'static str] = &["api"];

    fn make(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        self.make_token(new, now_ms)
    }
}

impl Maker for Gitea {
    const TOKEN_SCOPES: &'static [&'static str] = &["read:user", "write:repository"];

    fn make(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        self.make_token(new, now_ms)
    }
}

impl Maker for Gitee {
    const TOKEN_SCOPES: &'static [&'static str] = &["user_info", "projects", "hook"];

    fn make(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        self.make_token(new, now_ms)
    }
}

impl Maker for Cloud {
    const TOKEN_SCOPES: &'static [&'static str] = &[
        "read:user:bitbucket",
        "read:workspace:bitbucket",
        "read:repository:bitbucket",
        "read:webhook:bitbucket",
        "write:webhook:bitbucket",
        "delete:webhook:bitbucket",
    ];
    const USERNAME: &'static str = "octo@example.com";

    fn make(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        self.make_token(new, now_ms)
    }
}

impl Maker for DataCenter {
    const TOKEN_SCOPES: &'static [&'static str] = &["REPO_ADMIN"];

    fn make(&mut self, new: &NewToken<'_>, now_ms: u64) -> String {
        self.make_token(new, now_ms)
    }
}

/// A forge that is a twin behind a front
pub trait OnTwin: Forge + Send {
    /// The twin
    type Twin: Maker;

    /// The front
    fn front(&self) -> &Served<Self::Twin>;
    /// Id of `octo/hello`
    fn hello(&self) -> u64;
}

impl<T: Kind + Maker> OnTwin for TwinForge<T> {
    type Twin = T;

    fn front(&self) -> &Served<T> {
        &self.served
    }

    fn hello(&self) -> u64 {
        self.hello
    }
}

impl OnTwin for BitbucketCloudForge {
    type Twin = Cloud;

    fn front(&self) -> &Served<Cloud> {
        &self.served
    }

    fn hello(&self) -> u64 {
        self.hello
    }
}

impl OnTwin for BitbucketDataCenterForge {
    type Twin = DataCenter;

    fn front(&self) -> &Served<DataCenter> {
        &self.served
    }

    fn hello(&self) -> u64 {
        self.hello
    }
}

impl<F: OnTwin> Inside for F {
    fn hooks_pointing_at(&self, url_prefix: &str) -> usize {
        let front = self.front();
        front.with(|twin| twin.state().hooks.pointing_at(url_prefix))
    }

    fn hook_secrets(&self, url_prefix: &str) -> Vec<String> {
        self.front().with(|twin| {
            let hooks = twin.state().hooks.all();
            let ours = hooks.filter(|hook| hook.url.starts_with(url_prefix));
            let secret = |hook: &Hook| hook.signing.clone().or_else(|| hook.secret.clone());
            ours.filter_map(secret).collect()
        })
    }

    fn alive(&self) -> usize {
        self.front().with(|twin| {
            let (state, now) = (twin.state(), now_ms());
            state.oauth.alive(now) + state.world.tokens.alive(now).len()
        })
    }

    fn asked(&self, part: &str) -> usize {
        self.front().with(|twin| {
            let all = twin.state().log.iter();
            all.filter(|one| one.path.contains(part)).count()
        })
    }

    fn token_requests(&self) -> usize {
        self.front().with(|twin| {
            let all = twin.state().log.iter();
            let tokens = all.filter(|one| is_for_tokens(&one.method, &one.path));
            tokens.count()
        })
    }

    fn delivered(&self) -> usize {
        self.front().with(|twin| {
            let all = twin.state().hooks.sent().iter();
            all.filter(|one| one.outcome.is_success()).count()
        })
    }

    async fn push(&mut self) -> Result<()> {
        let text = format!("hello {}\n", self.delivered());
        let front = self.front();
        front.commit(self.hello(), "main", ("NEWS.md", &text))?;
        front.deliveries_done().await;
        Ok(())
    }

    fn forbid_hooks(&self, forbidden: bool) {
        let front = self.front();
        front.with(|twin| twin.state_mut().hooks.forbidden = forbidden);
    }

    fn go_away(&self, away: bool) {
        let until = away.then_some(u64::MAX);
        let front = self.front();
        front.with(|twin| twin.state_mut().knobs.outage_until = until);
    }

    fn make_token(&mut self) -> Result<Personal> {
        let token = self.front().with(|twin| -> Result<String> {
            let person = octo(twin).context("no octo")?;
            let new = NewToken {
                person,
                name: "bindery",
                scopes: F::Twin::TOKEN_SCOPES,
                expires: None,
            };
            Ok(twin.make(&new, now_ms()))
        })?;
        Ok(Personal {
            token: Token::from(token),
            username: F::Twin::USERNAME,
        })
    }

    fn take_back(&mut self) {
        self.front().with(|twin| {
            let octo = octo(twin).unwrap_or_default();
            let state = twin.state_mut();
            state.oauth.revoke_all_of(octo);
            for id in state.world.tokens.alive(now_ms()) {
                state.world.tokens.revoke(id);
            }
        });
    }

    fn remove_hooks(&mut self, url_prefix: &str) {
        self.front().with(|twin| {
            let hooks = &mut twin.state_mut().hooks;
            let ours = hooks.all().filter(|hook| hook.url.starts_with(url_prefix));
            for id in ours.map(|hook| hook.id).collect::<Vec<_>>() {
                hooks.remove(id);
            }
        });
    }

    fn reseed(&mut self, seed: u64) {
        self.front().with(|twin| twin.state_mut().mint.reseed(seed));
    }

    fn add_person(&mut self, login: &str) {
        self.front()
            .with(|twin| twin.state_mut().world.add_person(login, now_ms()));
    }

    async fn agree_as(&mut self, browser: &mut Browser, login: &str, page: Page) -> Result<Page> {
        let agree = Decision::Agree;
        self.front().decide(browser, login, page, agree).await
    }

    fn whose(&self, token: &str) -> Option<String> {
        self.front().with(|twin| {
            let state = twin.state();
            let bearer = state.oauth.bearer(token, now_ms()).ok()?;
            let person = state.world.people.get(&bearer.person)?;
            Some(person.login.clone())
        })
    }

    fn shorten(&mut self) -> Result<()> {
        let short = u64::try_from(SHORT.as_millis())?;
        self.front()
            .with(|twin| twin.state_mut().oauth.rules.access_ms = Some(short));
        Ok(())
    }

    fn rename(&mut self, name: &str) -> Result<()> {
        let hello = self.hello();
        self.front()
            .with(|twin| twin.state_mut().world.rename_repository(hello, name));
        Ok(())
    }

    fn transfer(&mut self, team: &str) -> Result<()> {
        let hello = self.hello();
        self.front().with(|twin| {
            let world = &mut twin.state_mut().world;
            let team = world.group(team).context("no such team")?.id;
            world.transfer_repository(hello, Owner::Group(team));
            Ok(())
        })
    }

    fn add_team(&mut self, login: &str) -> Result<()> {
        self.front().with(|twin| {
            let octo = octo(twin).context("no octo")?;
            let world = &mut twin.state_mut().world;
            let team = world.add_group(login, None, now_ms());
            world.join(octo, team, Role::Owner);
            Ok(())
        })
    }

    fn leave_team(&mut self, login: &str) -> Result<()> {
        self.front().with(|twin| {
            let octo = octo(twin).context("no octo")?;
            let world = &mut twin.state_mut().world;
            let team = world.group(login).context("no such team")?.id;
            world.leave(octo, team);
            Ok(())
        })
    }

    fn suspend(&mut self, suspended: bool) -> Result<()> {
        self.front().with(|twin| {
            let octo = octo(twin).context("no octo")?;
            twin.state_mut().world.suspend(octo, suspended);
            Ok(())
        })
    }

    async fn enter(&mut self, code: &str) -> Result<()> {
        let entered = self.front().with(|twin| {
            let octo = octo(twin);
            let oauth = &mut twin.state_mut().oauth;
            oauth.decide_device(code, octo, now_ms())
        });
        ensure!(entered, "the forge does not know the code");
        Ok(())
    }
}

fn octo(twin: &impl Twin) -> Option<u64> {
    let octo = twin.state().world.person("octo");
    octo.map(|octo| octo.id)
}

fn now_ms() -> u64 {
    let real = SystemTime::now().duration_since(UNIX_EPOCH);
    real.map_or(0, |real| {
        u64::try_from(real.as_millis()).unwrap_or(u64::MAX)
    })
}
