//! What the token may do to repositories
//!
//! A repository does not say, but can be asked for by permission: what is listed is permitted.

use std::collections::BTreeSet;

use bindery_plugin_sdk::{Cx, Result, Url, join_all};
use serde::Deserialize;

use super::page;

/// Ids of repositories by what is permitted beyond reading, which all that is listed is open to.
#[derive(Debug, Default)]
pub(crate) struct Permitted {
    write: BTreeSet<u64>,
    administer: BTreeSet<u64>,
}

/// What may be done to one repository.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rights {
    /// Push.
    pub(crate) write: bool,
    /// Create webhooks.
    pub(crate) administer: bool,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

/// Which repositories a question is about. Servers of some age do not know the filters and give more; ids are looked
/// up, so that does no harm.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter<'a> {
    /// Key of the project; empty for all.
    pub(crate) project: &'a str,
    /// A part of the name; empty for all.
    pub(crate) name: &'a str,
}

impl Filter<'_> {
    /// The list of repositories that it leaves.
    pub(crate) fn list(&self, cx: &Cx, permission: &str) -> Result<Url> {
        let mut list = cx.api(&["repos"])?.query("permission", permission);
        if !self.project.is_empty() {
            list = list.query("projectkey", self.project);
        }
        if !self.name.is_empty() {
            list = list.query("name", self.name);
        }
        Ok(list)
    }
}

impl Permitted {
    /// Asks for what may be written and administered.
    pub(crate) async fn ask(cx: &Cx, filter: Filter<'_>) -> Result<Self> {
        let lists = ["REPO_WRITE", "REPO_ADMIN"].map(|name| ids(cx, filter, name));
        let mut found = join_all(lists).await.into_iter();
        Ok(Self {
            write: found.next().transpose()?.unwrap_or_default(),
            administer: found.next().transpose()?.unwrap_or_default(),
        })
    }

    /// The rights to a repository.
    pub(crate) fn of(&self, id: u64) -> Rights {
        Rights {
            write: self.write.contains(&id),
            administer: self.administer.contains(&id),
        }
    }
}

async fn ids(cx: &Cx, filter: Filter<'_>, permission: &str) -> Result<BTreeSet<u64>> {
    let found: Vec<Numbered> = page::all(cx, filter.list(cx, permission)?).await?;
    Ok(found.into_iter().map(|one| one.id).collect())
}
