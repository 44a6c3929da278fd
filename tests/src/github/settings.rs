//! Where people see and take back what they allowed, and owners decide about apps

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use super::pages::{escape, page};
use super::web::{Visitor, see_other};
use super::world::{Org, World};
use super::{Inner, json, pages};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sent {
    authenticity_token: Option<String>,
    client_id: String,
    decision: String,
}

/// `GET /settings/applications`: the apps that the visitor authorized
pub(super) async fn applications(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.login.clone() else {
        return see_other("/login?return_to=%2Fsettings%2Fapplications");
    };
    let world = inner.world();
    let grants = world.grants.iter().filter(|grant| grant.login == login);
    let items = grants.map(|grant| {
        let id = escape(&grant.client_id);
        let name = world
            .app(&grant.client_id)
            .map_or("", |app| app.name.as_str());
        format!(
            "<li><a href=\"/settings/connections/applications/{id}\">{}</a> \
             <span class=\"note\">authorized {}</span> {}</li>",
            escape(name),
            json::time(grant.created),
            revoke_button(
                &visitor,
                &format!("/settings/connections/applications/{id}/revoke")
            ),
        )
    });
    let list = list(items.collect(), "You have authorized no application.");
    visitor.show("Applications", &page("Authorized OAuth Apps").add(&list))
}

/// `GET /settings/connections/applications/{client_id}`
pub(super) async fn application(
    State(inner): State<Arc<Inner>>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.login.clone() else {
        let here = format!("%2Fsettings%2Fconnections%2Fapplications%2F{client_id}");
        return see_other(&format!("/login?return_to={here}"));
    };
    let world = inner.world();
    let Some(app) = world.app(&client_id) else {
        return pages::not_found();
    };
    let orgs = world
        .orgs
        .iter()
        .filter(|org| org.members.contains_key(&login));
    let orgs = orgs.map(|org| org_item(&visitor, org, &client_id, &login));
    let base = format!("/settings/connections/applications/{}", escape(&client_id));
    let body = page(&app.name)
        .add("<h2>Organization access</h2>")
        .add(&list(orgs.collect(), "You are in no organization."))
        .add(&match world.grant(&login, &client_id) {
            Some(_) => revoke_button(&visitor, &format!("{base}/revoke")),
            None => "<p>You have not authorized this application.</p>".to_owned(),
        });
    visitor.show(&app.name, &body)
}

