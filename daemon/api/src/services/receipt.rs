//! Receipts of unlinks.

use bindery_proto::v1 as wire;

use super::slice;
use crate::{access::EVERYWHERE, call::Call, convert, names, pages, status::Failure};

pub(super) async fn get(
    call: Call,
    request: wire::GetReceiptRequest,
) -> Result<wire::Receipt, Failure> {
    let (namespace, id) = names::receipt(&request.name)?;
    let entry = call.engine().receipt(&namespace, &id).await?;
    Ok(convert::receipt::receipt(&entry.record))
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
    let receipts = page
        .items
        .iter()
        .map(|entry| convert::receipt::receipt(&entry.record));
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
            receipts.push(convert::receipt::receipt(&receipt));
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
