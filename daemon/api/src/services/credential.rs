//! Hand-out of tokens. Each one is written to the audit log, the token never.

use std::time::Instant;

use bindery_core::{
    audit::{Deed, Survives},
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
};
use bindery_engine::credentials::{Access, Asked, Credential, Wanted};
use bindery_proto::v1::{self as wire, credential_service_server::CredentialService};

use super::lease;
use crate::{
    access::denied,
    call::{Call, service},
    convert::credential::{About, credential, min_remaining},
    names::{self, RepositoryRef, encoded},
    policy::{Action, Reach},
    status::Failure,
};

service! {
    CredentialService, run;
    serve fetch_read_credential(wire::FetchReadCredentialRequest) -> wire::Credential = read;
    serve fetch_read_write_credential(wire::FetchReadWriteCredentialRequest) -> wire::Credential = read_write;
    serve revoke_lease(wire::RevokeLeaseRequest) -> wire::RevokeLeaseResponse = lease::revoke;
    serve list_leases(wire::ListLeasesRequest) -> wire::ListLeasesResponse = lease::list;
}

/// What both calls ask for.
struct Ask {
    link: String,
    repository: String,
    min_remaining: Option<prost_types::Duration>,
    require_narrowed: bool,
    access: Access,
}

async fn read(
    call: Call,
    request: wire::FetchReadCredentialRequest,
) -> Result<wire::Credential, Failure> {
    let ask = Ask {
        link: request.link,
        repository: request.repository,
        min_remaining: request.min_remaining,
        require_narrowed: request.require_narrowed,
        access: Access::Read,
    };
    audited(&call, ask).await
}

async fn read_write(
    call: Call,
    request: wire::FetchReadWriteCredentialRequest,
) -> Result<wire::Credential, Failure> {
    let ask = Ask {
        link: request.link,
        repository: request.repository,
        min_remaining: request.min_remaining,
        require_narrowed: request.require_narrowed,
        access: Access::ReadWrite,
    };
    audited(&call, ask).await
}

/// The record is written by whoever called this, before the answer goes.
async fn audited(call: &Call, ask: Ask) -> Result<wire::Credential, Failure> {
    call.note.repository(&ask.repository);
    call.note.fact("access", word(ask.access));
    let handed = hand_out(call, &ask).await;
    let (provider, outcome) = match &handed {
        Ok((provider, handed)) => {
            call.note.fact("lease", handed.lease.as_str());
            (provider.as_str(), "ok")
        }
        Err(failure) => (
            failure.metadata("provider").unwrap_or_default(),
            failure.reason().as_str_name(),
        ),
    };
    call.api.metrics().fetched(provider, outcome);
    if handed.is_ok() {
        watch_hoards(call, &ask.link).await;
    }
    handed.map(|(_, handed)| handed)
}

/// Tells of a caller who collects: in the log, in the metrics, and in the audit log. It is not refused: a large registry
/// may do what a thief does.
async fn watch_hoards(call: &Call, link: &str) {
    let caller = call.caller.name();
    let Some(links) = call.api.hoards().note(caller, link, Instant::now()) else {
        return;
    };
    tracing::warn!(caller, links, "A caller fetches credentials of many links");
    call.api.metrics().hoarded();
    let deed = Deed {
        actor: caller.to_owned(),
        action: "daemon/grant-alarm".to_owned(),
        code: "OK".to_owned(),
        facts: [("links_in_a_minute".to_owned(), links.to_string())].into(),
        ..Deed::default()
    };
    if let Err(error) = call.api.audit().record(deed, Survives::Daemon).await {
        tracing::error!(%error, "An alarm is not in the audit log");
    }
}

const fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::ReadWrite => "read_write",
    }
}

const fn action(access: Access) -> Action {
    match access {
        Access::Read => Action::CredentialRead,
        Access::ReadWrite => Action::CredentialWrite,
    }
}

