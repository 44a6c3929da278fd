//! What the API says about apps and their installations

use serde_json::{Value, json};

use super::apps::{AskedFor, GitHubApp, Installation};
use super::world::World;
use super::{ApiPlace, Inner, json};

/// An app in an answer of its own
pub(super) fn app(inner: &Inner, world: &World, app: &GitHubApp) -> Value {
    let installed = world.installations.iter();
    let installed = installed.filter(|one| one.app == app.id).count();
    let events = world.app_hook(app.id).map(|hook| hook.events.clone());
    json!({
        "id": app.id, "slug": app.slug, "node_id": json::node_id("Integration", app.id),
        "client_id": app.client_id, "owner": json::account_of(inner, world, &app.owner),
        "name": app.name, "description": null, "external_url": inner.web,
        "html_url": format!("{}/{}", inner.web, page(inner, &app.slug)),
        "created_at": json::time(app.created), "updated_at": json::time(app.created),
        "permissions": app.permissions, "events": events.unwrap_or_default(), "installations_count": installed,
    })
}

/// An installation, as lists have it and in an answer of its own
pub(super) fn installation(inner: &Inner, world: &World, one: &Installation) -> Value {
    let (api, id) = (&inner.api, one.id);
    let app = world.github_app(one.app);
    let is_org = world.org(&one.account).is_some();
    let settings = if is_org {
        format!("organizations/{}/settings", one.account)
    } else {
        "settings".to_owned()
    };
    json!({
        "id": id, "account": json::account_of(inner, world, &one.account),
        "repository_selection": if one.repos.is_some() { "selected" } else { "all" },
        "access_tokens_url": format!("{api}/app/installations/{id}/access_tokens"),
        "repositories_url": format!("{api}/installation/repositories"),
        "html_url": format!("{}/{settings}/installations/{id}", inner.web),
        "app_id": one.app, "client_id": app.map(|app| &app.client_id),
        "app_slug": app.map_or("", |app| app.slug.as_str()),
        "target_id": world.account_id(&one.account),
        "target_type": if is_org { "Organization" } else { "User" },
        "permissions": one.permissions, "events": [],
        "created_at": json::time(one.created), "updated_at": json::time(one.created),
        "single_file_name": null, "has_multiple_single_files": false, "single_file_paths": [],
        "suspended_by": null, "suspended_at": one.suspended.map(json::time),
    })
}

/// What a member asked the owners of an organization for
pub(super) fn asked_for(inner: &Inner, world: &World, one: &AskedFor) -> Value {
    json!({
        "id": one.id, "node_id": json::node_id("IntegrationInstallationRequest", one.id),
        "account": json::account_of(inner, world, &one.account),
        "requester": json::account_of(inner, world, &one.requester),
        "created_at": json::time(one.created),
    })
}

/// The path of an app's page, which Enterprise Server has elsewhere
pub(super) fn page(inner: &Inner, slug: &str) -> String {
    match inner.options.api {
        ApiPlace::Enterprise => format!("github-apps/{slug}"),
        ApiPlace::OwnHost => format!("apps/{slug}"),
    }
}
