//! Grants and the tokens that come of them

use std::collections::BTreeSet;

use crate::world::Refused;

use super::{Context, Refreshing, Reuse, Rotation, Server, shape::Claims};

/// What one consent gave
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) client: String,
    pub(super) person: u64,
    pub(super) scopes: BTreeSet<String>,
    pub(super) revoked: bool,
    /// Refresh tokens that it has led to
    pub(super) rotations: u64,
}

/// An access token
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) grant: u64,
    pub(super) expires: Option<u64>,
    pub(super) dead: bool,
    /// Calls that a lagging replica still refuses
    lag_calls: u32,
    lag_until: u64,
    /// The refresh token that came with it
    pub(super) refresh: Option<String>,
}

/// A refresh token
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) grant: u64,
    pub(super) expires: Option<u64>,
    pub(super) dead: bool,
    /// When it was first used, where that ends it
    pub(super) spent: Option<u64>,
    /// The newest access token that came with it
    pub(super) access: String,
}

/// Who comes with an access token
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bearer {
    /// The person
    pub person: u64,
    /// The application's client id
    pub client: String,
    /// What it may do
    pub scopes: BTreeSet<String>,
    /// When the token ends, milliseconds since 1970
    pub expires: Option<u64>,
}

/// Tokens as they are handed out
pub(super) struct Issued {
    pub(super) access: String,
    pub(super) expires: Option<u64>,
    pub(super) refresh: Option<String>,
    pub(super) scopes: BTreeSet<String>,
}

impl Server {
    /// Remembers a consent and returns its number
    pub(super) fn grant(&mut self, client: &str, person: u64, scopes: BTreeSet<String>) -> u64 {
        self.last_grant += 1;
        let grant = Grant {
            client: client.to_owned(),
            person,
            scopes,
            revoked: false,
            rotations: 0,
        };
        self.grants.insert(self.last_grant, grant);
        self.last_grant
    }

    /// Makes an access token, and a refresh token unless the old one goes on; `None` for a grant that is gone
    pub(super) fn issue(
        &mut self,
        cx: &mut Context<'_>,
        id: u64,
        going_on: Option<&str>,
    ) -> Option<Issued> {
        let refresh = match (going_on, self.rules.refreshing.clone()) {
            (Some(old), _) => Some(old.to_owned()),
            (None, Some(refreshing)) => Some(self.make_refresh(cx, id, &refreshing)?),
            (None, None) => None,
        };
        let scopes = self.grants.get(&id)?.scopes.clone();
        let expires = self.rules.access_ms.map(|ms| cx.now_ms + ms);
        let claims = Claims {
            grant: id,
            counter: 0,
            now_ms: cx.now_ms,
            expires,
        };
        let access = self.rules.access_shape.make(cx.mint, &claims);
        let token = Access {
            grant: id,
            expires,
            dead: false,
            lag_calls: 0,
            lag_until: 0,
            refresh: refresh.clone(),
        };
        self.access.insert(access.clone(), token);
        if let Some(refresh) = &refresh {
            self.keep_refresh(refresh, id, &access, cx.now_ms);
        }
        Some(Issued {
            access,
            expires,
            refresh,
            scopes,
        })
    }

    fn make_refresh(
        &mut self,
        cx: &mut Context<'_>,
        id: u64,
        refreshing: &Refreshing,
    ) -> Option<String> {
        let grant = self.grants.get_mut(&id)?;
        grant.rotations += 1;
        let claims = Claims {
            grant: id,
            counter: grant.rotations,
            now_ms: cx.now_ms,
            expires: refreshing.idle_ms.map(|idle| cx.now_ms + idle),
        };
        Some(refreshing.shape.make(cx.mint, &claims))
    }

    fn keep_refresh(&mut self, secret: &str, grant: u64, access: &str, now_ms: u64) {
        let idle = self
            .rules
            .refreshing
            .as_ref()
            .and_then(|rules| rules.idle_ms);
        let token = Refresh {
            grant,
            expires: idle.map(|idle| now_ms + idle),
            dead: false,
            spent: None,
            access: access.to_owned(),
        };
        self.refresh.insert(secret.to_owned(), token);
    }