/// The name of the provider, and the credential.
async fn hand_out(call: &Call, ask: &Ask) -> Result<(String, wire::Credential), Failure> {
    let (namespace, link) = names::link(&ask.link)?;
    let (about, reach) = Repository::find(call, ask, &namespace, &link).await?;
    let wanted = Wanted {
        min_remaining: min_remaining(ask.min_remaining)?,
        insist: ask.min_remaining.is_some(),
        repository: about
            .as_ref()
            .map(|known| Asked::new(&known.named))
            .transpose()?,
        require_narrowed: ask.require_narrowed || reach == Reach::Repository,
        access: ask.access,
        holder: call.caller.name().to_owned(),
        namespace,
        link,
    };
    let handed = call.engine().fetch_credential(&wanted).await;
    let handed = handed.map_err(|problem| told(problem, reach))?;
    let provider = handed.provider.to_string();
    let about = about.map_or_else(|| nowhere(&wanted), |known| known.about(&wanted, &handed));
    Ok((provider, credential(handed, about)))
}

/// A token that can't be limited to a repository is refused for the rule's sake as well: then the operator can do something.
fn told(problem: Problem, reach: Reach) -> Problem {
    if problem.reason != Reason::ProviderUnsupported || reach == Reach::Whole {
        return problem;
    }
    let message = "the policy gives tokens for some repositories only, and this link has none that reaches no other; link \
                   an app's installation, or set wide_tokens = true in the rule";
    Problem::new(Reason::ProviderUnsupported, message)
}

fn nowhere(wanted: &Wanted) -> About {
    About {
        namespace: format!("namespaces/{}", wanted.namespace),
        repository: String::new(),
        clone_uri: String::new(),
    }
}

/// The repository that a credential is asked for.
struct Repository {
    id: String,
    /// As the engine names it.
    named: String,
    full_name: String,
    /// As the provider says; empty where it was not asked.
    clone_uri: String,
}

impl Repository {
    /// Finds the repository, and asks the policy what a token for it may reach. A full name is taken as it is; a stable id is looked up,
    /// since rules are about names.
    async fn find(
        call: &Call,
        ask: &Ask,
        namespace: &NamespaceName,
        link: &LinkId,
    ) -> Result<(Option<Self>, Reach), Failure> {
        let may = |name: Option<&str>| {
            let (policy, action) = (call.policy(), action(ask.access));
            let reach = policy.reach(&call.caller, action, namespace.as_str(), name);
            reach.ok_or_else(|| denied(action))
        };
        if ask.repository.is_empty() {
            return may(None).map(|reach| (None, reach));
        }
        let named = RepositoryRef::parse(&ask.repository);
        let named = named.ok_or_else(|| {
            crate::fields::wrong("repository", "is no full name such as acme/api, nor an id")
        })?;
        let found = match named {
            RepositoryRef::FullName(name) => Self {
                id: name.clone(),
                named: name.clone(),
                full_name: name,
                clone_uri: String::new(),
            },
            RepositoryRef::StableId(_) => {
                // Asks the provider: large, so it is on the heap, and the usual way does not carry its size.
                let named = named.to_engine();
                let seen = Box::pin(call.engine().repository(namespace, link, &named)).await?;
                Self {
                    id: seen.stable_id,
                    named,
                    full_name: seen.full_name,
                    clone_uri: seen.clone_uri,
                }
            }
        };
        may(Some(&found.full_name)).map(|reach| (Some(found), reach))
    }

    fn about(self, wanted: &Wanted, handed: &Credential) -> About {
        let namespace = format!("namespaces/{}", wanted.namespace);
        let clone_uri = match self.clone_uri {
            empty if empty.is_empty() => format!("{}/{}.git", handed.forge, self.full_name),
            told => told,
        };
        About {
            repository: format!(
                "{namespace}/links/{}/repositories/{}",
                wanted.link,
                encoded(&self.id)
            ),
            namespace,
            clone_uri,
        }
    }
}