/// `POST /settings/connections/applications/{client_id}/revoke`
pub(super) async fn revoke_application(
    State(inner): State<Arc<Inner>>,
    Path(client_id): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(sent.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    inner.world().revoke_grant(&login, &client_id);
    see_other("/settings/applications")
}

/// `POST /settings/connections/applications/{client_id}/{org}`: request access, or grant it
pub(super) async fn request_access(
    State(inner): State<Arc<Inner>>,
    Path((client_id, org)): Path<(String, String)>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(sent.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    let mut world = inner.world();
    let Some(org) = world
        .org_mut(&org)
        .filter(|org| org.members.contains_key(&login))
    else {
        return pages::not_found();
    };
    if org.is_owner(&login) {
        org.approved.insert(client_id.clone());
    } else {
        org.requested.insert(client_id.clone());
    }
    see_other(&format!("/settings/connections/applications/{client_id}"))
}

/// `GET /settings/tokens`: the visitor's personal access tokens
pub(super) async fn tokens(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.login.clone() else {
        return see_other("/login?return_to=%2Fsettings%2Ftokens");
    };
    let world = inner.world();
    let tokens = world.tokens.iter();
    let tokens = tokens.filter(|token| token.login == login && token.client_id().is_none());
    let items = tokens.map(|token| {
        let expires = token.expires.map_or_else(
            || "has no expiration date".to_owned(),
            |end| format!("expires {}", json::time(end)),
        );
        format!(
            "<li><strong>{}</strong> <code>{}</code> <span class=\"note\">{expires}</span> {}</li>",
            escape(&token.note),
            escape(&token.scope_list()),
            revoke_button(&visitor, &format!("/settings/tokens/{}/revoke", token.id)),
        )
    });
    let list = list(items.collect(), "You have no personal access token.");
    visitor.show("Tokens", &page("Personal access tokens").add(&list))
}

/// `POST /settings/tokens/{id}/revoke`
pub(super) async fn revoke_token(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(sent.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    let mut world = inner.world();
    world
        .tokens
        .retain(|token| token.id != id || token.login != login || token.client_id().is_some());
    see_other("/settings/tokens")
}

/// `GET /organizations/{org}/settings/oauth_application_policy`
pub(super) async fn policy(
    State(inner): State<Arc<Inner>>,
    Path(org): Path<String>,
    headers: HeaderMap,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.login.clone() else {
        let here = format!("%2Forganizations%2F{org}%2Fsettings%2Foauth_application_policy");
        return see_other(&format!("/login?return_to={here}"));
    };
    let world = inner.world();
    let Some(org) = world.org(&org).filter(|org| org.is_owner(&login)) else {
        return pages::not_found();
    };
    let apps = org.requested.union(&org.approved);
    let apps = apps.map(|client_id| policy_item(&visitor, &world, org, client_id));
    let state = if org.restricted {
        "Access restricted"
    } else {
        "No restrictions"
    };
    let body = page("Third-party application access policy")
        .add(&format!("<p>Policy: <strong>{state}</strong></p>"))
        .add(&list(apps.collect(), "No application was requested."));
    visitor.show("Third-party access", &body)
}

/// `POST /organizations/{org}/settings/oauth_application_policy`
pub(super) async fn decide_policy(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(sent.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    let mut world = inner.world();
    let Some(org) = world.org_mut(&name).filter(|org| org.is_owner(&login)) else {
        return pages::not_found();
    };
    org.requested.remove(&sent.client_id);
    if sent.decision == "grant" {
        org.approved.insert(sent.client_id);
    } else {
        org.approved.remove(&sent.client_id);
    }
    let name = &org.login;
    see_other(&format!(
        "/organizations/{name}/settings/oauth_application_policy"
    ))
}

fn list(items: String, none: &str) -> String {
    if items.is_empty() {
        format!("<p>{none}</p>")
    } else {
        format!("<ul>{items}</ul>")
    }
}

fn revoke_button(visitor: &Visitor, action: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{action}\">{}\
         <button class=\"danger\" name=\"revoke\" value=\"1\">Revoke</button></form>",
        visitor.hidden_token()
    )
}

fn org_item(visitor: &Visitor, org: &Org, client_id: &str, login: &str) -> String {
    let name = escape(&org.login);
    if !org.restricted || org.approved.contains(client_id) {
        return format!("<li><strong>{name}</strong> ✓ access</li>");
    }
    if org.requested.contains(client_id) && !org.is_owner(login) {
        return format!("<li><strong>{name}</strong> access request pending</li>");
    }
    let ask = if org.is_owner(login) {
        "Grant"
    } else {
        "Request access"
    };
    format!(
        "<li><strong>{name}</strong> ✕ restricted <form method=\"post\" \
         action=\"/settings/connections/applications/{}/{name}\">{}\
         <button name=\"org\" value=\"{name}\">{ask}</button></form></li>",
        escape(client_id),
        visitor.hidden_token()
    )
}

fn policy_item(visitor: &Visitor, world: &World, org: &Org, client_id: &str) -> String {
    let name = world
        .app(client_id)
        .map_or(client_id, |app| app.name.as_str());
    let approved = org.approved.contains(client_id);
    let (state, decision, button) = if approved {
        ("approved", "deny", "Deny access")
    } else {
        ("pending review", "grant", "Grant access")
    };
    format!(
        "<li><strong>{}</strong> {state} <form method=\"post\">{}{}\
         <button name=\"decision\" value=\"{decision}\">{button}</button></form></li>",
        escape(name),
        visitor.hidden_token(),
        pages::hidden("client_id", client_id),
    )
}
