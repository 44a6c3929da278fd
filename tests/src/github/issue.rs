//! Tokens made for OAuth apps, and renewed

use std::collections::BTreeSet;

use serde_json::Value;

use super::TokenShape;
use super::world::{Code, Token, TokenKind, World};

/// What GitHub's refresh tokens are good for, in seconds: about six months
const REFRESH_SECONDS: i64 = 15_897_600;
/// What GitHub's expiring access tokens are good for, in seconds
const ACCESS_SECONDS: i64 = 28_800;
/// So many tokens per person, app and scope; one more ends the oldest
const TOKEN_LIMIT: usize = 10;

/// A token as the token endpoint tells it
pub(super) struct Issued {
    access: String,
    scope: String,
    /// Seconds to live, the refresh token, and its seconds
    expiring: Option<(i64, String, i64)>,
}

impl Issued {
    pub(super) fn pairs(self) -> Vec<(&'static str, Value)> {
        let mut pairs = vec![("access_token", self.access.into())];
        if let Some((seconds, refresh, refresh_seconds)) = self.expiring {
            pairs.push(("expires_in", seconds.into()));
            pairs.push(("refresh_token", refresh.into()));
            pairs.push(("refresh_token_expires_in", refresh_seconds.into()));
        }
        pairs.push(("scope", self.scope.into()));
        pairs.push(("token_type", "bearer".into()));
        pairs
    }
}

impl World {
    /// Make a token for a spent code
    pub(super) fn issue(&mut self, code: Code, now: i64) -> Issued {
        self.end_oldest(&code);
        let seconds = self.access_seconds(&code.client_id, code.offline);
        self.add_token(&code.client_id, &code.login, code.scopes, (seconds, now))
    }

    /// Replace a token by its refresh token, both of which end at once
    pub(super) fn refresh(&mut self, client_id: &str, secret: &str, now: i64) -> Option<Issued> {
        let position = self.tokens.iter().position(|token| {
            let refresh = token.refresh.as_ref();
            token.client_id() == Some(client_id)
                && refresh.is_some_and(|(known, end)| known == secret && now < *end)
        })?;
        let old = self.tokens.remove(position);
        self.refreshes += 1;
        let seconds = self.access_seconds(client_id, true);
        let issued = self.add_token(client_id, &old.login, old.scopes, (seconds, now));
        self.unseen.insert(issued.access.clone(), self.lag);
        Some(issued)
    }

    fn access_seconds(&self, client_id: &str, offline: bool) -> Option<i64> {
        let shape = self.app(client_id).map(|app| app.shape);
        match shape {
            Some(TokenShape::Expiring { access_seconds }) => Some(access_seconds),
            _ => offline.then_some(ACCESS_SECONDS),
        }
    }

    fn kind_of(&self, client_id: &str) -> TokenKind {
        let client = client_id.to_owned();
        match self.github_app_of(client_id) {
            Some(app) => TokenKind::AppUser {
                client_id: client,
                app: app.id,
            },
            None => TokenKind::OAuth { client_id: client },
        }
    }

    fn permissions_of(&self, app: u64) -> BTreeSet<String> {
        let permissions = self.github_app(app).map(|app| app.permissions.iter());
        let permissions = permissions.into_iter().flatten();
        permissions
            .map(|(name, level)| format!("{name}:{level}"))
            .collect()
    }

    fn end_oldest(&mut self, code: &Code) {
        let alike = |token: &Token| {
            token.login == code.login
                && token.client_id() == Some(&code.client_id)
                && token.scopes == code.scopes
        };
        let count = self.tokens.iter().filter(|token| alike(token)).count();
        // Tokens are kept in the order in which they were made.
        if count >= TOKEN_LIMIT
            && let Some(oldest) = self.tokens.iter().position(alike)
        {
            self.tokens.remove(oldest);
        }
    }

    fn add_token(
        &mut self,
        client_id: &str,
        login: &str,
        scopes: BTreeSet<String>,
        (seconds, now): (Option<i64>, i64),
    ) -> Issued {
        let kind = self.kind_of(client_id);
        let (access, scopes) = match &kind {
            // An app's tokens have its permissions, whatever was asked.
            TokenKind::AppUser { app, .. } => {
                (self.mint.app_user_token(), self.permissions_of(*app))
            }
            _ => (self.mint.access_token(), scopes),
        };
        let refresh = seconds.map(|_| self.mint.refresh_token());
        let told = matches!(kind, TokenKind::OAuth { .. });
        let scope: Vec<_> = scopes.iter().filter(|_| told).map(String::as_str).collect();
        let issued = Issued {
            access: access.clone(),
            scope: scope.join(","),
            expiring: seconds
                .zip(refresh.clone())
                .map(|(seconds, refresh)| (seconds, refresh, REFRESH_SECONDS)),
        };
        let token = Token {
            id: self.id(),
            secret: access,
            kind,
            login: login.to_owned(),
            scopes,
            note: String::new(),
            created: now,
            expires: seconds.map(|seconds| now.saturating_add(seconds)),
            refresh: refresh.map(|secret| (secret, now.saturating_add(REFRESH_SECONDS))),
            sso: BTreeSet::new(),
        };
        self.tokens.push(token);
        issued
    }
}
