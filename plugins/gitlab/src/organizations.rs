//! Groups, and what the identity may do in each
//!
//! The list of groups does not tell the role. It can be limited to groups with at least some role, so it is asked for role
//! by role, from the highest on, and a group's role is that of the list in which it comes first. The last list has no limit:
//! in what only that one holds the account is no member, but reaches single projects or subgroups. That is fewer requests
//! than one for each group, and no group is left out because its role is too small.
//!
//! Restrictions are made for a whole tree of groups, so one group of each tree is asked for by itself: one that is listed
//! and yet not there is hidden from this address.

use std::collections::{BTreeMap, BTreeSet};

use bindery_plugin_sdk::{Cx, Response, Result, Url, join_all, v1};
use serde::Deserialize;

use crate::{
    call::{self, Barrier},
    paging::{Start, next, page_size},
};

/// Trees that are asked about at once.
const AT_ONCE: usize = 5;

/// Roles by level, from the highest on, and none. A role in between counts as the one below it.
const ROLES: [Option<(u32, &str)>; 6] = [
    Some((50, "owner")),
    Some((40, "maintainer")),
    Some((30, "developer")),
    Some((20, "reporter")),
    Some((10, "guest")),
    None,
];

/// The least role that may create webhooks.
const HOOKS: u32 = 40;

/// The least role that may read private code.
const CODE: u32 = 20;

#[derive(Clone, Deserialize)]
struct Group {
    id: u64,
    #[serde(default)]
    name: String,
    full_path: String,
}

/// What was found out about a group.
#[derive(Clone)]
struct Verdict {
    access: v1::OrganizationAccess,
    reason: String,
    who: v1::Actor,
    page: String,
}

/// Verdicts on trees, by the name of their root.
type Trees = BTreeMap<String, Option<Verdict>>;