    /// The replica that has not heard of this token
    pub(super) fn lag(&mut self, access: &str, cx: &Context<'_>) {
        if let Some(token) = self.access.get_mut(access) {
            token.lag_calls = cx.lag.calls;
            token.lag_until = cx.now_ms + cx.lag.ms;
        }
    }

    /// Kills everything that came of a consent
    pub(super) fn kill(&mut self, grant: u64) {
        if let Some(grant) = self.grants.get_mut(&grant) {
            grant.revoked = true;
        }
    }

    /// Who comes with this access token; uses up a call of a lagging replica
    ///
    /// # Errors
    ///
    /// Why it is not accepted.
    pub fn present(&mut self, secret: &str, now_ms: u64) -> Result<Bearer, Refused> {
        let bearer = self.bearer(secret, now_ms)?;
        let token = self.access.get_mut(secret).ok_or(Refused::Unknown)?;
        if token.lag_calls > 0 || now_ms < token.lag_until {
            token.lag_calls = token.lag_calls.saturating_sub(1);
            return Err(Refused::Unknown);
        }
        Ok(bearer)
    }

    /// As [`Server::present`], for a test that looks: no replica lags, and nothing changes
    ///
    /// # Errors
    ///
    /// Why it is not accepted.
    pub fn bearer(&self, secret: &str, now_ms: u64) -> Result<Bearer, Refused> {
        let token = self.access.get(secret).ok_or(Refused::Unknown)?;
        let grant = self.grants.get(&token.grant).ok_or(Refused::Unknown)?;
        if token.dead || grant.revoked {
            return Err(Refused::Revoked);
        }
        if token.expires.is_some_and(|end| now_ms >= end) {
            return Err(Refused::Expired);
        }
        Ok(Bearer {
            person: grant.person,
            client: grant.client.clone(),
            scopes: grant.scopes.clone(),
            expires: token.expires,
        })
    }

    /// Ends an access token before its time, as a forge may at any time; its refresh token goes on
    pub fn end_access(&mut self, secret: &str) {
        if let Some(token) = self.access.get_mut(secret) {
            token.dead = true;
        }
    }

    /// Whether a refresh token would be accepted now; for a test that looks
    #[must_use]
    pub fn renews(&self, secret: &str, now_ms: u64) -> bool {
        let Some(token) = self.refresh.get(secret) else {
            return false;
        };
        let revoked = self
            .grants
            .get(&token.grant)
            .is_none_or(|grant| grant.revoked);
        let over = token.expires.is_some_and(|end| now_ms >= end);
        !revoked && !over && !token.dead && self.may_use_again(token, now_ms)
    }

    /// How many tokens of applications would be accepted now, access and refresh; for a test that looks
    #[must_use]
    pub fn alive(&self, now_ms: u64) -> usize {
        let access = self.access.keys();
        let access = access.filter(|secret| self.bearer(secret, now_ms).is_ok());
        let refresh = self.refresh.keys();
        let refresh = refresh.filter(|secret| self.renews(secret, now_ms));
        access.count() + refresh.count()
    }

    /// Whether a refresh token was not used yet, or may be used again
    pub(super) fn may_use_again(&self, token: &Refresh, now_ms: u64) -> bool {
        let rotation = self.rules.refreshing.as_ref().map(|rules| rules.rotation);
        match (token.spent, rotation) {
            (None, _) | (_, Some(Rotation::Never { .. })) => true,
            (
                Some(first),
                Some(Rotation::Always {
                    reuse: Reuse::Grace { ms },
                }),
            ) => now_ms < first + ms,
            (Some(_), _) => false,
        }
    }

    /// The person takes back what they allowed all applications
    pub fn revoke_all_of(&mut self, person: u64) {
        let clients: Vec<_> = self.clients.keys().cloned().collect();
        for client in clients {
            self.revoke_authorization(person, &client);
        }
    }

    /// The person takes back what they allowed an application: every token of the two dies
    pub fn revoke_authorization(&mut self, person: u64, client: &str) {
        let grants = self.grants.values_mut();
        grants
            .filter(|grant| grant.person == person && grant.client == client)
            .for_each(|grant| grant.revoked = true);
        self.codes
            .retain(|_, code| code.person != person || code.client != client);
    }
}
