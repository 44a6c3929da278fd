//! The one table of rights: what a caller needs for each call, and where the namespace stands in its request.
//!
//! A call without a row does not compile into a service (see `call`), and a test walks the schema and compares it with
//! this table (THREATS G1).

use bindery_core::{name::NamespaceName, problem::Problem};
use bindery_proto::v1::{self, ErrorReason};

use crate::{
    peer::Caller,
    policy::{Action, Policy, Verdict},
    status::Failure,
};

/// What one call needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    /// Full name, as in the path: `/bindery.v1.LinkService/GetLink`.
    pub method: &'static str,
    /// The right.
    pub action: Action,
    /// Where it must hold, and what a refusal tells.
    pub scope: Scope,
    /// Whether a caller may ask that it is checked only (`validate_only`).
    pub checkable: bool,
}

/// Where a right must hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// In the namespace of the resource. Who has no right there is told that the resource does not exist.
    Namespaced,
    /// As `Namespaced`; `namespaces/-` stands for all namespaces where it holds.
    Across,
    /// Any right in the namespace of the resource lets in; the call asks for more where the resource is another's.
    Present,
    /// In the namespace that is made. A refusal says so: there is nothing to hide.
    Made,
    /// On the whole daemon. A refusal says so.
    Surface,
    /// Anybody may ask; the answer holds only what the caller may see.
    Filtered,
}

/// What stands for all namespaces that the caller may see.
pub(crate) const EVERYWHERE: &str = "namespaces/-";

/// A request that has a row in the table.
pub(crate) trait Governed {
    /// Its row.
    const ROW: Row;
    /// The name that its scope is taken from; of the whole daemon, the host that it is about.
    fn target(&self) -> &str;
    /// Whether it asks to be checked only: nothing changes then.
    fn only_checks(&self) -> bool;
}

/// The rows of all calls that are served.
#[must_use]
pub fn served() -> &'static [Row] {
    SERVED
}

/// Lets the call through, or says what is in the way. Asked before anything is read (THREATS G1).
pub(crate) fn authorize<M: Governed>(
    policy: &Policy,
    caller: &Caller,
    message: &M,
) -> Result<(), Failure> {
    let (row, target) = (M::ROW, message.target());
    let namespace = match row.scope {
        Scope::Filtered => return Ok(()),
        Scope::Surface => None,
        Scope::Made => Some(target),
        Scope::Across if is_everywhere(target) => return Ok(()),
        Scope::Namespaced | Scope::Across | Scope::Present => Some(namespace_of(target)?),
    };
    if caller.omnipotent() {
        return Ok(());
    }
    match (policy.judge(caller, row.action, namespace), row.scope) {
        (Verdict::Allowed, _) | (Verdict::Known, Scope::Present) => Ok(()),
        (Verdict::Unknown, Scope::Namespaced | Scope::Across | Scope::Present) => {
            Err(Problem::not_found(target).into())
        }
        _ => Err(denied(row.action)),
    }
}

/// What a call is done to, as its record in the audit log names it.
pub(crate) fn resource<M: Governed>(message: &M) -> String {
    let target = message.target();
    match M::ROW.scope {
        Scope::Made => format!("namespaces/{target}"),
        // Of the whole daemon only hosts can be named.
        Scope::Surface if !target.starts_with("hosts/") => format!("hosts/{target}"),
        _ => target.to_owned(),
    }
}

/// The host that is probed, be it stored or not.
fn probed(request: &v1::ProbeHostRequest) -> &str {
    use v1::probe_host_request::Target;
    match &request.target {
        Some(Target::Name(name)) => name,
        Some(Target::Host(host)) => &host.name,
        None => "",
    }
}

