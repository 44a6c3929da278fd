//! Results and failures as JSON

use bindery_plugin_proto::v1::{self, output::Kind};
use serde_json::{Map, Value, json};

use crate::{diff::is_default, show};

mod delivery;

/// What an operation gave, pages included, as fixtures expect it.
pub(crate) fn outcome(pages: &[Kind], end: &Result<Kind, v1::Failure>) -> Value {
    let end = match end {
        Err(failure) => return json!({"error": error(failure)}),
        Ok(kind) => kind,
    };
    let mut out = Map::new();
    for page in pages {
        let (name, value) = kind(page);
        let list = out.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(value);
        }
    }
    if !matches!(end, Kind::Empty(_)) {
        let (name, value) = kind(end);
        out.insert(name.to_owned(), value);
    }
    Value::Object(out)
}

fn error(failure: &v1::Failure) -> Value {
    compact(json!({
        "code": show::code(failure.code()),
        "message": failure.message,
        "http_status": failure.http_status,
        "retry_after_ms": failure.retry_after_ms,
        "missing_scopes": failure.missing_scopes,
        "action_uri": failure.action_uri,
    }))
}

fn kind(kind: &Kind) -> (&'static str, Value) {
    match kind {
        Kind::Identity(identity) => ("identity", self::identity(identity)),
        Kind::TokenFacts(facts) => ("token_facts", token_facts(facts)),
        Kind::Organizations(page) => ("organizations", organizations(page)),
        Kind::Repositories(page) => ("repositories", repositories(page)),
        Kind::Repository(one) => ("repository", repository(one)),
        Kind::Refs(page) => ("refs", refs(page)),
        Kind::Revocation(one) => ("revocation", revocation(one)),
        Kind::Server(facts) => (
            "server",
            compact(json!({
                "version": facts.version,
                "product": facts.product,
                "app_slug": facts.app_slug,
            })),
        ),
        Kind::Minted(one) => (
            "minted",
            compact(json!({
                "expire_unix": one.expire_unix,
                "narrowed": one.narrowed,
                "scopes": one.scopes,
            })),
        ),
        Kind::Installation(one) => ("installation", installation(one)),
        Kind::Hooks(page) => (
            "hooks",
            compact(json!({"items": each(&page.items, delivery::hook)})),
        ),
        Kind::Hook(one) => ("hook", delivery::hook(one)),
        Kind::SentDeliveries(page) => (
            "sent_deliveries",
            compact(json!({"items": each(&page.items, delivery::sent)})),
        ),
        Kind::Delivered(one) => ("delivered", delivery::delivered(one)),
        Kind::Empty(_) => ("empty", json!({})),
    }
}

fn each<T>(items: &[T], show: fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(show).collect()
}

fn identity(identity: &v1::Identity) -> Value {
    compact(json!({
        "stable_id": identity.stable_id,
        "login": identity.login,
        "display_name": identity.display_name,
        "kind": word(identity.kind().as_str_name(), "ACCOUNT_KIND_"),
        "web_uri": identity.web_uri,
    }))
}

fn installation(one: &v1::Installation) -> Value {
    compact(json!({
        "installation_id": one.installation_id,
        "account": one.account.as_ref().map(identity),
        "scopes": one.scopes,
        "suspended": one.suspended,
        "all_repositories": one.all_repositories,
        "web_uri": one.web_uri,
    }))
}

fn token_facts(facts: &v1::TokenFacts) -> Value {
    compact(json!({
        "scopes": facts.scopes,
        "scopes_known": facts.scopes_known,
        "expire_unix": facts.expire_unix,
        "active": facts.active,
    }))
}

fn organizations(page: &v1::OrganizationPage) -> Value {
    let one = |one: &v1::Organization| {
        compact(json!({
            "stable_id": one.stable_id,
            "login": one.login,
            "display_name": one.display_name,
            "access": word(one.access().as_str_name(), "ORGANIZATION_ACCESS_"),
            "reason": one.reason,
            "who": word(one.who().as_str_name(), "ACTOR_"),
            "action_uri": one.action_uri,
            "role": one.role,
        }))
    };
    let items: Vec<Value> = page.items.iter().map(one).collect();
    compact(json!({
        "items": items,
        "partial": page.partial,
        "partial_reason": page.partial_reason,
        "partial_uri": page.partial_uri,
    }))
}

fn repositories(page: &v1::RepositoryPage) -> Value {
    let items: Vec<Value> = page.items.iter().map(repository).collect();
    compact(json!({"items": items, "next_cursor": page.next_cursor, "partial": page.partial}))
}

fn repository(one: &v1::Repository) -> Value {
    compact(json!({
        "stable_id": one.stable_id,
        "full_name": one.full_name,
        "clone_uri": one.clone_uri,
        "web_uri": one.web_uri,
        "default_branch": one.default_branch,
        "description": one.description,
        "private": one.private,
        "archived": one.archived,
        "can_read": one.can_read,
        "can_write": one.can_write,
        "can_administer": one.can_administer,
        "display_name": one.display_name,
        "ssh_uri": one.ssh_uri,
        "fork": one.fork,
        "updated_unix_ms": one.updated_unix_ms,
        "internal": one.internal,
    }))
}

fn refs(page: &v1::RefPage) -> Value {
    let one = |one: &v1::Ref| {
        compact(json!({
            "name": one.name,
            "kind": word(one.kind().as_str_name(), "REF_KIND_"),
            "commit": one.commit,
            "protected": one.protected,
        }))
    };
    let items: Vec<Value> = page.items.iter().map(one).collect();
    compact(json!({"items": items, "next_cursor": page.next_cursor}))
}

fn revocation(one: &v1::Revocation) -> Value {
    compact(json!({
        "outcome": word(one.outcome().as_str_name(), "REVOCATION_OUTCOME_"),
        "message": one.message,
        "action_uri": one.action_uri,
    }))
}

/// `ACCOUNT_KIND_USER` as `USER`; what is not set is empty.
fn word(name: &str, prefix: &str) -> String {
    let word = name.strip_prefix(prefix).unwrap_or(name);
    if word == "UNSPECIFIED" {
        String::new()
    } else {
        word.to_owned()
    }
}

/// Without what is empty, false or zero.
fn compact(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !is_default(value));
    }
    value
}
