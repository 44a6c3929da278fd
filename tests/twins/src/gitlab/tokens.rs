//! A personal access token that looks at itself, rotates itself, and ends itself

use serde_json::{Value, json};

use crate::{
    http::{Request, Response, first},
    time::{self, DAY},
    world::PersonalToken,
};

use super::{GitLab, access::Caller, reply};

impl GitLab {
    /// `GET self`, `DELETE self`, `POST self/rotate`
    pub(super) fn own_token(
        &mut self,
        caller: &Caller,
        request: &Request,
        rest: &[&str],
        now_ms: u64,
    ) -> Result<Response, Response> {
        let text =
            "400 Bad request - This endpoint requires token type to be a personal access token";
        let id = caller.token.ok_or_else(|| reply::error(400, text))?;
        match (request.method.as_str(), rest) {
            ("GET", []) => {
                let token = self.state.world.tokens.get(id);
                let token = token.ok_or_else(reply::unauthorized)?;
                Ok(Response::json(200, &token_value(token, now_ms)))
            }
            // Any scope will do.
            ("DELETE", []) => {
                self.state.world.tokens.revoke(id);
                Ok(Response::empty(204))
            }
            ("POST", ["rotate"]) => self.rotate(caller, request, id, now_ms),
            _ => Err(reply::error(404, "404 Not Found")),
        }
    }

    fn rotate(
        &mut self,
        caller: &Caller,
        request: &Request,
        id: u64,
        now_ms: u64,
    ) -> Result<Response, Response> {
        caller.needs(&["api", "self_rotate"])?;
        let fields = request.fields();
        let wanted = first(&fields, "expires_at").or_else(|| request.query("expires_at"));
        let expires = match wanted {
            Some(date) => time::midnight(date),
            // One week, unless asked otherwise.
            None => time::midnight(&time::date(now_ms + 7 * DAY)),
        };
        let expires = expires.ok_or_else(|| reply::error(400, "expires_at is invalid"))?;
        if expires <= now_ms || expires > now_ms + 400 * DAY {
            return Err(reply::error(
                400,
                "400 Bad request - Expiration date must be before the limit",
            ));
        }
        let secret = self.state.mint.secret(&self.token_prefix, 20);
        let new = (self.state.world.id(), secret.clone());
        let rotated = self
            .state
            .world
            .tokens
            .rotate(id, new, Some(expires), now_ms);
        let mut body = token_value(rotated.ok_or_else(reply::unauthorized)?, now_ms);
        body["token"] = secret.into();
        Ok(Response::json(200, &body))
    }
}

fn token_value(token: &PersonalToken, now_ms: u64) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked,
        "created_at": time::rfc3339(token.created),
        "description": null,
        "scopes": token.scopes,
        "user_id": token.person,
        "last_used_at": token.last_used.map(time::rfc3339),
        "active": token.check(now_ms).is_ok(),
        "expires_at": token.expires.map(time::date),
    })
}
