//! Hosts.

use std::time::Instant;

use bindery_core::{
    exchange::ProbeReport,
    host::Host,
    name::HostName,
    problem::{Problem, Reason},
};
use bindery_engine::{LinkFilter, Versioned, hosts::Probe};
use bindery_proto::v1::{
    self as wire,
    host_service_server::HostService,
    probe_host_request::Target,
    probe_host_response::{Layer, Leg, Outcome, Verdict},
};

use crate::{
    call::{Call, service},
    convert::{self, common::time},
    fields::{etag, no_validate_only, request_id},
    filter::Filter,
    names, pages,
    status::Failure,
};

service! {
    HostService, run;
    serve create_host(wire::CreateHostRequest) -> wire::Host = create;
    serve get_host(wire::GetHostRequest) -> wire::Host = get;
    serve list_hosts(wire::ListHostsRequest) -> wire::ListHostsResponse = list;
    serve update_host(wire::UpdateHostRequest) -> wire::Host = update;
    serve delete_host(wire::DeleteHostRequest) -> () = delete;
    serve probe_host(wire::ProbeHostRequest) -> wire::ProbeHostResponse = probe;
}

async fn create(call: Call, request: wire::CreateHostRequest) -> Result<wire::Host, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let new = convert::host::new_host(&request.host_id, request.host)?;
    let entry = if request.validate_only {
        let (record, _) = call.engine().admit_host(new)?;
        Versioned { record, version: 0 }
    } else {
        call.engine().create_host(new, key.as_ref()).await?
    };
    Ok(convert::host::host(&entry, call.engine(), 0))
}

async fn get(call: Call, request: wire::GetHostRequest) -> Result<wire::Host, Failure> {
    let name = names::host(&request.name)?;
    let entry = call.engine().host(&name).await?;
    with_links(&call, &entry).await
}

async fn with_links(call: &Call, entry: &Versioned<Host>) -> Result<wire::Host, Failure> {
    let links = count(call, &entry.record.name).await?;
    Ok(convert::host::host(entry, call.engine(), links))
}

/// Links to a host, over all namespaces. It reads every link, so listings do without.
async fn count(call: &Call, host: &HostName) -> Result<usize, Failure> {
    let filter = LinkFilter {
        host: Some(host.clone()),
        include_unlinked: false,
    };
    let (mut links, mut after) = (0, None);
    loop {
        let page = call.engine().list_namespaces(after.as_deref(), 256).await?;
        for entry in &page.items {
            links += super::namespace::count(call.engine(), &entry.record.name, &filter).await?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(links);
        }
    }
}

async fn list(
    call: Call,
    request: wire::ListHostsRequest,
) -> Result<wire::ListHostsResponse, Failure> {
    let (size, place) = (pages::size(&request, 1000)?, call.place(&request)?);
    let filter = Filter::parse(&request.filter, &["provider"])?;
    let page = call
        .engine()
        .list_hosts(place.as_deref(), size as usize)
        .await?;
    let hosts = page
        .items
        .iter()
        .map(|entry| convert::host::host(entry, call.engine(), 0));
    Ok(wire::ListHostsResponse {
        hosts: hosts
            .filter(|host| filter.admits(|_| host.provider.clone()))
            .collect(),
        next_page_token: call.next(&request, page.next.as_deref()),
    })
}

async fn update(call: Call, request: wire::UpdateHostRequest) -> Result<wire::Host, Failure> {
    request_id(&request.request_id)?;
    no_validate_only(request.validate_only)?;
    let given = request.host.unwrap_or_default();
    let name = names::host(&given.name)?;
    let expect = etag(&given.etag)?;
    let old = call.engine().host(&name).await?;
    let update = convert::host::update(given, request.update_mask, &old.record)?;
    // The new network rules are built on what was read here, so nothing may have come in between.
    let expect = expect.or(update.network.is_some().then_some(old.version));
    let entry = call.engine().update_host(&name, update, expect).await?;
    with_links(&call, &entry).await
}

