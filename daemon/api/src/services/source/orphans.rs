//! Hooks that point at this daemon and belong to no source.

use bindery_core::{
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
};
use bindery_engine::{LinkFilter, hooks::Orphan, repositories::Paging};
use bindery_proto::v1 as wire;

use crate::{
    access::{EVERYWHERE, denied},
    call::Call,
    convert::source as convert,
    fields::wrong,
    names, pages,
    policy::Action,
    status::Failure,
};

/// Repositories that one call looks into; each costs a request to the provider.
const REPOSITORIES: u32 = 50;

/// Most hooks that one call removes.
const MOST: usize = 1000;

/// A page is one page of repositories of one link: its place is the name of the link and the provider's cursor.
pub(super) async fn list(
    call: Call,
    request: wire::ListOrphanHooksRequest,
) -> Result<wire::ListOrphanHooksResponse, Failure> {
    let size = pages::size(&request, REPOSITORIES)?;
    let place = call.cursor(&request)?;
    let (at, cursor) = place.split_once(' ').unwrap_or(("", ""));
    let links = links(&call, &request.parent).await?;
    let begin = links.iter().position(|link| name_of(link) == at);
    let begin = begin.unwrap_or_default();
    let Some(whose) = links.get(begin) else {
        return Ok(wire::ListOrphanHooksResponse::default());
    };
    let paging = Paging {
        cursor: cursor.to_owned(),
        size,
    };
    let looked = call.engine().orphans_of(&whose.0, &whose.1, paging).await;
    let (hooks, rest, unreachable) = match looked {
        Ok((hooks, rest)) => (hooks, rest, Vec::new()),
        Err(problem) if problem.reason == Reason::NotFound => return Err(problem.into()),
        Err(_) => (Vec::new(), String::new(), vec![name_of(whose)]),
    };
    let next = match (rest.is_empty(), links.get(begin + 1)) {
        (false, _) => format!("{} {rest}", name_of(whose)),
        (true, Some(next)) => format!("{} ", name_of(next)),
        (true, None) => String::new(),
    };
    Ok(wire::ListOrphanHooksResponse {
        hooks: hooks.into_iter().map(convert::orphan).collect(),
        next_page_token: call.next_cursor(&request, &next),
        unreachable,
    })
}

fn name_of((namespace, link): &(NamespaceName, LinkId)) -> String {
    format!("namespaces/{namespace}/links/{link}")
}

/// The links that are looked through.
async fn links(call: &Call, parent: &str) -> Result<Vec<(NamespaceName, LinkId)>, Failure> {
    let (namespace, link) = names::any_link(parent)?;
    if let (Some(namespace), Some(link)) = (&namespace, &link) {
        call.engine().link(namespace, link).await?;
    }
    let mut all = Vec::new();
    for namespace in call.namespaces(namespace, Action::Source).await? {
        let mut after = None;
        loop {
            let filter = LinkFilter::default();
            let page = call
                .engine()
                .list_links(&namespace, &filter, after.as_deref(), 256)
                .await?;
            let found = page.items.into_iter().map(|entry| entry.record.id);
            let wanted = found.filter(|id| link.as_ref().is_none_or(|link| link == id));
            all.extend(wanted.map(|id| (namespace.clone(), id)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(all)
}

pub(super) async fn remove(
    call: Call,
    request: wire::RemoveOrphanHooksRequest,
) -> Result<wire::RemoveOrphanHooksResponse, Failure> {
    call.request_key(&request, &request.request_id)?;
    if request.hooks.len() > MOST {
        return Err(wrong(
            "hooks",
            "holds more than 1,000 hooks; remove some of them first",
        ));
    }
    let one = match request.parent.as_str() {
        EVERYWHERE => None,
        parent => Some(names::namespace(parent)?),
    };
    let mut orphans = Vec::new();
    for hook in request.hooks {
        let orphan = convert::orphan_in(hook)?;
        may_remove(&call, one.as_ref(), &orphan)?;
        orphans.push(orphan);
    }
    let mut steps = Vec::new();
    // It can be done twice: what is gone is gone.
    for orphan in orphans.iter().filter(|_| !request.validate_only) {
        steps.push(call.engine().remove_orphan(orphan).await?);
    }
    call.note.fact("count", steps.len().to_string());
    Ok(wire::RemoveOrphanHooksResponse {
        steps: convert::steps(&steps),
    })
}

/// A hook is removed through a link of the namespace that the call is about, and of one where the caller has the right.
fn may_remove(call: &Call, one: Option<&NamespaceName>, orphan: &Orphan) -> Result<(), Failure> {
    let namespace = &orphan.namespace;
    match one {
        Some(one) if one == namespace => Ok(()),
        Some(_) => Err(wrong("hooks.link", "is of another namespace than parent")),
        None if call.has_right(Action::Source, namespace) => Ok(()),
        None if call.has_right(Action::Read, namespace) => Err(denied(Action::Source)),
        None => {
            Err(Problem::not_found(format!("namespaces/{namespace}/links/{}", orphan.link)).into())
        }
    }
}
