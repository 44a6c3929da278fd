//! Repositories and refs.

use bindery_core::{
    problem::{Problem, Reason},
    provider::{RefKind, Repository},
};
use bindery_engine::repositories::Paging;
use bindery_proto::v1::{self as wire, Permission, repository_service_server::RepositoryService};

use crate::{
    call::{Call, service},
    convert::{common, repository as convert},
    fields::Fields,
    names, pages,
    status::Failure,
};

service! {
    RepositoryService, run;
    serve list_repositories(wire::ListRepositoriesRequest) -> wire::ListRepositoriesResponse = list;
    serve get_repository(wire::GetRepositoryRequest) -> wire::Repository = get;
    serve list_refs(wire::ListRefsRequest) -> wire::ListRefsResponse = refs;
    serve check_access(wire::CheckAccessRequest) -> wire::CheckAccessResponse = check;
}

/// What providers give on one page.
const MOST: u32 = 100;

async fn list(
    call: Call,
    request: wire::ListRepositoriesRequest,
) -> Result<wire::ListRepositoriesResponse, Failure> {
    let (namespace, id) = names::link(&request.parent)?;
    let mut fields = Fields::default();
    fields.text("query", &request.query, 200);
    fields.text("owner", &request.owner, 200);
    fields.finish()?;
    let paging = Paging {
        cursor: call.cursor(&request)?,
        size: pages::size(&request, MOST)?,
    };
    let listing =
        call.engine()
            .list_repositories(&namespace, &id, &request.owner, &request.query, paging);
    let page = listing.await?;
    let seen = page
        .items
        .into_iter()
        .map(|seen| convert::repository(&request.parent, seen));
    let hookable = |known: &wire::Repository| known.can_add_hook() == wire::Answer::Yes;
    let message =
        "the provider leaves repositories out; ListOrganizations says where access is restricted";
    Ok(wire::ListRepositoriesResponse {
        repositories: seen
            .filter(|known| !request.can_add_hook_only || hookable(known))
            .collect(),
        next_page_token: call.next_cursor(&request, &page.next_cursor),
        partial: page.partial,
        partial_message: if page.partial {
            message.to_owned()
        } else {
            String::new()
        },
    })
}

async fn get(call: Call, request: wire::GetRepositoryRequest) -> Result<wire::Repository, Failure> {
    let (namespace, id, repository) = names::repository(&request.name)?;
    let seen = call
        .engine()
        .repository(&namespace, &id, &repository.to_engine())
        .await?;
    Ok(convert::repository(
        &format!("namespaces/{namespace}/links/{id}"),
        seen,
    ))
}

async fn refs(
    call: Call,
    request: wire::ListRefsRequest,
) -> Result<wire::ListRefsResponse, Failure> {
    let (namespace, id, repository) = names::repository(&request.parent)?;
    let mut fields = Fields::default();
    fields.text("query", &request.query, 200);
    let kind = fields.take(
        "kind",
        convert::ref_kind(request.kind).ok_or("is no known kind"),
    );
    fields.finish()?;
    let paging = Paging {
        cursor: call.cursor(&request)?,
        size: pages::size(&request, MOST)?,
    };
    let (kind, name) = (kind.flatten(), repository.to_engine());
    let page = call
        .engine()
        .list_refs(&namespace, &id, &name, kind, paging)
        .await?;
    let branches = page.items.iter().any(|seen| seen.kind == RefKind::Branch);
    let default = if branches {
        call.engine()
            .repository(&namespace, &id, &name)
            .await?
            .default_branch
    } else {
        String::new()
    };
    let asked = page
        .items
        .into_iter()
        .filter(|seen| seen.name.contains(&request.query));
    Ok(wire::ListRefsResponse {
        refs: asked
            .map(|seen| convert::reference(seen, &default))
            .collect(),
        next_page_token: call.next_cursor(&request, &page.next_cursor),
    })
}

async fn check(
    call: Call,
    request: wire::CheckAccessRequest,
) -> Result<wire::CheckAccessResponse, Failure> {
    let (namespace, id, repository) = names::repository(&request.name)?;
    let permission = request.permission();
    let able = able(permission)?;
    let seen = match call
        .engine()
        .repository(&namespace, &id, &repository.to_engine())
        .await
    {
        Ok(seen) => seen,
        Err(problem) if is_answer(&problem) => return Ok(refused(problem)),
        Err(problem) => return Err(problem.into()),
    };
    let allowed = able(&seen);
    let shown = convert::repository(&format!("namespaces/{namespace}/links/{id}"), seen);
    let findings = if allowed {
        Vec::new()
    } else {
        vec![denied(permission, &shown)]
    };
    Ok(wire::CheckAccessResponse {
        allowed: convert::answer(allowed).into(),
        visibility: shown.visibility,
        findings,
        repository: Some(shown),
    })
}

/// How to tell from a repository whether a permission holds for it.
fn able(permission: Permission) -> Result<fn(&Repository) -> bool, Failure> {
    match permission {
        Permission::ReadCode => Ok(|seen| seen.can_read),
        Permission::WriteCode => Ok(|seen| seen.can_write && !seen.archived),
        Permission::Webhooks => Ok(|seen| seen.can_administer),
        _ => {
            let why = "is none that this release can check for a repository; name READ_CODE, WRITE_CODE or WEBHOOKS";
            Err(crate::fields::wrong("permission", why))
        }
    }
}

/// Whether a problem is the "no" that was asked for.
fn is_answer(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::ProviderNotFound
            | Reason::ProviderDenied
            | Reason::ScopeMissing
            | Reason::OrganizationRestricted
    )
}

fn refused(problem: Problem) -> wire::CheckAccessResponse {
    wire::CheckAccessResponse {
        allowed: wire::Answer::No.into(),
        findings: vec![common::finding(problem)],
        ..wire::CheckAccessResponse::default()
    }
}

fn denied(permission: Permission, shown: &wire::Repository) -> wire::Finding {
    let message = format!(
        "the provider does not give the identity {} on {}; give it that right there",
        permission.as_str_name(),
        shown.full_name
    );
    wire::Finding {
        severity: wire::Severity::Error.into(),
        reason: Reason::ProviderDenied.as_str().to_owned(),
        message,
        who_must_act: wire::WhoMustAct::OrganizationOwner.into(),
        action_uri: shown.web_uri.clone(),
        until_time: None,
    }
}
