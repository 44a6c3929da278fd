//! The device flow: a code for the machine, a code for the person, and a page for the latter

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Form, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::oauth::{Fields, field, fields, written};
use super::pages::{Html, escape, hidden, page};
use super::web::{Visitor, see_other};
use super::world::Code;
use super::{Inner, mint, pages, scopes};

/// The grant type of a machine that asks whether the person is done
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A code is good for fifteen minutes
const CODE_SECONDS: i64 = 900;
/// So many seconds lie between two questions of a machine
const INTERVAL: i64 = 5;

type Pairs = Vec<(&'static str, Value)>;

/// A machine that waits for its person
#[derive(Clone, Debug)]
pub(super) struct Device {
    secret: String,
    user_code: String,
    client_id: String,
    scopes: BTreeSet<String>,
    /// Who agreed; none while nobody has
    agreed: Option<String>,
    denied: bool,
    expires: i64,
    interval: i64,
    asked: Option<i64>,
}

/// The form of the person's page
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entered {
    user_code: String,
    /// `1` agrees, everything else refuses; none before the person has seen who asks
    authorize: Option<String>,
    authenticity_token: Option<String>,
}

/// `POST /login/device/code`
pub(super) async fn begin(
    State(inner): State<Arc<Inner>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Extension(body): Extension<Bytes>,
) -> Response {
    let fields = fields(query.as_deref(), &headers, &body);
    let mut world = inner.world();
    let client_id = field(&fields, "client_id");
    if world.app(client_id).is_none() {
        return pages::not_found();
    }
    if world.no_devices.contains(client_id) {
        let why = "Device Flow must be explicitly enabled for this App";
        return written(refused("device_flow_disabled", why), &headers);
    }
    let device = Device {
        secret: world.mint.device_code(),
        user_code: user_code(),
        client_id: client_id.to_owned(),
        scopes: scopes::parse(field(&fields, "scope")),
        agreed: None,
        denied: false,
        expires: inner.now().saturating_add(CODE_SECONDS),
        interval: INTERVAL,
        asked: None,
    };
    let pairs = vec![
        ("device_code", device.secret.clone().into()),
        ("user_code", device.user_code.clone().into()),
        (
            "verification_uri",
            format!("{}/login/device", inner.web).into(),
        ),
        ("expires_in", CODE_SECONDS.into()),
        ("interval", INTERVAL.into()),
    ];
    world.devices.push(device);
    written(pairs, &headers)
}

/// The token endpoint's answer to a machine
pub(super) fn poll(inner: &Inner, fields: &Fields) -> Pairs {
    let now = inner.now();
    let mut world = inner.world();
    let (secret, client_id) = (field(fields, "device_code"), field(fields, "client_id"));
    let mut devices = world.devices.iter();
    let at = devices.position(|one| one.secret == secret && one.client_id == client_id);
    let Some(at) = at else {
        return refused(
            "incorrect_device_code",
            "The device_code provided is not valid.",
        );
    };
    if let Err(wait) = world.devices[at].answer(now) {
        return wait;
    }
    let device = world.devices.swap_remove(at);
    let login = device.agreed.unwrap_or_default();
    world.remember(&login, &device.client_id, device.scopes.clone(), now);
    let code = Code {
        secret: String::new(),
        client_id: device.client_id,
        login,
        scopes: device.scopes,
        offline: false,
        redirect_uri: String::new(),
        challenge: None,
        expires: now,
    };
    world.issue(code, now).pairs()
}

impl Device {
    /// Fine if somebody agreed; otherwise what the machine is told
    fn answer(&mut self, now: i64) -> Result<(), Pairs> {
        let early = self.asked.is_some_and(|last| now < last + self.interval);
        self.asked = Some(now);
        if now >= self.expires {
            return Err(refused("expired_token", "This device_code has expired."));
        }
        if self.denied {
            let why = "The user has denied your application access.";
            return Err(refused("access_denied", why));
        }
        if early {
            self.interval += INTERVAL;
            let mut pairs = refused("slow_down", "Too many requests have been made.");
            pairs.push(("interval", self.interval.into()));
            return Err(pairs);
        }
        match self.agreed {
            Some(_) => Ok(()),
            None => Err(refused(
                "authorization_pending",
                "The authorization request is still pending.",
            )),
        }
    }
}

/// `GET /login/device`
pub(super) async fn ask(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    if visitor.login.is_none() {
        return see_other("/login?return_to=%2Flogin%2Fdevice");
    }
    visitor.show("Device activation", &entry_page(&visitor, ""))
}

/// `POST /login/device`: the code, and then the decision
pub(super) async fn enter(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(entered): Form<Entered>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(entered.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    let now = inner.now();
    let mut world = inner.world();
    let wanted = entered.user_code.trim().to_ascii_uppercase();
    let mut devices = world.devices.iter_mut();
    let device = devices.find(|one| one.user_code == wanted && now < one.expires);
    let Some(device) = device else {
        let body = entry_page(&visitor, "The code is wrong or has expired.");
        return visitor.show("Device activation", &body);
    };
    match entered.authorize.as_deref() {
        None => {}
        Some("1") => {
            device.agreed = Some(login);
            return done("Congratulations, you're all set!");
        }
        Some(_) => {
            device.denied = true;
            return done("The device gets no access.");
        }
    }
    let client_id = device.client_id.clone();
    let name = world.app(&client_id).map(|app| app.name.clone());
    let body = decision_page(&visitor, &name.unwrap_or_default(), &wanted);
    visitor.show("Authorize device", &body)
}

fn entry_page(visitor: &Visitor, problem: &str) -> Html {
    let problem = match problem {
        "" => String::new(),
        some => format!("<p class=\"error\">{}</p>", escape(some)),
    };
    page("Device activation").add(&format!(
        "{problem}<form method=\"post\" action=\"/login/device\">{}\
         <label>Code <input type=\"text\" name=\"user_code\"></label>\
         <button class=\"primary\">Continue</button></form>",
        visitor.hidden_token(),
    ))
}

fn decision_page(visitor: &Visitor, app: &str, code: &str) -> Html {
    page("Authorize device").add(&format!(
        "<p><strong>{}</strong> wants to act for you on the device that shows \
         <code>{}</code>.</p><form method=\"post\" action=\"/login/device\">{}{}\
         <button name=\"authorize\" value=\"0\">Cancel</button> \
         <button class=\"primary\" name=\"authorize\" value=\"1\">Authorize</button></form>",
        escape(app),
        escape(code),
        visitor.hidden_token(),
        hidden("user_code", code),
    ))
}

fn done(text: &str) -> Response {
    pages::plain(http::StatusCode::OK, "Device activation", text).into_response()
}

fn refused(error: &'static str, why: &str) -> Pairs {
    vec![("error", error.into()), ("error_description", why.into())]
}

/// `WDJB-MJHT`, without vowels, so that no word comes up
fn user_code() -> String {
    const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
    let letters: String = mint::random(8)
        .bytes()
        .map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]))
        .collect();
    format!("{}-{}", &letters[..4], &letters[4..])
}
