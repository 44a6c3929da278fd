//! Device authorization (RFC 8628)

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    http::{Request, Response, first},
    page::{escape, form, page},
    world::World,
};

use super::{Context, Refusal, Server, family::Issued};

/// `grant_type` of a poll
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

const PENDING: Refusal = Refusal::new(
    400,
    "authorization_pending",
    "The person has not decided yet.",
);
const SLOW_DOWN: Refusal = Refusal::new(400, "slow_down", "The device polls too often.");
const EXPIRED: Refusal = Refusal::new(400, "expired_token", "The device code is no longer good.");
const DENIED: Refusal = Refusal::new(400, "access_denied", "The person refused.");

/// A device that waits for a person
#[derive(Clone, Debug)]
pub(super) struct Device {
    client: String,
    user_code: String,
    scopes: BTreeSet<String>,
    expires: u64,
    interval_ms: u64,
    polled: Option<u64>,
    decided: Option<Decision>,
}

#[derive(Clone, Copy, Debug)]
enum Decision {
    Agreed(u64),
    Refused,
}

impl Server {
    /// Answers the device authorization endpoint; the page is where people type the code. `None` without a device flow
    pub fn device_code(
        &mut self,
        cx: &mut Context<'_>,
        request: &Request,
        page: &str,
    ) -> Option<Response> {
        let rules = self.rules.device.clone()?;
        let fields = request.fields();
        let known = first(&fields, "client_id").and_then(|id| self.client(id));
        let Some(client) = known else {
            return Some(
                self.rules
                    .reply
                    .refused(request, self.rules.refusals.client),
            );
        };
        let scope = first(&fields, "scope").unwrap_or_default();
        let device = Device {
            client: client.id.clone(),
            user_code: cx.mint.letters(8).to_ascii_uppercase(),
            scopes: scope.split_ascii_whitespace().map(str::to_owned).collect(),
            expires: cx.now_ms + rules.lifetime_ms,
            interval_ms: rules.interval_s * 1_000,
            polled: None,
            decided: None,
        };
        let secret = cx.mint.secret("", 43);
        let body = json!({
            "device_code": secret,
            "user_code": device.user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={}", device.user_code),
            "expires_in": rules.lifetime_ms / 1_000,
            "interval": rules.interval_s,
        });
        self.devices.insert(secret, device);
        Some(Response::json(200, &body).with("cache-control", "no-store"))
    }

    /// The page where people type the code, and decide
    pub fn device_page(&mut self, cx: &Context<'_>, request: &Request) -> Response {
        let posted = request.method == "POST";
        let fields = if posted {
            request.fields()
        } else {
            request.query.clone()
        };
        let code = first(&fields, "user_code").unwrap_or_default();
        if !posted {
            return code_page(cx.world, &request.path, code);
        }
        let person = first(&fields, "login").and_then(|login| cx.world.person(login));
        match self.decide_device(code, person.map(|person| person.id), cx.now_ms) {
            true => page(200, "Done", "<p>You can close this page.</p>"),
            false => page(
                404,
                "No such code",
                "<p>The code is unknown, or its time is over.</p>",
            ),
        }
    }

    /// Somebody agrees, or refuses, without a page; whether there was such a code
    pub fn decide_device(&mut self, user_code: &str, person: Option<u64>, now_ms: u64) -> bool {
        let mut waiting = self.devices.values_mut();
        let waiting = waiting.find(|device| {
            device.user_code.eq_ignore_ascii_case(user_code) && now_ms < device.expires
        });
        let Some(device) = waiting.filter(|device| device.decided.is_none()) else {
            return false;
        };
        device.decided = Some(person.map_or(Decision::Refused, Decision::Agreed));
        true
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        fields: &[(String, String)],
    ) -> Result<Issued, Refusal> {
        if self.rules.device.is_none() {
            return Err(self.rules.refusals.grant_type);
        }
        let client = first(fields, "client_id").unwrap_or_default();
        let secret = first(fields, "device_code").unwrap_or_default();
        let waiting = self
            .devices
            .get_mut(secret)
            .filter(|device| device.client == client);
        let device = waiting.ok_or(self.rules.refusals.code)?;
        if cx.now_ms >= device.expires {
            return Err(EXPIRED);
        }
        let early = device
            .polled
            .is_some_and(|last| cx.now_ms < last + device.interval_ms);
        device.polled = Some(cx.now_ms);
        if early {
            // RFC 8628 section 3.5: five seconds more for this and all later polls.
            device.interval_ms += 5_000;
            return Err(SLOW_DOWN);
        }
        let person = match device.decided {
            None => return Err(PENDING),
            Some(Decision::Refused) => return Err(DENIED),
            Some(Decision::Agreed(person)) => person,
        };
        let (client, scopes) = (device.client.clone(), device.scopes.clone());
        self.not_suspended(cx.world, person)?;
        self.devices.remove(secret);
        let grant = self.grant(&client, person, scopes);
        self.issue(cx, grant, None).ok_or(self.rules.refusals.code)
    }
}

fn code_page(world: &World, action: &str, code: &str) -> Response {
    let input = format!(
        "<label>Code <input type=\"text\" name=\"user_code\" value=\"{}\"></label>",
        escape(code)
    );
    let people = world.people.values().filter(|person| !person.bot);
    let forms = people.map(|person| {
        let login = [("login".to_owned(), person.login.clone())];
        let button = format!("<button>Authorize as {}</button>", escape(&person.login));
        form(action, &login, &format!("{input}{button}"))
    });
    let forms: String = forms.collect();
    let deny = form(action, &[], &format!("{input}<button>Deny</button>"));
    page(200, "Authorize a device", &format!("{forms}{deny}"))
}
