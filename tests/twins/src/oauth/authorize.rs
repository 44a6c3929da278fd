//! Where a person decides whether an application may act for them

use std::collections::BTreeSet;

use url::Url;

use crate::{
    http::{Request, Response, first},
    page::{escape, form, page},
    world::World,
};

use super::{
    Client, Context, Pkce, Server,
    code::{Challenge, Code},
};

/// A consent that is given without a page: what simulations use
#[derive(Clone, Copy, Debug)]
pub struct Consent<'a> {
    /// Client id of the application
    pub client: &'a str,
    /// Who agrees
    pub person: u64,
    /// Where the code is to be sent
    pub redirect_uri: &'a str,
    /// What is allowed
    pub scopes: &'a BTreeSet<String>,
    /// PKCE challenge, S256
    pub challenge: Option<&'a str>,
}

/// A request for a consent that may be answered with a redirect
struct Asked<'a> {
    client: &'a Client,
    redirect_uri: &'a str,
    fields: &'a [(String, String)],
}

/// `error` and `error_description` of a redirect
type Trouble = (&'static str, &'static str);

impl Server {
    /// Answers the authorization endpoint: GET shows the page, POST is a button of it
    ///
    /// The page offers everybody whom the forge knows: whose login it is, is chosen there.
    pub fn authorize(&mut self, cx: &mut Context<'_>, request: &Request) -> Response {
        let posted = request.method == "POST";
        let fields = if posted {
            request.fields()
        } else {
            request.query.clone()
        };
        let asked = match self.asked(&fields) {
            Ok(asked) => asked,
            Err(page) => return page,
        };
        if let Err((error, description)) = self.checked(&asked) {
            return self.back(
                &asked,
                &[("error", error), ("error_description", description)],
            );
        }
        if !posted {
            return consent_page(cx.world, &asked, &request.path);
        }
        match first(&fields, "login").and_then(|login| cx.world.person(login)) {
            Some(person) if !person.suspended => self.agreed(cx, &fields, person.id),
            _ => {
                let refused = [
                    ("error", "access_denied"),
                    (
                        "error_description",
                        "The resource owner or authorization server denied the request.",
                    ),
                ];
                self.back(&asked, &refused)
            }
        }
    }

    /// Gives a consent without a page, and returns the code
    pub fn consent(&mut self, cx: &mut Context<'_>, consent: &Consent<'_>) -> String {
        let challenge = consent.challenge.map(|text| Challenge {
            text: text.to_owned(),
            hashed: true,
        });
        let code = Code {
            client: consent.client.to_owned(),
            person: consent.person,
            scopes: consent.scopes.clone(),
            redirect_uri: consent.redirect_uri.to_owned(),
            challenge,
            expires: cx.now_ms + self.rules.code_ms,
            spent: None,
        };
        let secret = cx.mint.secret("", 64);
        self.codes.insert(secret.clone(), code);
        secret
    }

    /// Nothing may be redirected to where no application has said so
    fn asked<'a>(&'a self, fields: &'a [(String, String)]) -> Result<Asked<'a>, Response> {
        let refused = |why| page(401, "An error has occurred", &format!("<p>{why}</p>"));
        let client = first(fields, "client_id").and_then(|id| self.client(id));
        let client = client.ok_or_else(|| refused("Client authentication failed."))?;
        let redirect_uri = first(fields, "redirect_uri").unwrap_or_default();
        match client
            .redirect_uris
            .iter()
            .any(|known| known == redirect_uri)
        {
            true => Ok(Asked {
                client,
                redirect_uri,
                fields,
            }),
            false => Err(refused("The redirect URI included is not valid.")),
        }
    }

    fn checked(&self, asked: &Asked<'_>) -> Result<(), Trouble> {
        if first(asked.fields, "response_type") != Some("code") {
            return Err((
                "unsupported_response_type",
                "The response type is not supported.",
            ));
        }
        let method = first(asked.fields, "code_challenge_method");
        let challenge = first(asked.fields, "code_challenge");
        if challenge.is_none() && self.rules.pkce == Pkce::Required {
            return Err(("invalid_request", "A code challenge is required."));
        }
        if challenge.is_some() && self.rules.pkce != Pkce::Ignored && method != Some("S256") {
            return Err(("invalid_request", "The code challenge method must be S256."));
        }
        let fixed = self.rules.scopes_fixed_by_client;
        match fixed || asked.wanted().is_subset(&asked.client.scopes) {
            true => Ok(()),
            false => Err((
                "invalid_scope",
                "The requested scope is invalid, unknown, or malformed.",
            )),
        }
    }

    fn agreed(
        &mut self,
        cx: &mut Context<'_>,
        fields: &[(String, String)],
        person: u64,
    ) -> Response {
        let Ok(asked) = self.asked(fields) else {
            return page(401, "An error has occurred", "");
        };
        let (client, redirect_uri) = (asked.client.clone(), asked.redirect_uri.to_owned());
        let scopes = match self.rules.scopes_fixed_by_client {
            true => client.scopes.clone(),
            false => asked.wanted(),
        };
        let consent = Consent {
            client: &client.id,
            person,
            redirect_uri: &redirect_uri,
            scopes: &scopes,
            challenge: first(fields, "code_challenge"),
        };
        let code = self.consent(cx, &consent);
        let asked = Asked {
            client: &client,
            redirect_uri: &redirect_uri,
            fields,
        };
        self.back(&asked, &[("code", &code)])
    }

    fn back(&self, asked: &Asked<'_>, pairs: &[(&str, &str)]) -> Response {
        let Ok(mut url) = Url::parse(asked.redirect_uri) else {
            return page(
                400,
                "An error has occurred",
                "<p>The redirect URI is no URL.</p>",
            );
        };
        let state = first(asked.fields, "state").map(|state| ("state", state));
        let issuer = self.rules.issuer.as_deref().map(|issuer| ("iss", issuer));
        url.query_pairs_mut()
            .extend_pairs(pairs.iter().copied().chain(state).chain(issuer));
        Response::redirect(302, url.as_str())
            .with("cache-control", "no-store")
            .with("referrer-policy", "no-referrer")
    }
}

impl Asked<'_> {
    fn wanted(&self) -> BTreeSet<String> {
        let scope = first(self.fields, "scope").unwrap_or_default();
        scope.split_ascii_whitespace().map(str::to_owned).collect()
    }
}

/// A form for everybody who may agree, and one to refuse
fn consent_page(world: &World, asked: &Asked<'_>, action: &str) -> Response {
    let people = world.people.values().filter(|person| !person.bot);
    let forms = people.map(|person| {
        let mut fields = asked.fields.to_vec();
        fields.push(("login".to_owned(), person.login.clone()));
        let button = format!("<button>Authorize as {}</button>", escape(&person.login));
        form(action, &fields, &button)
    });
    let forms: String = forms.collect();
    let deny = form(action, asked.fields, "<button>Deny</button>");
    let scopes = asked.wanted();
    let scopes = scopes
        .iter()
        .map(|scope| format!("<li><code>{}</code></li>", escape(scope)));
    let scopes: String = scopes.collect();
    let name = &asked.client.name;
    let body = format!("<ul>{scopes}</ul>{forms}{deny}");
    page(
        200,
        &format!("Authorize {name} to use your account?"),
        &body,
    )
}
