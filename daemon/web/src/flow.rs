//! The way of a person: start page, forge, callback, confirmation.

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bindery_core::{
    audit::Deed,
    link::Link,
    name::FlowId,
    problem::{Problem, Reason},
    secret::Secret,
};
use bindery_engine::flows::{ConfirmView, Confirmed, Place, Returned, Shown};
use http::{HeaderMap, StatusCode, header::CONTENT_SECURITY_POLICY};

use crate::{
    audit::{self, BROWSER},
    cookie,
    failure::Failure,
    headers::policy,
    pages::{self, Ask, ConfirmPage, DeclinedPage, DonePage, StartPage},
    query::{self, Known},
    same_site,
    state::WebState,
};

/// What a forge sends back, and how long it may be.
const RETURNED: [Known; 5] = [
    ("code", 4096),
    ("state", 128),
    ("iss", 1024),
    ("error", 128),
    ("installation_id", 64),
];

/// The fields of our forms: the code, and what the page showed of the namespace, or of the one that was chosen.
const SAID: [Known; 5] = [
    ("code", 128),
    ("place", 1024),
    ("namespace", 128),
    ("instance_type", 128),
    ("region", 128),
];

type PathOf<T> = Result<Path<T>, PathRejection>;
type Answer = Result<Response, Failure>;

pub(crate) fn routes() -> Router<WebState> {
    Router::new()
        .route("/link/{flow}", get(start))
        .route("/link/{flow}/start", post(leave))
        .route("/oauth/{redirect_id}/callback", get(callback))
        .route("/link/{flow}/confirm", get(ask).post(confirm))
        .route("/link/{flow}/decline", post(decline))
}

/// Who asks for what. Gives the browser its cookie, and binds the flow to nobody yet: link previews open this page too.
async fn start(State(state): State<WebState>, path: PathOf<String>, headers: HeaderMap) -> Answer {
    let flow = flow_id(path)?;
    let view = state.engine.start_view(flow.as_str()).await?;
    let cookie = match cookie::read(&headers, &state.public_url) {
        Some(kept) => kept,
        None => cookie::make(&state.random).map_err(|_| Failure::Defect("no randomness"))?,
    };
    let page = StartPage {
        flow: flow.as_str(),
        namespace: &view.namespace,
        namespace_name: or(&view.namespace_display_name, &view.namespace),
        requester: &view.requester,
        provider: &view.provider,
        forge: &view.forge,
        asks: Ask::all(view.scopes),
        ends: view.expires.into(),
    };
    let mut response = pages::render(&page, StatusCode::OK);
    cookie::write(response.headers_mut(), &cookie, &state.public_url);
    let leads_to = policy(&[&view.forge]);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, leads_to);
    Ok(response)
}

/// Binds the flow to this browser, and sends it to the forge.
async fn leave(State(state): State<WebState>, path: PathOf<String>, headers: HeaderMap) -> Answer {
    same_site::check(&headers, &state.public_url)?;
    let flow = flow_id(path)?;
    let browser = cookie::read(&headers, &state.public_url).ok_or(Failure::NoCookie)?;
    let forge = state
        .engine
        .leave_for_forge(flow.as_str(), &browser)
        .await?;
    Ok(Redirect::to(&forge).into_response())
}

/// What the browser brings back from the forge. The answer leads to a clean URL.
async fn callback(
    State(state): State<WebState>,
    path: PathOf<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let Path(redirect_id) = path.map_err(|_| Failure::NotFound)?;
    let [code, ticket, issuer, error, installation] =
        query::pick(&query.unwrap_or_default(), RETURNED)?;
    let code = code.map(Secret::new);
    let ticket = ticket.ok_or(Failure::Malformed)?;
    // Without our cookie no flow may go on, so the engine need not look for one.
    let browser = cookie::read(&headers, &state.public_url).ok_or(Failure::NoCookie)?;
    let returned = Returned {
        redirect_id: &redirect_id,
        state: &ticket,
        code,
        error: error.as_deref(),
        issuer: issuer.as_deref(),
        installation: installation.as_deref(),
        browser: Some(&browser),
    };
    audit::ready(&state).await?;
    let flow = state.engine.callback(returned).await?;
    let deed = audit::deed(BROWSER, "web/callback", format!("flows/{flow}"));
    audit::done(&state, deed).await;
    Ok(Redirect::to(&format!("/link/{flow}/confirm")).into_response())
}

/// Who it is, and whether it is to be bound.
async fn ask(State(state): State<WebState>, path: PathOf<String>, headers: HeaderMap) -> Answer {
    let flow = flow_id(path)?;
    let browser = cookie::read(&headers, &state.public_url).ok_or(Failure::NoCookie)?;
    let view = state.engine.confirm_view(flow.as_str(), &browser).await?;
    let return_to = view.return_to.clone();
    let targets: Vec<_> = return_to.iter().map(String::as_str).collect();
    let mut response = confirm_page(&flow, view);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy(&targets));
    Ok(response)
}

