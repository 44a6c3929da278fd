//! Listing sources, of one link or of all that the caller may see, in the order of their creation.

use bindery_core::source::Source;
use bindery_engine::Versioned;
use bindery_proto::v1 as wire;

use crate::{
    call::Call,
    convert::source as convert,
    filter::{Filter, LABELS},
    names, pages,
    policy::Action,
    services::slice,
    status::Failure,
};

/// What a filter may compare.
const FIELDS: [&str; 4] = ["repository", "hook.state", "paused", LABELS];

pub(super) async fn list(
    call: Call,
    request: wire::ListSourcesRequest,
) -> Result<wire::ListSourcesResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let filter = Filter::parse(&request.filter, &FIELDS)?;
    let all = found(&call, &request.parent).await?;
    // What no filter asks for is not read: the hooks of a page are enough.
    let (page, next) = if filter == Filter::default() {
        let (page, next) = slice(all, offset, size);
        (shown(&call, page).await?, next)
    } else {
        let mut shown = shown(&call, all).await?;
        shown.retain(|source| filter.admits(|field| convert::field_of(source, field)));
        slice(shown, offset, size)
    };
    Ok(wire::ListSourcesResponse {
        sources: page,
        next_page_token: call.next_cursor(&request, &next),
    })
}

async fn found(call: &Call, parent: &str) -> Result<Vec<Versioned<Source>>, Failure> {
    let (namespace, link) = names::any_link(parent)?;
    if let (Some(namespace), Some(link)) = (&namespace, &link) {
        call.engine().link(namespace, link).await?;
    }
    let mut all = Vec::new();
    for namespace in call.namespaces(namespace, Action::Read).await? {
        let some = call.engine().sources_of(&namespace, link.as_ref());
        all.extend(some.await?);
    }
    all.sort_by_key(|entry| (entry.record.created, entry.record.name()));
    Ok(all)
}

async fn shown(call: &Call, sources: Vec<Versioned<Source>>) -> Result<Vec<wire::Source>, Failure> {
    let mut shown = Vec::with_capacity(sources.len());
    for source in sources {
        let view = call.engine().with_hook(source).await?;
        shown.push(convert::source(call.engine(), view));
    }
    Ok(shown)
}
