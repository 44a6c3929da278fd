//! Receipts of unlinks.

use bindery_core::receipt::Receipt;
use bindery_proto::v1 as wire;

use super::slice;
use crate::{
    access::EVERYWHERE, call::Call, convert, names, pages, policy::Action, status::Failure,
};

pub(super) async fn get(
    call: Call,
    request: wire::GetReceiptRequest,
) -> Result<wire::Receipt, Failure> {
    let (namespace, id) = names::receipt(&request.name)?;
    let entry = call.engine().receipt(&namespace, &id).await?;
    Ok(shown(&call, &entry.record))
}

/// A receipt, as the caller may know it: of links in namespaces that they may not read it gives the number alone.
pub(super) fn shown(call: &Call, receipt: &Receipt) -> wire::Receipt {
    let mut shown = convert::receipt::receipt(receipt);
    let all = shown.affected_links.len();
    let may_know = |link: &String| {
        names::link(link).is_ok_and(|(namespace, _)| call.has_right(Action::Read, &namespace))
    };
    shown.affected_links.retain(may_know);
    let hidden = all - shown.affected_links.len();
    shown.hidden_affected_link_count = i32::try_from(hidden).unwrap_or(i32::MAX);
    shown
}

/// What an unlink would do, as [`shown`].
pub(super) fn preview(call: &Call, planned: &Receipt) -> wire::Receipt {
    wire::Receipt {
        preview: true,
        complete: false,
        ..shown(call, planned)
    }
}

pub(super) async fn list(
    call: Call,
    request: wire::ListReceiptsRequest,
) -> Result<wire::ListReceiptsResponse, Failure> {
    if request.parent == EVERYWHERE {
        return list_everywhere(&call, &request).await;
    }
    let namespace = names::namespace(&request.parent)?;
    let (size, place) = (pages::size(&request, 1000)?, call.place(&request)?);
    call.engine().namespace(&namespace).await?;
    let page = call
        .engine()
        .list_receipts(&namespace, place.as_deref(), size as usize)
        .await?;
    let receipts = page.items.iter().map(|entry| shown(&call, &entry.record));
    Ok(wire::ListReceiptsResponse {
        receipts: receipts
            .filter(|receipt| !(request.incomplete_only && receipt.complete))
            .collect(),
        next_page_token: call.next(&request, page.next.as_deref()),
    })
}

/// Over all namespaces that the caller may see: sorted by name, and cut into pages here.
async fn list_everywhere(
    call: &Call,
    request: &wire::ListReceiptsRequest,
) -> Result<wire::ListReceiptsResponse, Failure> {
    let (size, offset) = (pages::size(request, 1000)?, call.offset(request)?);
    let mut receipts = Vec::new();
    for namespace in call.visible(&request.parent).await? {
        for receipt in call.engine().all_receipts(&namespace).await? {
            receipts.push(shown(call, &receipt));
        }
    }
    receipts.retain(|receipt| !(request.incomplete_only && receipt.complete));
    receipts.sort_by(|one, other| one.name.cmp(&other.name));
    let (receipts, next) = slice(receipts, offset, size);
    Ok(wire::ListReceiptsResponse {
        receipts,
        next_page_token: call.next_cursor(request, &next),
    })
}
