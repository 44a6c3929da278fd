//! What the operator is told of the audit log.

use bindery_core::audit::{AuditQuery, AuditRecord, FIELDS};
use bindery_proto::admin::v1 as wire;
use data_encoding::HEXLOWER;
use prost_types::Timestamp;

use crate::{
    call::Call,
    convert::common::{moment, principal, time},
    fields::wrong,
    filter::Filter,
    pages,
    status::Failure,
};

/// What page tokens belong to.
const LIST: &str = "/bindery.admin.v1.AdminService/ListAuditRecords";

pub(super) async fn list(
    call: Call,
    request: wire::ListAuditRecordsRequest,
) -> Result<wire::ListAuditRecordsResponse, Failure> {
    let (tokens, caller) = (call.api.pages(), call.caller.name());
    let place = tokens.open(caller, LIST, &request)?;
    let query = AuditQuery {
        below: place.and_then(|place| Some(u64::from_be_bytes(place.try_into().ok()?))),
        since: at("since_time", request.since_time)?,
        until: at("until_time", request.until_time)?,
        filter: Filter::parse(&request.filter, FIELDS)?,
        limit: pages::size(&request, 1000)? as usize,
    };
    let page = call.api.audit().list(query).await?;
    let last = page.records.last().filter(|_| page.more);
    let seal =
        |last: &AuditRecord| tokens.seal(caller, LIST, &request, &last.sequence.to_be_bytes());
    Ok(wire::ListAuditRecordsResponse {
        next_page_token: last.map(seal).unwrap_or_default(),
        records: page.records.into_iter().map(record).collect(),
    })
}

pub(super) async fn verify(
    call: Call,
    _: wire::VerifyAuditRequest,
) -> Result<wire::VerifyAuditResponse, Failure> {
    let began = std::time::Instant::now();
    let verdict = call.api.audit().verify().await?;
    let (broken, message) = verdict.broken.clone().unwrap_or_default();
    Ok(wire::VerifyAuditResponse {
        intact: verdict.broken.is_none(),
        record_count: number(verdict.records),
        broken_sequence: number(broken),
        message,
        elapsed: prost_types::Duration::try_from(began.elapsed()).ok(),
    })
}

fn at(
    field: &'static str,
    given: Option<Timestamp>,
) -> Result<Option<bindery_core::time::Timestamp>, Failure> {
    let why = "is no time after 1970; leave it out for all";
    let read = |given: &Timestamp| moment(given).ok_or_else(|| wrong(field, why));
    given.as_ref().map(read).transpose()
}

fn record(record: AuditRecord) -> wire::AuditRecord {
    let deed = record.deed;
    wire::AuditRecord {
        sequence: number(record.sequence),
        record_time: Some(time(record.time)),
        actor: Some(principal(&deed.actor)),
        action: deed.action,
        resource: deed.resource,
        repository: deed.repository,
        code: deed.code,
        reason: deed.reason,
        request_id: deed.request_id,
        facts: deed.facts.into_iter().collect(),
        chain_hash: HEXLOWER.encode(&record.chain),
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