async fn delete(call: Call, request: wire::DeleteHostRequest) -> Result<(), Failure> {
    request_id(&request.request_id)?;
    no_validate_only(request.validate_only)?;
    let name = names::host(&request.name)?;
    let deleted = call.engine().delete_host(&name, etag(&request.etag)?).await;
    missing_is_fine(deleted, request.allow_missing)
}

/// Lets a deletion of what is not there succeed, if that was asked for.
pub(super) fn missing_is_fine(deleted: Result<(), Problem>, allow: bool) -> Result<(), Failure> {
    match deleted {
        Err(problem) if allow && problem.reason == Reason::NotFound => Ok(()),
        other => Ok(other?),
    }
}

async fn probe(
    call: Call,
    request: wire::ProbeHostRequest,
) -> Result<wire::ProbeHostResponse, Failure> {
    let name = match request.target {
        Some(Target::Name(name)) => names::host(&name)?,
        Some(Target::Host(_)) => return Err(Failure::later("probing a host that is not stored")),
        None => {
            return Err(crate::fields::wrong(
                "name",
                "is missing; name the host to probe",
            ));
        }
    };
    let began = Instant::now();
    let probe = call.engine().probe_host(&name).await?;
    tracing::debug!(host = %name, took = ?began.elapsed(), "Host probed");
    Ok(response(&probe))
}

fn response(probe: &Probe) -> wire::ProbeHostResponse {
    let mut verdicts = leg(Leg::Web, &probe.web);
    verdicts.extend(leg(Leg::Api, &probe.api));
    verdicts.push(api(probe));
    let version = probe.server.as_ref().map(|facts| facts.version.clone());
    wire::ProbeHostResponse {
        healthy: verdicts
            .iter()
            .all(|verdict| verdict.outcome() != Outcome::Failed),
        verdicts,
        server_version: version.unwrap_or_default(),
        clock_skew: skew(probe),
        probe_time: Some(time(probe.at)),
    }
}

fn leg(leg: Leg, report: &ProbeReport) -> Vec<Verdict> {
    let layers = [
        (Layer::Dns, &report.dns),
        (Layer::Tcp, &report.tcp),
        (Layer::Tls, &report.tls),
        (Layer::Http, &report.http),
    ];
    layers
        .map(|(layer, step)| verdict(leg, layer, step.as_ref()))
        .into()
}

fn verdict(leg: Leg, layer: Layer, step: Option<&Result<String, Problem>>) -> Verdict {
    let (outcome, reason, message) = match step {
        None => (Outcome::Skipped, "", ""),
        Some(Ok(message)) => (Outcome::Ok, "", message.as_str()),
        Some(Err(problem)) => (
            Outcome::Failed,
            problem.reason.as_str(),
            problem.message.as_str(),
        ),
    };
    Verdict {
        leg: leg.into(),
        layer: layer.into(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..Verdict::default()
    }
}

/// What the plugin made of the API's answer; nothing, where there was no answer to make something of.
fn api(probe: &Probe) -> Verdict {
    let said = probe.server.as_ref().map(|facts| {
        format!("{} {}", facts.product, facts.version)
            .trim()
            .to_owned()
    });
    let said = said.map_err(Clone::clone);
    let answered = matches!(probe.api.http, Some(Ok(_))) || said.is_ok();
    verdict(Leg::Api, Layer::Api, answered.then_some(&said))
}

/// How far the server's clock is ahead, in whole seconds.
fn skew(probe: &Probe) -> Option<prost_types::Duration> {
    let date = i64::try_from(probe.api.date_unix.or(probe.web.date_unix)?).ok()?;
    let here = i64::try_from(probe.at.unix_seconds()).ok()?;
    Some(prost_types::Duration {
        seconds: date - here,
        nanos: 0,
    })
}
