//! The token endpoint

use crate::{
    http::{Request, Response, first},
    world::World,
};

use super::{Context, Refusal, Reuse, Rotation, Server, device, family::Issued};

type Fields = [(String, String)];

impl Server {
    /// Answers the token endpoint
    pub fn token(&mut self, cx: &mut Context<'_>, request: &Request) -> Response {
        match self.exchanged(cx, request) {
            Ok(issued) => self.rules.reply.issued(request, &issued, cx.now_ms),
            Err(refusal) => self.rules.reply.refused(request, refusal),
        }
    }

    fn exchanged(&mut self, cx: &mut Context<'_>, request: &Request) -> Result<Issued, Refusal> {
        let fields = request.fields();
        let grant_type = first(&fields, "grant_type").unwrap_or_default();
        if grant_type == device::GRANT_TYPE {
            return self.poll(cx, &fields);
        }
        let client = self.authenticate(request, &fields)?.id.clone();
        match grant_type {
            "authorization_code" => self.exchange_code(cx, &client, &fields),
            "refresh_token" => self.renew(cx, &client, &fields),
            _ => Err(self.rules.refusals.grant_type),
        }
    }

    fn exchange_code(
        &mut self,
        cx: &mut Context<'_>,
        client: &str,
        fields: &Fields,
    ) -> Result<Issued, Refusal> {
        let (secret, code) = self.present_code(client, fields, cx.now_ms)?;
        self.not_suspended(cx.world, code.person)?;
        let grant = self.grant(client, code.person, code.scopes);
        if let Some(code) = self.codes.get_mut(&secret) {
            code.spent = Some(grant);
        }
        self.issue(cx, grant, None).ok_or(self.rules.refusals.code)
    }

    fn renew(
        &mut self,
        cx: &mut Context<'_>,
        client: &str,
        fields: &Fields,
    ) -> Result<Issued, Refusal> {
        let refusals = self.rules.refusals.clone();
        let secret = first(fields, "refresh_token").unwrap_or_default();
        let rules = self.rules.refreshing.clone().ok_or(refusals.grant_type)?;
        let grant = self.renewable(client, secret, cx)?;
        self.refreshes += 1;
        let going_on = match rules.rotation {
            Rotation::Never { .. } => Some(secret),
            Rotation::Always { .. } => {
                self.spend(secret, rules.old_access_dies, cx.now_ms);
                None
            }
        };
        let mut issued = self.issue(cx, grant, going_on).ok_or(refusals.refresh)?;
        self.lag(&issued.access, cx);
        if rules.rotation == (Rotation::Never { repeated: false }) {
            issued.refresh = None;
        }
        Ok(issued)
    }

    /// The grant that a refresh token renews, if it may; a second use has its consequences here
    fn renewable(&mut self, client: &str, secret: &str, cx: &Context<'_>) -> Result<u64, Refusal> {
        let refusals = self.rules.refusals.clone();
        let token = self.refresh.get(secret).ok_or(refusals.refresh)?;
        let (id, again) = (token.grant, self.may_use_again(token, cx.now_ms));
        let over = token.dead || token.expires.is_some_and(|end| cx.now_ms >= end);
        let grant = self.grants.get(&id).ok_or(refusals.refresh)?;
        if grant.client != client {
            return Err(refusals.refresh);
        }
        if grant.revoked {
            return Err(refusals.revoked);
        }
        if !again {
            self.punish(id);
            return Err(refusals.reused);
        }
        if over {
            return Err(refusals.refresh);
        }
        self.not_suspended(cx.world, grant.person)?;
        Ok(id)
    }

    fn punish(&mut self, grant: u64) {
        let rotation = self.rules.refreshing.as_ref().map(|rules| rules.rotation);
        let fatal = Rotation::Always {
            reuse: Reuse::KillsFamily,
        };
        if rotation == Some(fatal) {
            self.kill(grant);
        }
    }

    fn spend(&mut self, secret: &str, old_access_dies: bool, now_ms: u64) {
        let Some(token) = self.refresh.get_mut(secret) else {
            return;
        };
        // The grace counts from the first use, not from the last one.
        token.spent.get_or_insert(now_ms);
        let access = self.access.get_mut(&token.access);
        if let Some(access) = access.filter(|_| old_access_dies) {
            access.dead = true;
        }
    }

    pub(super) fn not_suspended(&self, world: &World, person: u64) -> Result<(), Refusal> {
        match world.people.get(&person) {
            Some(person) if !person.suspended => Ok(()),
            _ => Err(self.rules.refusals.suspended),
        }
    }
}
