//! Changes of a repository as a whole

use bindery_plugin_sdk::{
    Result, delivery,
    v1::{self, Happening, RepositoryChange, happening::Kind},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Changed {
    action: String,
    #[serde(default)]
    changes: Changes,
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    name: String,
    full_name: String,
}

/// What it was before: its name, or its owner.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Changes {
    repository: Option<Renamed>,
    owner: Option<Transferred>,
}

#[derive(Deserialize)]
struct Renamed {
    name: From<String>,
}

#[derive(Deserialize)]
struct From<T> {
    from: T,
}

#[derive(Deserialize)]
struct Transferred {
    from: Owner,
}

#[derive(Deserialize)]
struct Owner {
    user: Option<Account>,
    organization: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

pub(super) fn read(input: &v1::ParseDelivery) -> Result<Vec<Happening>> {
    let changed: Changed = delivery::json(input)?;
    Ok(changed.happening().into_iter().collect())
}

impl Changed {
    fn happening(self) -> Option<Happening> {
        let full_name = self.repository.full_name.clone();
        let (kind, before) = match self.action.as_str() {
            "renamed" => (RepositoryChange::Renamed, self.name_before()),
            "transferred" => (RepositoryChange::Transferred, self.owner_before()),
            "deleted" => (RepositoryChange::Deleted, full_name.clone()),
            "archived" => (RepositoryChange::Archived, full_name.clone()),
            "unarchived" => (RepositoryChange::Unarchived, full_name.clone()),
            "privatized" | "publicized" => (RepositoryChange::VisibilityChanged, full_name.clone()),
            _ => return None,
        };
        let is_gone = kind == RepositoryChange::Deleted;
        Some(delivery::happening(Kind::RepositoryChanged(
            v1::RepositoryChanged {
                kind: kind.into(),
                before,
                after: if is_gone { String::new() } else { full_name },
            },
        )))
    }

    fn name_before(&self) -> String {
        let owner = self.repository.full_name.split('/').next();
        match (&self.changes.repository, owner) {
            (Some(renamed), Some(owner)) => format!("{owner}/{}", renamed.name.from),
            _ => String::new(),
        }
    }

    fn owner_before(&self) -> String {
        let from = self.changes.owner.as_ref().map(|owner| &owner.from);
        let account = from.and_then(|from| from.user.as_ref().or(from.organization.as_ref()));
        account.map_or_else(String::new, |account| {
            format!("{}/{}", account.login, self.repository.name)
        })
    }
}
