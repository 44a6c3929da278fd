//! Hosts.

use std::time::Instant;

use bindery_core::{
    host::Host,
    problem::{Problem, Reason},
};
use bindery_engine::Versioned;
use bindery_proto::v1::{
    self as wire, host_service_server::HostService, probe_host_request::Target,
};

use crate::{
    call::{Call, service},
    convert,
    fields::{etag, request_id},
    filter::{Filter, LABELS, label_of},
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
    serve set_up_app_hook(wire::SetUpAppHookRequest) -> wire::Host = set_up_app_hook;
}

async fn create(call: Call, request: wire::CreateHostRequest) -> Result<wire::Host, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let new = convert::host::new_host(&request.host_id, request.host, call.caller.name())?;
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
    let links = call.engine().links_on(&entry.record.name).await?;
    let mut host = convert::host::host(entry, call.engine(), links);
    if let Some(app) = &mut host.app {
        let hook = call.engine().app_hook(&entry.record.name).await?;
        app.hook = hook.map(|hook| convert::source::hook(call.engine(), hook));
    }
    Ok(host)
}

async fn set_up_app_hook(
    call: Call,
    request: wire::SetUpAppHookRequest,
) -> Result<wire::Host, Failure> {
    let name = names::host(&request.name)?;
    let asked = convert::host::app_hook(request)?;
    let done = call.engine().set_up_app_hook(&name, asked).await;
    let outcome = match &done {
        Ok(_) => "set up",
        Err(problem) => problem.reason.as_str(),
    };
    tracing::info!(target: "audit", who = call.caller.name(), host = %name, outcome, "Webhook of an app");
    done?;
    let entry = call.engine().host(&name).await?;
    with_links(&call, &entry).await
}

async fn list(
    call: Call,
    request: wire::ListHostsRequest,
) -> Result<wire::ListHostsResponse, Failure> {
    let (size, place) = (pages::size(&request, 1000)?, call.place(&request)?);
    let filter = Filter::parse(&request.filter, &["provider", "disabled", LABELS])?;
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
            .filter(|host| filter.admits(|field| field_of(host, field)))
            .collect(),
        next_page_token: call.next(&request, page.next.as_deref()),
    })
}

/// What a filter compares.
fn field_of(host: &wire::Host, field: &str) -> String {
    match field {
        "provider" => host.provider.clone(),
        "disabled" => host.disabled.to_string(),
        label => label_of(&host.labels, label),
    }
}

async fn update(call: Call, mut request: wire::UpdateHostRequest) -> Result<wire::Host, Failure> {
    request_id(&request.request_id)?;
    let given = request.host.as_ref();
    let name = names::host(given.map_or("", |host| host.name.as_str()))?;
    let expect = etag(given.map_or("", |host| host.etag.as_str()))?;
    let old = call.engine().host(&name).await?;
    let update = convert::host::update(&mut request, &old.record, call.caller.name())?;
    let entry = if request.validate_only {
        call.engine().try_update_host(&name, update, expect).await?
    } else {
        call.engine().update_host(&name, update, expect).await?
    };
    with_links(&call, &entry).await
}

async fn delete(call: Call, request: wire::DeleteHostRequest) -> Result<(), Failure> {
    request_id(&request.request_id)?;
    let (name, expect) = (names::host(&request.name)?, etag(&request.etag)?);
    let deleted = if request.validate_only {
        call.engine().try_delete_host(&name, expect).await
    } else {
        call.engine().delete_host(&name, expect).await
    };
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
    let began = Instant::now();
    let probe = match request.target {
        Some(Target::Name(name)) => call.engine().probe_host(&names::host(&name)?).await?,
        Some(Target::Host(host)) => {
            let new = convert::host::new_host(UNSTORED, Some(host), call.caller.name())?;
            call.engine().probe_new_host(new).await?
        }
        None => {
            return Err(crate::fields::wrong(
                "name",
                "is missing; name the host to probe",
            ));
        }
    };
    tracing::debug!(took = ?began.elapsed(), "Host probed");
    Ok(convert::host::probed(probe))
}

/// Id of a host that is probed without being stored.
const UNSTORED: &str = "new";
