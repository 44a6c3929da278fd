//! What the token may do to repositories
//!
//! A repository does not say. For a person there is a list of permissions for each workspace; for a token that is
//! nobody's, its scopes are all there is.

use std::collections::BTreeMap;

use bindery_plugin_sdk::{Cx, Response, Result, Url};
use serde::Deserialize;

use super::{page, place::Place};

/// What may be done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rights {
    /// Push.
    pub(crate) write: bool,
    /// Create webhooks.
    pub(crate) administer: bool,
}

/// Permissions of a person, by the repository's id. What is not in it is public.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<String, Rights>);

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    permission: String,
    repository: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    uuid: String,
}

impl Table {
    /// All permissions in a workspace.
    pub(crate) async fn of_workspace(cx: &Cx, workspace: &str) -> Result<Self> {
        Self::read(cx, workspace, |url| url).await
    }

    /// The permission for one repository.
    pub(crate) async fn of_repository(cx: &Cx, workspace: &str, full_name: &str) -> Result<Self> {
        let filter = format!("repository.full_name={}", quoted(full_name));
        Self::read(cx, workspace, |url| url.query("q", filter)).await
    }

    async fn read(cx: &Cx, workspace: &str, narrow: impl FnOnce(Url) -> Url) -> Result<Self> {
        if Place::of(cx).is_some() {
            return Ok(Self::default());
        }
        let list = [
            "user",
            "workspaces",
            workspace,
            "permissions",
            "repositories",
        ];
        let first = narrow(cx.api(&list)?).query("pagelen", 100);
        let entries: Vec<Entry> = page::all(cx, &list, first).await?;
        let known = entries.into_iter().filter_map(|entry| {
            let rights = Rights::named(&entry.permission);
            entry.repository.map(|repository| (repository.uuid, rights))
        });
        Ok(Self(known.collect()))
    }

    /// Rights to a repository that came with `response`.
    pub(crate) fn rights(&self, cx: &Cx, uuid: &str, response: &Response) -> Rights {
        match Place::of(cx) {
            Some(_) => Rights::of_scopes(&granted(response).unwrap_or_default()),
            None => self.0.get(uuid).copied().unwrap_or_default(),
        }
    }
}

impl Rights {
    fn named(permission: &str) -> Self {
        Self {
            write: matches!(permission, "write" | "admin"),
            administer: permission == "admin",
        }
    }

    fn of_scopes(scopes: &[String]) -> Self {
        let has = |name: &str| scopes.iter().any(|scope| scope == name);
        Self {
            write: has("repository:write"),
            // Where there is no person there is no other right to ask about than the scope itself.
            administer: has("webhook") || has("repository:admin"),
        }
    }
}

/// Scopes of the token, which most answers name in `X-OAuth-Scopes`.
pub(crate) fn granted(response: &Response) -> Option<Vec<String>> {
    let list = response.header("x-oauth-scopes")?;
    let names = list.split([',', ' ']).filter(|name| !name.is_empty());
    Some(names.map(str::to_owned).collect())
}

/// A string of Bitbucket's query language.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