fn confirm_page(flow: &FlowId, view: ConfirmView) -> Response {
    let page = ConfirmPage {
        flow: flow.as_str(),
        namespace: &view.namespace,
        namespace_name: or(&view.namespace_display_name, &view.namespace),
        requester: &view.requester,
        provider: &view.provider,
        forge: &view.forge,
        kind: view.namespace_kind,
        place: &view.place,
        choices: view.choices.iter().map(Into::into).collect(),
        personal: view.personal,
        anew: view.reauthorization,
        link: &view.link,
        login: &view.identity.login,
        display_name: &view.identity.display_name,
        stable_id: &view.identity.stable_id,
        told: view.told,
        granted: Ask::all(view.granted),
        missing: Ask::all(view.missing),
        extra: view.extra,
        warnings: view.warnings,
        code: view.confirm_code.expose(),
    };
    pages::render(&page, StatusCode::OK)
}

/// Binds.
async fn confirm(
    State(state): State<WebState>,
    path: PathOf<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let said = Said::read(&state, path, &headers, body).await?;
    let shown = said.shown.as_ref().ok_or(Failure::Malformed)?;
    let deed = said.deed(&state, "web/confirm").await?;
    let confirming = state.engine.confirm_in_browser(
        said.flow.as_str(),
        said.code.expose(),
        &said.browser,
        Shown {
            namespace: &shown.namespace,
            instance_type: &shown.instance_type,
            region: &shown.region,
        },
    );
    let named = |confirmed: &Confirmed| confirmed.link.record.resource();
    let Confirmed { link, return_to } = audit::around(&state, deed, confirming, named).await?;
    let link = link.record;
    match return_to.and_then(|page| go_back(&page, &link)) {
        Some(page) => Ok(Redirect::to(&page).into_response()),
        None => done(&state, &link).await,
    }
}

/// The registered return address, with what became of the link. It holds no secret.
fn go_back(page: &str, link: &Link) -> Option<String> {
    let mut page = url::Url::parse(page).ok()?;
    page.query_pairs_mut()
        .append_pair("link", &link.resource())
        .append_pair("status", "bound");
    Some(page.into())
}

async fn done(state: &WebState, link: &Link) -> Answer {
    let host = state.engine.host(&link.host).await?.record;
    let provider = state.engine.description(&host)?;
    let page = DonePage {
        login: link.identity.as_ref().map_or("", |who| &who.login),
        provider: &provider.display_name,
        namespace: &format!("namespaces/{}", link.namespace),
        link: &link.resource(),
    };
    Ok(pages::render(&page, StatusCode::OK))
}

/// "This is not me."
async fn decline(
    State(state): State<WebState>,
    path: PathOf<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let said = Said::read(&state, path, &headers, body).await?;
    let deed = said.deed(&state, "web/decline").await?;
    let declining =
        state
            .engine
            .decline_in_browser(said.flow.as_str(), said.code.expose(), &said.browser);
    let flow = deed.resource.clone();
    audit::around(&state, deed, declining, |()| flow).await?;
    Ok(pages::render(&DeclinedPage, StatusCode::OK))
}

/// An answer on the confirm page.
struct Said {
    flow: FlowId,
    browser: String,
    code: Secret,
    /// What the page showed of the namespace; only who confirms must say it.
    shown: Option<Place>,
}

impl Said {
    /// What the browser of this flow does. No other one gets a line in the log.
    async fn deed(&self, state: &WebState, action: &str) -> Result<Deed, Failure> {
        let awaits = state
            .engine
            .awaits_browser(self.flow.as_str(), &self.browser);
        awaits.await?;
        let flow = format!("flows/{}", self.flow);
        let mut deed = audit::deed(BROWSER, action, flow.clone());
        deed.facts.insert("flow".to_owned(), flow);
        Ok(deed)
    }

    async fn read(
        state: &WebState,
        path: PathOf<String>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, Failure> {
        same_site::check(headers, &state.public_url)?;
        let flow = flow_id(path)?;
        let browser = cookie::read(headers, &state.public_url).ok_or(Failure::NoCookie)?;
        let [code, place, namespace, instance_type, region] =
            query::form(headers, body, SAID).await?;
        let code = Secret::new(code.ok_or(Failure::Malformed)?);
        let shown = match (place, namespace) {
            (Some(_), Some(_)) => return Err(Failure::Malformed),
            (Some(place), None) => Some(pages::chosen(&place)?),
            (None, namespace) => namespace.map(|namespace| Place {
                namespace,
                instance_type: instance_type.unwrap_or_default(),
                region: region.unwrap_or_default(),
            }),
        };
        Ok(Self {
            flow,
            browser,
            code,
            shown,
        })
    }
}

/// A flow's id. One that can't be is answered like one that is over.
fn flow_id(path: PathOf<String>) -> Result<FlowId, Failure> {
    let over = || Failure::Problem(Problem::new(Reason::FlowExpired, "the flow's id is no id"));
    let Path(id) = path.map_err(|_| Failure::NotFound)?;
    FlowId::parse(&id).map_err(|_| over())
}

fn or<'a>(preferred: &'a str, otherwise: &'a str) -> &'a str {
    if preferred.is_empty() {
        otherwise
    } else {
        preferred
    }
}
