//! Making links and authorizing them anew.

use bindery_core::{name::NamespaceName, problem::Problem, secret::Secret};
use bindery_engine::{
    flows::{HandedIn, Shown, StarterSays},
    links::{Created, Method},
};
use bindery_proto::v1 as wire;

use super::shown;
use crate::{
    access::denied,
    call::Call,
    convert::{self, common},
    fields::{Fields, etag},
    names,
    policy::{Action, Verdict},
    status::Failure,
};

/// Longest code, state and issuer that are taken.
const CODE: usize = 4 << 10;

pub(super) async fn create(
    call: Call,
    mut request: wire::CreateLinkRequest,
) -> Result<wire::CreateLinkResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let only_checked = request.validate_only;
    let offered = std::mem::take(&mut request.offered_namespaces);
    let mut new = convert::link::new_link(request, call.caller.name())?;
    for name in &offered {
        new.offered.extend(chosen(&call, name)?);
    }
    may_name_installation(&call, Some(&new.method))?;
    let created = call.engine().create_link(new, key.as_ref()).await?;
    let link = &created.link.record;
    call.note.resource(link.resource());
    call.note.fact("host", link.host.to_string());
    if let Some(identity) = &link.identity {
        call.note.fact("identity", identity.stable_id.clone());
    }
    let mut answer = answer(&call, created).await?;
    if only_checked && let Some(link) = &mut answer.link {
        // There is no such link: its id was drawn for the check.
        link.name.clear();
        link.etag.clear();
    }
    Ok(answer)
}

async fn answer(call: &Call, created: Created) -> Result<wire::CreateLinkResponse, Failure> {
    Ok(wire::CreateLinkResponse {
        link: Some(shown(call, &created.link).await?),
        authorization: created.authorization.map(convert::link::authorization),
        findings: created.findings.into_iter().map(common::found).collect(),
    })
}

pub(super) async fn reauthorize(
    call: Call,
    request: wire::ReauthorizeLinkRequest,
) -> Result<wire::ReauthorizeLinkResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let name = names::link(&request.name)?;
    let ask = convert::link::reauthorize(request, name, call.caller.name())?;
    may_name_installation(&call, ask.method.as_ref())?;
    let created = call.engine().reauthorize_link(ask, key.as_ref()).await?;
    let answer = answer(&call, created).await?;
    Ok(wire::ReauthorizeLinkResponse {
        link: answer.link,
        authorization: answer.authorization,
        findings: answer.findings,
    })
}

/// Ids of installations can be guessed, and the app gets a token for each. So only who may change hosts, and could take
/// their keys anyway, may bind one by its id; all others prove in a browser that it is theirs.
fn may_name_installation(call: &Call, method: Option<&Method>) -> Result<(), Failure> {
    if !matches!(method, Some(Method::Installation { id: Some(_) })) || call.caller.omnipotent() {
        return Ok(());
    }
    match call.policy().judge(&call.caller, Action::Host, None) {
        Verdict::Allowed => Ok(()),
        Verdict::Known | Verdict::Unknown => Err(denied(Action::Host)),
    }
}

pub(super) async fn complete(
    call: Call,
    request: wire::CompleteLinkRequest,
) -> Result<wire::Link, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, id) = names::link(&request.name)?;
    let code = Secret::new(request.code);
    let mut fields = Fields::default();
    let fits = |text: &str| !text.is_empty() && text.len() <= CODE;
    fields.check(
        fits(code.expose()),
        "code",
        "is missing or longer than 4 KiB",
    );
    fields.check(
        fits(&request.state),
        "state",
        "is missing or longer than 4 KiB",
    );
    fields.text("issuer", &request.issuer, CODE);
    fields.finish()?;
    let handed = HandedIn {
        principal: call.caller.name(),
        state: &request.state,
        code,
        issuer: Some(request.issuer.as_str()).filter(|issuer| !issuer.is_empty()),
    };
    let entry = call
        .engine()
        .complete_link(&namespace, &id, handed, key.as_ref())
        .await?;
    shown(&call, &entry).await
}

pub(super) async fn confirm(
    call: Call,
    request: wire::ConfirmLinkRequest,
) -> Result<wire::Link, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, id) = names::link(&request.name)?;
    let chosen = chosen(&call, &request.namespace)?;
    let says = StarterSays {
        principal: call.caller.name(),
        code: said(&request.link_code),
        identity: said(&request.identity_stable_id),
        shown: Shown {
            namespace: &request.namespace,
            instance_type: &request.instance_type,
            region: &request.region,
        },
        move_to: chosen.as_ref(),
        allow_personal_account: request.allow_personal_account,
        expect: etag(&request.etag)?,
    };
    let confirmed = call
        .engine()
        .confirm_by_starter(&namespace, &id, says, key.as_ref())
        .await?;
    shown(&call, &confirmed.link).await
}

/// A namespace that the person chose, or may choose. The table of rights has looked at the link's own; this one needs the same right.
fn chosen(call: &Call, name: &str) -> Result<Option<NamespaceName>, Failure> {
    if name.is_empty() {
        return Ok(None);
    }
    let namespace = names::namespace(name)?;
    if call.caller.omnipotent() {
        return Ok(Some(namespace));
    }
    let policy = call.policy();
    match policy.judge(&call.caller, Action::Link, Some(namespace.as_str())) {
        Verdict::Allowed => Ok(Some(namespace)),
        Verdict::Known => Err(denied(Action::Link)),
        Verdict::Unknown => Err(Problem::not_found(name).into()),
    }
}

fn said(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(super) async fn cancel(
    call: Call,
    request: wire::CancelLinkRequest,
) -> Result<wire::Link, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, id) = names::link(&request.name)?;
    let expect = etag(&request.etag)?;
    let entry = call
        .engine()
        .cancel_link(&namespace, &id, expect, key.as_ref())
        .await?;
    shown(&call, &entry).await
}