pub(crate) async fn list(cx: &Cx, input: &v1::ListOrganizations) -> Result<()> {
    let mut seen = BTreeSet::new();
    let mut trees = Trees::new();
    for role in ROLES {
        let mut start: Option<Start> = None;
        loop {
            let url = page(cx, role, page_size(input.page_size))?;
            let url = match start.take() {
                Some(start) => start.on(url),
                None => url,
            };
            let response = call::get(cx, url).await?;
            let mut found: Vec<Group> = response.json()?;
            found.retain(|group| seen.insert(group.id));
            judge_trees(cx, &mut trees, &found).await?;
            let items = found.iter().map(|group| describe(cx, group, role, &trees));
            let items = items.collect::<Result<Vec<_>>>()?;
            start = next(&response)?;
            emit(cx, items);
            if start.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// A page that repeats what came before is none.
fn emit(cx: &Cx, items: Vec<v1::Organization>) {
    if !items.is_empty() {
        cx.emit(v1::OrganizationPage {
            items,
            ..v1::OrganizationPage::default()
        });
    }
}

/// Sorted by id, so that a group made meanwhile moves none to another page. Not what the whole server has, which is what
/// an administrator would get.
fn page(cx: &Cx, role: Option<(u32, &str)>, size: u32) -> Result<Url> {
    let url = cx.api(&["groups"])?;
    let url = match role {
        Some((level, _)) => url.query("min_access_level", level),
        None => url.query("all_available", false),
    };
    Ok(url
        .query("order_by", "id")
        .query("sort", "asc")
        .query("per_page", size))
}

async fn judge_trees(cx: &Cx, trees: &mut Trees, found: &[Group]) -> Result<()> {
    let mut open: Vec<&Group> = Vec::new();
    for group in found {
        let new = !trees.contains_key(root(group));
        if new && open.iter().all(|other| root(other) != root(group)) {
            open.push(group);
        }
    }
    for some in open.chunks(AT_ONCE) {
        let verdicts = join_all(some.iter().map(|group| judge(cx, group))).await;
        for (group, verdict) in some.iter().zip(verdicts) {
            trees.insert(root(group).to_owned(), verdict?);
        }
    }
    Ok(())
}

fn root(group: &Group) -> &str {
    group.full_path.split('/').next().unwrap_or_default()
}

/// What keeps the link from a whole tree; none where nothing does.
async fn judge(cx: &Cx, group: &Group) -> Result<Option<Verdict>> {
    let url = cx.api(&["groups", &group.id.to_string()])?;
    let response = call::ask(cx, url.query("with_projects", false)).await?;
    match response.status() {
        200 => response.json::<Group>().map(|_| None),
        404 => hidden(cx, root(group)).map(Some),
        _ => refused(cx, &response).map(Some),
    }
}

fn hidden(cx: &Cx, root: &str) -> Result<Verdict> {
    Ok(Verdict {
        access: v1::OrganizationAccess::RestrictedByPolicy,
        reason:
            "the group hides itself from Bindery, as it does from addresses that it does not allow"
                .to_owned(),
        who: v1::Actor::OrganizationOwner,
        page: cx.web(&["groups", root, "-", "edit"])?.into(),
    })
}

/// A refused token, a used-up limit or an account that is blocked ends the whole operation. Everything else is about this
/// tree, and must not hide the others.
fn refused(cx: &Cx, response: &Response) -> Result<Verdict> {
    let (access, reason, page) = match call::barrier(cx, response) {
        Some(Barrier::SignOn(page)) => (
            v1::OrganizationAccess::SsoRequired,
            "the group asks for a single sign-on session".to_owned(),
            page,
        ),
        Some(Barrier::Scope(scopes)) => (
            v1::OrganizationAccess::ScopeTooSmall,
            format!("the token lacks the scope {}", scopes.join(" or ")),
            String::new(),
        ),
        Some(Barrier::Account(_) | Barrier::Possession) => return Err(call::failure(cx, response)),
        None if matches!(response.status(), 401 | 429) => return Err(call::failure(cx, response)),
        None => {
            return Ok(Verdict {
                access: v1::OrganizationAccess::Unknown,
                reason: format!("GitLab answered with status {}", response.status()),
                who: v1::Actor::Unspecified,
                page: String::new(),
            });
        }
    };
    Ok(Verdict {
        access,
        reason,
        who: v1::Actor::User,
        page,
    })
}

fn describe(
    cx: &Cx,
    group: &Group,
    role: Option<(u32, &str)>,
    trees: &Trees,
) -> Result<v1::Organization> {
    let barred = trees.get(root(group)).cloned().flatten();
    let verdict = match barred {
        Some(verdict) => verdict,
        None => by_role(cx, group, role)?,
    };
    Ok(v1::Organization {
        stable_id: group.id.to_string(),
        login: group.full_path.clone(),
        display_name: group.name.clone(),
        access: verdict.access.into(),
        reason: verdict.reason,
        who: verdict.who.into(),
        action_uri: verdict.page,
        role: role.map_or("", |(_, name)| name).to_owned(),
    })
}

/// A role too small for code is no refusal of the whole group: public and single projects may be there all the same.
fn by_role(cx: &Cx, group: &Group, role: Option<(u32, &str)>) -> Result<Verdict> {
    let members = || -> Result<String> {
        let path = group.full_path.split('/');
        let segments: Vec<&str> = ["groups"]
            .into_iter()
            .chain(path)
            .chain(["-", "group_members"])
            .collect();
        Ok(cx.web(&segments)?.into())
    };
    let (access, reason, who, page) = match role {
        Some((HOOKS.., _)) => (
            v1::OrganizationAccess::Granted,
            String::new(),
            v1::Actor::Unspecified,
            String::new(),
        ),
        Some((CODE.., name)) => (
            v1::OrganizationAccess::Granted,
            format!("the role {name} creates no webhooks: that takes a maintainer"),
            v1::Actor::OrganizationOwner,
            members()?,
        ),
        Some((_, name)) => (
            v1::OrganizationAccess::Unknown,
            format!("the role {name} reads no private code: that takes a reporter"),
            v1::Actor::OrganizationOwner,
            members()?,
        ),
        None => (
            v1::OrganizationAccess::NoMembership,
            "the account is no member, and reaches single projects or subgroups at most".to_owned(),
            v1::Actor::OrganizationOwner,
            members()?,
        ),
    };
    Ok(Verdict {
        access,
        reason,
        who,
        page,
    })
}
