//! Tokens checked, reset and revoked by their app, and by whoever found them

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::api::Call;
use super::reply::{Outcome, Reply};
use super::world::{Token, World};
use super::{access, json};

/// At most so many credentials in one request
const REVOKE_LIMIT: usize = 1000;
const PAGE: &str = "/apps/oauth-applications";

pub(super) fn answer(call: &Call<'_>, segments: &[&str]) -> Reply {
    let outcome = match (call.method, segments) {
        (&Method::POST, ["credentials", "revoke"]) => call.revoke_credentials(),
        (_, ["applications", client_id, what]) => call.application(client_id, what),
        _ => Err(Reply::not_found("")),
    };
    outcome.unwrap_or_else(|refused| refused)
}

impl Call<'_> {
    fn application(&self, client_id: &str, what: &str) -> Outcome {
        let now = self.inner.now();
        let mut world = self.inner.world();
        self.authenticate(&world, client_id)?;
        let secret = self.access_token()?;
        let token = world.live_token(&secret, now);
        let token = token
            .filter(|token| token.client_id() == Some(client_id))
            .cloned();
        // GitHub's description knows no 404 for DELETE; the service answers it for dead tokens.
        let token = token.ok_or_else(|| Reply::not_found(PAGE))?;
        match (self.method, what) {
            (&Method::POST, "token") => {
                Ok(Reply::json(self.authorization(&world, &token, &secret)))
            }
            (&Method::PATCH, "token") => {
                let fresh = world.mint.access_token();
                let mut tokens = world.tokens.iter_mut();
                if let Some(known) = tokens.find(|known| known.id == token.id) {
                    known.secret.clone_from(&fresh);
                }
                Ok(Reply::json(self.authorization(&world, &token, &fresh)))
            }
            (&Method::DELETE, "token") => {
                world.tokens.retain(|known| known.id != token.id);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            (&Method::DELETE, "grant") => {
                world.revoke_grant(&token.login, client_id);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Reply::not_found("")),
        }
    }

    /// The app itself must ask, with its id and one of its secrets
    fn authenticate(&self, world: &World, client_id: &str) -> Result<(), Reply> {
        let unauthorized = |text| Reply::error(StatusCode::UNAUTHORIZED, text, PAGE);
        let basic = access::basic(self.headers);
        let (user, secret) = basic.ok_or_else(|| unauthorized("Requires authentication"))?;
        let app = world.app(&user).filter(|app| app.secrets.contains(&secret));
        let app = app.ok_or_else(|| unauthorized("Bad credentials"))?;
        if app.client_id == client_id {
            Ok(())
        } else {
            Err(Reply::not_found(PAGE))
        }
    }

    fn access_token(&self) -> Result<String, Reply> {
        let body: Value = serde_json::from_slice(self.body).unwrap_or_default();
        let token = body["access_token"]
            .as_str()
            .filter(|token| !token.is_empty());
        let missing = || {
            Reply::unprocessable(
                PAGE,
                "Invalid request.\n\n\"access_token\" wasn't supplied.",
            )
        };
        token.map(str::to_owned).ok_or_else(missing)
    }

    fn authorization(&self, world: &World, token: &Token, secret: &str) -> Value {
        let app = token.client_id().and_then(|client_id| world.app(client_id));
        let user = world.user(&token.login);
        let digest = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
        let last = secret.len().saturating_sub(8);
        json!({
            "id": token.id,
            "url": format!("{}/authorizations/{}", self.inner.api, token.id),
            "app": {
                "name": app.map(|app| &app.name),
                "url": app.and_then(|app| app.callbacks.first()),
                "client_id": app.map(|app| &app.client_id),
            },
            "token": secret,
            "hashed_token": data_encoding::HEXLOWER.encode(digest.as_ref()),
            "token_last_eight": &secret[last..],
            "note": null,
            "note_url": null,
            "created_at": json::time(token.created),
            "updated_at": json::time(token.created),
            "expires_at": token.expires.map(json::time),
            "scopes": token.scopes,
            "fingerprint": null,
            "user": user.map(|user| json::user(self.inner, user)),
        })
    }

    fn revoke_credentials(&self) -> Outcome {
        const PAGE: &str = "/credentials/revoke#revoke-a-list-of-credentials";
        if !self.inner.options.credential_revocation {
            return Err(Reply::not_found(""));
        }
        if access::secret(self.headers).is_some() {
            let text = "This endpoint does not accept authenticated requests.";
            return Err(Reply::error(StatusCode::FORBIDDEN, text, PAGE));
        }
        self.inner.spend(&self.caller)?;
        let body: Value = serde_json::from_slice(self.body).unwrap_or_default();
        let listed = body["credentials"].as_array();
        let listed = listed.filter(|listed| (1..=REVOKE_LIMIT).contains(&listed.len()));
        let wrong =
            || Reply::unprocessable(PAGE, "Validation failed, or the endpoint has been spammed.");
        let listed = listed.ok_or_else(wrong)?;
        let listed = |secret: &str| listed.iter().any(|one| one.as_str() == Some(secret));
        self.inner.world().tokens.retain(|token| {
            let refresh = token
                .refresh
                .as_ref()
                .is_some_and(|(secret, _)| listed(secret));
            !refresh && !listed(&token.secret)
        });
        let mut reply = Reply::json(json!({}));
        reply.status = StatusCode::ACCEPTED;
        Ok(reply)
    }
}
