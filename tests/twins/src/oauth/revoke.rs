//! Revocation by the client (RFC 7009)

use serde_json::json;

use crate::http::{Request, Response, first};

use super::{Refusal, Server};

impl Server {
    /// Answers the revocation endpoint; `None` where the forge has none
    ///
    /// Either token of a pair takes the other one with it. An unknown one is no error.
    pub fn revoke(&mut self, request: &Request) -> Option<Response> {
        let foreign = self.rules.revocation?;
        Some(match self.revoked(request, foreign) {
            Ok(()) => Response::json(200, &json!({})),
            Err(refusal) => self.rules.reply.refused(request, refusal),
        })
    }

    fn revoked(&mut self, request: &Request, foreign: Refusal) -> Result<(), Refusal> {
        let fields = request.fields();
        let client = self.authenticate(request, &fields)?.id.clone();
        let secret = first(&fields, "token").unwrap_or_default();
        let access = self.access.get(secret);
        let refresh = self.refresh.get(secret);
        let grant = access
            .map(|token| token.grant)
            .or_else(|| refresh.map(|token| token.grant));
        let Some(grant) = grant.and_then(|grant| self.grants.get(&grant)) else {
            return Ok(());
        };
        if grant.client != client {
            return Err(foreign);
        }
        let pair = [
            Some(secret.to_owned()),
            access.and_then(|token| token.refresh.clone()),
            refresh.map(|token| token.access.clone()),
        ];
        pair.into_iter()
            .flatten()
            .for_each(|secret| self.end(&secret));
        Ok(())
    }

    fn end(&mut self, secret: &str) {
        if let Some(token) = self.access.get_mut(secret) {
            token.dead = true;
        }
        if let Some(token) = self.refresh.get_mut(secret) {
            token.dead = true;
        }
    }
}
