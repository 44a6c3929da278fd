//! Receipts of unlinks.

use bindery_proto::v1 as wire;

use crate::{call::Call, convert, names, pages, status::Failure};

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