/// Whether a target stands for all namespaces that the caller may see, or for what is below them.
fn is_everywhere(target: &str) -> bool {
    let below = target.strip_prefix(EVERYWHERE);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The refusal of a caller who may know what it is about.
pub(crate) fn denied(action: Action) -> Failure {
    let message =
        format!("the policy does not give this caller the right {action}; ask the operator for it");
    Failure::new(ErrorReason::PermissionDenied, message).with("right", action.as_str())
}

/// The namespace of `namespaces/{namespace}/...`.
fn namespace_of(target: &str) -> Result<&str, Failure> {
    let name = target
        .strip_prefix("namespaces/")
        .map(|rest| rest.split_once('/').map_or(rest, |(first, _)| first));
    match name {
        Some(name) if NamespaceName::parse(name).is_ok() => Ok(name),
        _ => Err(Failure::name(target, "namespaces/{namespace}/...")),
    }
}

macro_rules! target {
    ($message:ident;) => {{
        let _ = $message;
        ""
    }};
    ($message:ident; = $function:ident) => {
        $function($message)
    };
    ($message:ident; $field:ident) => {
        &$message.$field
    };
    ($message:ident; $inner:ident . $field:ident) => {
        $message
            .$inner
            .as_ref()
            .map_or("", |inner| inner.$field.as_str())
    };
}

macro_rules! checkable {
    () => {
        false
    };
    (validate_only) => {
        true
    };
}

macro_rules! only_checks {
    ($message:ident;) => {
        false
    };
    ($message:ident; $field:ident) => {
        $message.$field
    };
}

macro_rules! table {
    ($($service:literal {
        $($method:literal ($message:ident) => $action:ident, $scope:ident($($field:tt)*) $(+ $only:ident)?;)*
    })*) => {
        $($(impl Governed for v1::$message {
            const ROW: Row = Row {
                method: concat!("/bindery.v1.", $service, "/", $method),
                action: Action::$action,
                scope: Scope::$scope,
                checkable: checkable!($($only)?),
            };
            fn target(&self) -> &str {
                target!(self; $($field)*)
            }
            fn only_checks(&self) -> bool {
                only_checks!(self; $($only)?)
            }
        })*)*
        const SERVED: &[Row] = &[$($(<v1::$message as Governed>::ROW,)*)*];
    };
}

table! {
    "ProviderService" {
        "ListProviders"(ListProvidersRequest) => Provider, Surface();
        "GetProvider"(GetProviderRequest) => Provider, Surface();
    }
    "HostService" {
        "CreateHost"(CreateHostRequest) => Host, Surface(host_id) + validate_only;
        "GetHost"(GetHostRequest) => HostRead, Surface(name);
        "ListHosts"(ListHostsRequest) => HostRead, Surface();
        "UpdateHost"(UpdateHostRequest) => Host, Surface(host.name) + validate_only;
        "DeleteHost"(DeleteHostRequest) => Host, Surface(name) + validate_only;
        "ProbeHost"(ProbeHostRequest) => Host, Surface(= probed);
        "SetUpAppHook"(SetUpAppHookRequest) => Host, Surface(name);
    }
    "NamespaceService" {
        "CreateNamespace"(CreateNamespaceRequest) => Namespace, Made(namespace_id) + validate_only;
        "GetNamespace"(GetNamespaceRequest) => Read, Namespaced(name);
        "ListNamespaces"(ListNamespacesRequest) => Read, Filtered();
        "UpdateNamespace"(UpdateNamespaceRequest) => Namespace, Namespaced(namespace.name) + validate_only;
        "DeleteNamespace"(DeleteNamespaceRequest) => Namespace, Namespaced(name) + validate_only;
    }
    "LinkService" {
        "CreateLink"(CreateLinkRequest) => Link, Namespaced(parent) + validate_only;
        "GetLink"(GetLinkRequest) => Read, Namespaced(name);
        "ListLinks"(ListLinksRequest) => Read, Across(parent);
        "UpdateLink"(UpdateLinkRequest) => Link, Namespaced(link.name) + validate_only;
        "WatchLink"(WatchLinkRequest) => Read, Namespaced(name);
        "CompleteLink"(CompleteLinkRequest) => Link, Namespaced(name);
        "ConfirmLink"(ConfirmLinkRequest) => Link, Namespaced(name);
        "CancelLink"(CancelLinkRequest) => Link, Namespaced(name);
        "ReauthorizeLink"(ReauthorizeLinkRequest) => Link, Namespaced(name) + validate_only;
        "EnableLink"(EnableLinkRequest) => Link, Namespaced(name);
        "DisableLink"(DisableLinkRequest) => Link, Namespaced(name);
        "CheckLink"(CheckLinkRequest) => Link, Namespaced(name);
        "ListOrganizations"(ListOrganizationsRequest) => Read, Namespaced(parent);
        "Unlink"(UnlinkRequest) => Link, Namespaced(name) + validate_only;
        "GetReceipt"(GetReceiptRequest) => Read, Namespaced(name);
        "ListReceipts"(ListReceiptsRequest) => Read, Across(parent);
        "ListExpiring"(ListExpiringRequest) => Read, Across(parent);
    }
    "RepositoryService" {
        "ListRepositories"(ListRepositoriesRequest) => Read, Namespaced(parent);
        "GetRepository"(GetRepositoryRequest) => Read, Namespaced(name);
        "ListRefs"(ListRefsRequest) => Read, Namespaced(parent);
        "CheckAccess"(CheckAccessRequest) => Read, Namespaced(name);
    }
    "CredentialService" {
        "FetchReadCredential"(FetchReadCredentialRequest) => CredentialRead, Namespaced(link);
        "FetchReadWriteCredential"(FetchReadWriteCredentialRequest) => CredentialWrite, Namespaced(link);
        "RevokeLease"(RevokeLeaseRequest) => CredentialRead, Present(name);
        "ListLeases"(ListLeasesRequest) => Read, Across(parent);
    }
    "SourceService" {
        "CreateSource"(CreateSourceRequest) => Source, Namespaced(parent) + validate_only;
        "GetSource"(GetSourceRequest) => Read, Namespaced(name);
        "ListSources"(ListSourcesRequest) => Read, Across(parent);
        "UpdateSource"(UpdateSourceRequest) => Source, Namespaced(source.name) + validate_only;
        "DeleteSource"(DeleteSourceRequest) => Source, Namespaced(name) + validate_only;
        "VerifySource"(VerifySourceRequest) => Source, Namespaced(name);
        "RepairSource"(RepairSourceRequest) => Source, Namespaced(name);
        "RotateHookSecrets"(RotateHookSecretsRequest) => Source, Across(parent) + validate_only;
        "GetHookRotation"(GetHookRotationRequest) => Read, Across(name);
        "ListHookRotationReports"(ListHookRotationReportsRequest) => Read, Across(parent);
        "ListOrphanHooks"(ListOrphanHooksRequest) => Source, Across(parent);
        "RemoveOrphanHooks"(RemoveOrphanHooksRequest) => Source, Across(parent) + validate_only;
        "CatchUpSource"(CatchUpSourceRequest) => Source, Namespaced(name);
        "ListDeliveries"(ListDeliveriesRequest) => Read, Namespaced(parent);
        "GetDelivery"(GetDeliveryRequest) => Read, Namespaced(name);
        "RetryDelivery"(RetryDeliveryRequest) => Source, Namespaced(name);
    }
    "EventService" {
        "WatchEvents"(WatchEventsRequest) => Event, Namespaced(parent);
        "AckEvents"(AckEventsRequest) => Event, Namespaced(parent);
        "GetEvent"(GetEventRequest) => Event, Namespaced(name);
        "ListEvents"(ListEventsRequest) => Event, Namespaced(parent);
        "ReplayEvents"(ReplayEventsRequest) => Event, Namespaced(parent) + validate_only;
        "ListConsumers"(ListConsumersRequest) => Event, Namespaced(parent);
        "DeleteConsumer"(DeleteConsumerRequest) => Event, Namespaced(name);
        "CreateSubscription"(CreateSubscriptionRequest) => Event, Namespaced(parent) + validate_only;
        "GetSubscription"(GetSubscriptionRequest) => Event, Namespaced(name);
        "ListSubscriptions"(ListSubscriptionsRequest) => Event, Namespaced(parent);
        "UpdateSubscription"(UpdateSubscriptionRequest) => Event, Namespaced(subscription.name) + validate_only;
        "RotateSubscriptionSecret"(RotateSubscriptionSecretRequest) => Event, Namespaced(name);
        "DeleteSubscription"(DeleteSubscriptionRequest) => Event, Namespaced(name);
        "ListDeadLetters"(ListDeadLettersRequest) => Event, Namespaced(parent);
        "CreateTrigger"(CreateTriggerRequest) => Source, Namespaced(parent) + validate_only;
        "GetTrigger"(GetTriggerRequest) => Read, Namespaced(name);
        "ListTriggers"(ListTriggersRequest) => Read, Namespaced(parent);
        "UpdateTrigger"(UpdateTriggerRequest) => Source, Namespaced(trigger.name) + validate_only;
        "RotateTriggerToken"(RotateTriggerTokenRequest) => Source, Namespaced(name);
        "DeleteTrigger"(DeleteTriggerRequest) => Source, Namespaced(name);
        "FireTrigger"(FireTriggerRequest) => Event, Namespaced(name);
    }
}

#[cfg(test)]
mod tests;
