//! New secrets for many hooks.

use std::time::Duration;

use bindery_core::{name::NamespaceName, problem::Problem, rotation::HookRotation, source::Source};
use bindery_engine::hooks::{OVERLAP, Rotate};
use bindery_proto::v1 as wire;

use crate::{
    access::EVERYWHERE,
    call::Call,
    convert::{common::duration, source as convert},
    fields::wrong,
    filter::{Filter, LABELS, label_of},
    names, pages,
    policy::Action,
    services::slice,
    status::Failure,
};

/// What a filter may compare.
const FIELDS: [&str; 4] = ["host", "link", "repository", LABELS];

/// Longest time for which old and new secret are both accepted.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

pub(super) async fn rotate(
    call: Call,
    request: wire::RotateHookSecretsRequest,
) -> Result<wire::HookRotation, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let filter = Filter::parse(&request.filter, &FIELDS)?;
    let overlap = overlap(&request)?;
    let one = match request.parent.as_str() {
        EVERYWHERE => None,
        parent => Some(names::namespace(parent)?),
    };
    let asked = Rotate {
        sources: chosen(&call, one.clone(), &filter).await?,
        overlap,
        actor: call.caller.name().to_owned(),
        validate_only: request.validate_only,
        request: key,
    };
    let parts = call.engine().rotate_hook_secrets(asked).await?;
    let id = parts.first().map(|part| part.id.to_string());
    let name = format!(
        "{}/hookRotations/{}",
        request.parent,
        id.unwrap_or_default()
    );
    call.note.resource(name.clone());
    Ok(convert::rotation(name, &parts))
}

fn overlap(request: &wire::RotateHookSecretsRequest) -> Result<Duration, Failure> {
    let Some(wire) = request.overlap else {
        return Ok(OVERLAP);
    };
    let asked = duration(wire).filter(|asked| *asked <= LONGEST);
    asked.ok_or_else(|| {
        wrong(
            "overlap",
            "is longer than seven days, or no duration; give less",
        )
    })
}

/// The sources that a filter names, by their namespaces; those that are not the caller's to change are left out.
async fn chosen(
    call: &Call,
    one: Option<NamespaceName>,
    filter: &Filter,
) -> Result<Vec<(NamespaceName, Vec<Source>)>, Failure> {
    let mut chosen = Vec::new();
    for namespace in call.namespaces(one, Action::Source).await? {
        let all = call.engine().sources_of(&namespace, None).await?;
        let sources = all.into_iter().map(|entry| entry.record);
        let fits = |source: &Source| filter.admits(|field| field_of(source, field));
        chosen.push((namespace, sources.filter(fits).collect()));
    }
    Ok(chosen)
}

fn field_of(source: &Source, field: &str) -> String {
    match field {
        "host" => format!("hosts/{}", source.host),
        "link" => format!("namespaces/{}/links/{}", source.namespace, source.link),
        "repository" => source.repository.clone(),
        label => label_of(&source.labels, label),
    }
}

pub(super) async fn get(
    call: Call,
    request: wire::GetHookRotationRequest,
) -> Result<wire::HookRotation, Failure> {
    let parts = parts(&call, &request.name).await?;
    Ok(convert::rotation(request.name, &parts))
}

pub(super) async fn reports(
    call: Call,
    request: wire::ListHookRotationReportsRequest,
) -> Result<wire::ListHookRotationReportsResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let parts = parts(&call, &request.parent).await?;
    let all = parts.into_iter().flat_map(|part| part.hooks).collect();
    let (page, next) = slice(all, offset, size);
    Ok(wire::ListHookRotationReportsResponse {
        reports: page.into_iter().map(convert::report).collect(),
        next_page_token: call.next_cursor(&request, &next),
    })
}

/// The rotations of one id, as far as the caller may see them.
async fn parts(call: &Call, name: &str) -> Result<Vec<HookRotation>, Failure> {
    let (namespace, id) = names::rotation(name)?;
    if let Some(namespace) = &namespace {
        return Ok(vec![call.engine().rotation(namespace, &id).await?]);
    }
    let mut all = Vec::new();
    for namespace in call.namespaces(None, Action::Read).await? {
        all.extend(call.engine().rotation(&namespace, &id).await.ok());
    }
    if all.is_empty() {
        return Err(Problem::not_found(name).into());
    }
    Ok(all)
}
