//! What the calls do, end to end.

use bindery_proto::v1::{self as wire, observed_state::Stage};
use bindery_proto::v1::{
    create_link_request::Method, credential_service_client::CredentialServiceClient,
    host_service_client::HostServiceClient, link_service_client::LinkServiceClient,
    namespace_service_client::NamespaceServiceClient,
    provider_service_client::ProviderServiceClient,
    repository_service_client::RepositoryServiceClient,
};
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{client::reason, world::World};

const LINK: &str = "namespaces/acme/links/bound";

fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    reason(&answer.expect_err("refused"))
}

/// No other link holds it.
const OWN_TOKEN: &str = "BNDRYCANARYtoken-of-one-link";

/// The story of an operator and a registry: host, namespace, link, repositories, credential, disable, unlink.
#[tokio::test]
async fn story() {
    let world = World::new().await;
    let owner = world.caller("owner").await;
    let mut namespaces = NamespaceServiceClient::new(owner.clone());
    let namespace = wire::Namespace {
        kind: wire::namespace::Kind::User.into(),
        ..Default::default()
    };
    let request = wire::CreateNamespaceRequest {
        namespace_id: "fresh".into(),
        namespace: Some(namespace),
        ..Default::default()
    };
    let made = namespaces
        .create_namespace(request)
        .await
        .expect("namespace")
        .into_inner();
    assert_eq!(
        (made.name.as_str(), made.etag.as_str()),
        ("namespaces/fresh", "1")
    );
    let mut links = LinkServiceClient::new(owner.clone());
    let request = wire::CreateLinkRequest {
        parent: made.name,
        link: Some(wire::Link {
            host: "hosts/forge".into(),
            ..Default::default()
        }),
        method: Some(Method::AccessToken(wire::AccessToken {
            token: OWN_TOKEN.into(),
            username: String::new(),
        })),
        ..Default::default()
    };
    let link = links
        .create_link(request)
        .await
        .expect("link")
        .into_inner()
        .link
        .expect("link");
    assert_eq!(
        link.observed.as_ref().expect("observed").stage(),
        Stage::Bound
    );
    assert_eq!(link.identity.as_ref().expect("identity").login, "octo");
    assert!(!format!("{link:?}").contains("CANARY"));
    let mut credentials = CredentialServiceClient::new(owner);
    let fetch = wire::FetchReadCredentialRequest {
        link: link.name.clone(),
        repository: "acme/api".into(),
        ..Default::default()
    };
    let credential = credentials
        .fetch_read_credential(fetch.clone())
        .await
        .expect("credential")
        .into_inner();
    assert_eq!(
        (credential.token.as_str(), credential.git_username.as_str()),
        (OWN_TOKEN, "octo")
    );
    assert_eq!(credential.clone_uri, "https://forge.example/acme/api.git");
    assert_eq!(credential.api_uri, "https://forge.example/api/v1");
    assert!(!format!("{credential:?}").contains("CANARY"));
    let disable = wire::DisableLinkRequest {
        name: link.name.clone(),
        reason: "holiday".into(),
        ..Default::default()
    };
    links.disable_link(disable).await.expect("disabled");
    assert_eq!(
        why(credentials.fetch_read_credential(fetch.clone()).await),
        "LINK_DISABLED"
    );
    let enabled = links
        .enable_link(wire::EnableLinkRequest {
            name: link.name.clone(),
            reason: "back".into(),
            ..Default::default()
        })
        .await
        .expect("enabled");
    let desired = enabled.into_inner().desired.expect("desired");
    assert_eq!(desired.reason, "back");
    assert!(desired.actor.is_some_and(|actor| !actor.id.is_empty()));
    assert!(desired.set_time.is_some());
    credentials
        .fetch_read_credential(fetch)
        .await
        .expect("back at once");
    let unlink = wire::UnlinkRequest {
        name: link.name.clone(),
        ..Default::default()
    };
    let receipt = links.unlink(unlink).await.expect("receipt").into_inner();
    assert_eq!(receipt.link, link.name);
    let left: Vec<_> = receipt
        .steps
        .iter()
        .filter(|step| !step.action_uri.is_empty())
        .collect();
    assert_eq!((receipt.complete, left.len()), (false, 1));
    let again = links
        .get_receipt(wire::GetReceiptRequest {
            name: receipt.name.clone(),
        })
        .await
        .expect("kept");
    assert_eq!(again.into_inner(), receipt);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &world.registry).expect("metrics");
    assert!(
        text.contains(r#"bindery_credentials_fetched_total{provider="gitea",result="ok"} 2"#),
        "{text}"
    );
    assert!(
        text.contains(r#"method="FetchReadCredential",code="FAILED_PRECONDITION""#),
        "{text}"
    );
    assert!(!text.contains("CANARY"));
}

/// O1: only the answer to the starter has the page of a flow; others who see the link do not get it, nor may they confirm.
#[tokio::test]
async fn o1_flows_belong_to_their_starter() {
    let world = World::new().await;
    let mut owner = LinkServiceClient::new(world.caller("owner").await);
    let request = wire::CreateLinkRequest {
        parent: "namespaces/acme".into(),
        link: Some(wire::Link {
            host: "hosts/forge".into(),
            ..Default::default()
        }),
        method: Some(Method::OauthCode(wire::OAuthCode::default())),
        request_id: "0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a10".into(),
        ..Default::default()
    };
    let made = owner
        .create_link(request.clone())
        .await
        .expect("flow")
        .into_inner();
    let page = made.authorization.expect("a page").authorization_uri;
    let link = made.link.expect("link");
    assert!(page.starts_with("https://bindery.example/link/"));
    assert_eq!(
        link.observed.as_ref().expect("observed").stage(),
        Stage::PendingAuthorization
    );
    let mut reader = LinkServiceClient::new(world.caller("reader").await);
    let seen = reader
        .get_link(wire::GetLinkRequest {
            name: link.name.clone(),
        })
        .await
        .expect("seen")
        .into_inner();
    let flow = page.rsplit('/').next().expect("id");
    assert!(!format!("{seen:?}").contains(flow));
    // The same request again leads to the same link; another request with its id is refused.
    let again = owner
        .create_link(request.clone())
        .await
        .expect("again")
        .into_inner();
    assert_eq!(again.link.expect("link").name, link.name);
    let other = wire::CreateLinkRequest {
        allow_personal_account: true,
        ..request
    };
    assert_eq!(why(owner.create_link(other).await), "REQUEST_ID_REUSED");
    let cancelled = owner
        .cancel_link(wire::CancelLinkRequest {
            name: link.name,
            ..Default::default()
        })
        .await;
    assert_ne!(
        cancelled
            .expect("over")
            .into_inner()
            .observed
            .expect("observed")
            .stage(),
        Stage::PendingAuthorization
    );
}

/// A watcher gets the link at once, then every change, and nothing more after it is unlinked.
#[tokio::test]
async fn watch_follows_a_link() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let watch = wire::WatchLinkRequest { name: LINK.into() };
    let mut answers = links.watch_link(watch).await.expect("watch").into_inner();
    let first = answers.message().await.expect("first").expect("first");
    assert!(!first.confirmable);
    let disable = wire::DisableLinkRequest {
        name: LINK.into(),
        ..Default::default()
    };
    links.disable_link(disable).await.expect("disabled");
    let second = answers
        .message()
        .await
        .expect("second")
        .expect("second")
        .link
        .expect("link");
    assert_eq!(
        second.desired.expect("desired").state(),
        wire::desired_state::State::Disabled
    );
    links
        .unlink(wire::UnlinkRequest {
            name: LINK.into(),
            ..Default::default()
        })
        .await
        .expect("unlinked");
    let mut last = None;
    while let Some(answer) = answers.message().await.expect("no error") {
        last = answer.link;
    }
    assert_eq!(
        last.expect("link").observed.expect("observed").stage(),
        Stage::Unlinked
    );
}

/// A watcher who loses the right to read loses the stream.
#[tokio::test]
async fn watch_ends_with_the_right() {
    let world = World::new().await;
    let mut reader = LinkServiceClient::new(world.caller("reader").await);
    let mut answers = reader
        .watch_link(wire::WatchLinkRequest { name: LINK.into() })
        .await
        .expect("watch")
        .into_inner();
    answers.message().await.expect("first").expect("first");
    world.set_policy("");
    let disable = wire::DisableLinkRequest {
        name: LINK.into(),
        ..Default::default()
    };
    LinkServiceClient::new(world.admin())
        .disable_link(disable)
        .await
        .expect("disabled");
    assert_eq!(why(answers.message().await), "NOT_FOUND");
}

/// G6: a right to one repository is a right to that one, by name and by id, and none to the whole link.
#[tokio::test]
async fn g6_rights_to_repositories() {
    let world = World::new().await;
    let mut builder = CredentialServiceClient::new(world.caller("builder").await);
    let ask = |repository: &str| wire::FetchReadCredentialRequest {
        link: LINK.into(),
        repository: repository.into(),
        ..Default::default()
    };
    for repository in ["acme/api", "api"] {
        let credential = builder
            .fetch_read_credential(ask(repository))
            .await
            .expect(repository)
            .into_inner();
        assert_eq!(credential.clone_uri, "https://forge.example/acme/api.git");
    }
    for repository in ["", "acme/api2", "acme/web", "tools/api"] {
        assert_eq!(
            why(builder.fetch_read_credential(ask(repository)).await),
            "PERMISSION_DENIED",
            "{repository}"
        );
    }
    for repository in ["acme/../api", "/api", "acme/api?x", "a b"] {
        assert_eq!(
            why(builder.fetch_read_credential(ask(repository)).await),
            "INVALID_ARGUMENT",
            "{repository}"
        );
    }
    assert_eq!(
        why(builder.fetch_read_credential(ask("tools/narrow")).await),
        "PROVIDER_UNSUPPORTED",
        "a token of the whole link for a rule of one repository"
    );
    let narrowed = wire::FetchReadCredentialRequest {
        require_narrowed: true,
        ..ask("acme/api")
    };
    assert_eq!(
        why(builder.fetch_read_credential(narrowed).await),
        "PROVIDER_UNSUPPORTED"
    );
}

/// Hosts: secrets go in and never come out, masks are honoured, etags are compared.
#[tokio::test]
async fn hosts_are_changed_by_mask() {
    let world = World::new().await;
    let mut hosts = HostServiceClient::new(world.caller("owner").await);
    let urls = wire::host::Urls {
        web: "https://new.example".into(),
        ..Default::default()
    };
    let client = wire::host::OAuthClient {
        client_id: "id".into(),
        client_secrets: vec!["BNDRYCANARYnew".into()],
        ..Default::default()
    };
    let host = wire::Host {
        provider: "providers/gitea".into(),
        public_urls: Some(urls),
        oauth_client: Some(client),
        ..Default::default()
    };
    let create = |validate_only| wire::CreateHostRequest {
        host_id: "new".into(),
        host: Some(host.clone()),
        validate_only,
        ..Default::default()
    };
    hosts.create_host(create(true)).await.expect("would do");
    let get = || wire::GetHostRequest {
        name: "hosts/new".into(),
    };
    assert_eq!(why(hosts.get_host(get()).await), "NOT_FOUND");
    let made = hosts
        .create_host(create(false))
        .await
        .expect("host")
        .into_inner();
    let shown = made.oauth_client.as_ref().expect("client");
    assert_eq!(
        (shown.client_secret_count, shown.client_secrets.len()),
        (1, 0)
    );
    assert!(
        shown
            .redirect_uri
            .starts_with("https://bindery.example/oauth/")
    );
    let update = |host: wire::Host, paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        wire::UpdateHostRequest {
            host: Some(host),
            update_mask: Some(FieldMask { paths }),
            ..Default::default()
        }
    };
    let named = wire::Host {
        name: made.name.clone(),
        display_name: "New".into(),
        ..Default::default()
    };
    let changed = hosts
        .update_host(update(named.clone(), &["display_name"]))
        .await
        .expect("changed")
        .into_inner();
    assert_eq!(
        (changed.display_name.as_str(), changed.etag.as_str()),
        ("New", "2")
    );
    assert_eq!(changed.oauth_client.expect("kept").client_secret_count, 1);
    let old = wire::Host {
        etag: "1".into(),
        ..named.clone()
    };
    let status = hosts
        .update_host(update(old, &["display_name"]))
        .await
        .expect_err("old");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Aborted, "ETAG_MISMATCH")
    );
    assert_eq!(
        why(hosts
            .update_host(update(named.clone(), &["provider"]))
            .await),
        "FIELD_IMMUTABLE"
    );
    assert_eq!(
        why(hosts.update_host(update(named, &["nonsense"])).await),
        "UPDATE_MASK_INVALID"
    );
    let delete = |allow_missing| wire::DeleteHostRequest {
        name: "hosts/new".into(),
        allow_missing,
        ..Default::default()
    };
    hosts.delete_host(delete(false)).await.expect("deleted");
    assert_eq!(why(hosts.delete_host(delete(false)).await), "NOT_FOUND");
    hosts
        .delete_host(delete(true))
        .await
        .expect("missing is fine");
}

/// A probe says which layer of which leg fails, and is no error.
#[tokio::test]
async fn probes_are_verdicts() {
    use wire::probe_host_response::{Layer, Outcome};
    let world = World::new().await;
    let mut hosts = HostServiceClient::new(world.caller("owner").await);
    let target = Some(wire::probe_host_request::Target::Name("hosts/forge".into()));
    let probe = hosts
        .probe_host(wire::ProbeHostRequest { target })
        .await
        .expect("probe")
        .into_inner();
    assert!(!probe.healthy);
    let tcp = probe
        .verdicts
        .iter()
        .find(|verdict| verdict.layer() == Layer::Tcp)
        .expect("tcp");
    assert_eq!(
        (tcp.outcome(), tcp.reason.as_str()),
        (Outcome::Failed, "HOST_UNREACHABLE")
    );
    let tls = probe
        .verdicts
        .iter()
        .find(|verdict| verdict.layer() == Layer::Tls)
        .expect("tls");
    assert_eq!(tls.outcome(), Outcome::Skipped);
}

/// A probe of settings keeps nothing, and a change or deletion that is only tried changes nothing.
#[tokio::test]
async fn hosts_are_tried_before_they_change() {
    let world = World::new().await;
    let mut hosts = HostServiceClient::new(world.caller("owner").await);
    let new = wire::Host {
        provider: "providers/gitea".into(),
        public_urls: Some(wire::host::Urls {
            web: "https://new.example".into(),
            ..Default::default()
        }),
        labels: [("team".to_owned(), "build".to_owned())].into(),
        ..Default::default()
    };
    let target = Some(wire::probe_host_request::Target::Host(new));
    let probe = hosts.probe_host(wire::ProbeHostRequest { target }).await;
    let probe = probe.expect("probe").into_inner();
    assert!(
        probe
            .verdicts
            .iter()
            .all(|one| one.uri.starts_with("https://new.example"))
    );
    let all = hosts.list_hosts(wire::ListHostsRequest::default()).await;
    assert_eq!(all.expect("hosts").into_inner().hosts.len(), 1);
    let change = |validate_only| wire::UpdateHostRequest {
        host: Some(wire::Host {
            name: "hosts/forge".into(),
            labels: [("team".to_owned(), "build".to_owned())].into(),
            disabled: true,
            disabled_reason: "moving house".into(),
            ..Default::default()
        }),
        validate_only,
        ..Default::default()
    };
    let tried = hosts.update_host(change(true)).await.expect("tried");
    assert!(tried.into_inner().disabled);
    let get = || wire::GetHostRequest {
        name: "hosts/forge".into(),
    };
    let kept = hosts.get_host(get()).await.expect("host").into_inner();
    assert!(!kept.disabled);
    hosts.update_host(change(false)).await.expect("changed");
    let filter = |filter: &str| wire::ListHostsRequest {
        filter: filter.into(),
        ..Default::default()
    };
    for (text, count) in [
        ("labels.team = build AND disabled = true", 1),
        ("labels.team = other", 0),
        ("disabled = false", 0),
    ] {
        let found = hosts.list_hosts(filter(text)).await.expect("hosts");
        assert_eq!(found.into_inner().hosts.len(), count, "{text}");
    }
}

/// Pages: all items come once, a token belongs to its query and its caller, sizes are checked.
#[tokio::test]
async fn pages_belong_to_their_query() {
    let world = World::new().await;
    let owner = world.caller("owner").await;
    let mut links = LinkServiceClient::new(owner.clone());
    let ask = |page_size, page_token: String| wire::ListOrganizationsRequest {
        parent: LINK.into(),
        page_size,
        page_token,
    };
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = links
            .list_organizations(ask(2, token))
            .await
            .expect("page")
            .into_inner();
        seen.extend(page.organizations.into_iter().map(|known| known.login));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["acme", "tools", "labs"]);
    assert_eq!(
        why(links.list_organizations(ask(-1, String::new())).await),
        "PAGE_SIZE_INVALID"
    );
    let mut repositories = RepositoryServiceClient::new(owner);
    let list = |query: &str, page_token: String| wire::ListRepositoriesRequest {
        parent: LINK.into(),
        query: query.into(),
        page_token,
        ..Default::default()
    };
    let first = repositories
        .list_repositories(list("", String::new()))
        .await
        .expect("page")
        .into_inner();
    let token = first.next_page_token;
    let second = repositories
        .list_repositories(list("", token.clone()))
        .await
        .expect("page")
        .into_inner();
    assert_eq!(second.repositories[0].full_name, "acme/web");
    assert_eq!(
        why(repositories
            .list_repositories(list("x", token.clone()))
            .await),
        "INVALID_PAGE_TOKEN"
    );
    assert_eq!(
        why(links.list_organizations(ask(2, token.clone())).await),
        "INVALID_PAGE_TOKEN"
    );
    let mut reader = RepositoryServiceClient::new(world.caller("reader").await);
    assert_eq!(
        why(reader.list_repositories(list("", token.clone())).await),
        "INVALID_PAGE_TOKEN"
    );
    assert_eq!(
        why(repositories
            .list_repositories(list("", format!("{token}A")))
            .await),
        "INVALID_PAGE_TOKEN"
    );
}

/// Repositories and refs are named as the schema says, and what the provider hides is a finding or a reason.
#[tokio::test]
async fn repositories_are_read() {
    let world = World::new().await;
    let mut repositories = RepositoryServiceClient::new(world.caller("reader").await);
    let name = |last: &str| format!("{LINK}/repositories/{last}");
    let seen = repositories
        .get_repository(wire::GetRepositoryRequest {
            name: name("acme%2Fapi"),
        })
        .await;
    let seen = seen.expect("repository").into_inner();
    assert_eq!(seen.name, name("api"));
    let refs = wire::ListRefsRequest {
        parent: seen.name.clone(),
        ..Default::default()
    };
    let refs = repositories
        .list_refs(refs)
        .await
        .expect("refs")
        .into_inner()
        .refs;
    assert_eq!(
        (refs[0].r#ref.as_str(), refs[0].is_default),
        ("refs/heads/main", true)
    );
    let absent = repositories
        .get_repository(wire::GetRepositoryRequest {
            name: name("acme%2Fnone"),
        })
        .await;
    assert_eq!(why(absent), "PROVIDER_NOT_FOUND");
    let check = |name: String, permission: wire::Permission| wire::CheckAccessRequest {
        name,
        permission: permission.into(),
    };
    let checked = repositories
        .check_access(check(name("acme%2Fnone"), wire::Permission::ReadCode))
        .await;
    let checked = checked.expect("an answer").into_inner();
    assert_eq!(
        (checked.allowed(), checked.findings[0].reason.as_str()),
        (wire::Answer::No, "PROVIDER_NOT_FOUND")
    );
    let checked = repositories
        .check_access(check(seen.name, wire::Permission::Webhooks))
        .await
        .expect("an answer");
    assert_eq!(checked.into_inner().allowed(), wire::Answer::No);
    assert_eq!(
        why(repositories
            .get_repository(wire::GetRepositoryRequest { name: name("a/b") })
            .await),
        "RESOURCE_NAME_INVALID"
    );
}

/// Filters choose, and what is not understood is refused.
#[tokio::test]
async fn filters_choose() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let mut count = async |filter: &str| {
        let request = wire::ListLinksRequest {
            parent: "namespaces/acme".into(),
            filter: filter.into(),
            ..Default::default()
        };
        links
            .list_links(request)
            .await
            .map(|page| page.into_inner().links.len())
    };
    assert_eq!(count("").await.expect("page"), 1);
    assert_eq!(
        count(r#"host = "hosts/forge" AND stage = "BOUND""#)
            .await
            .expect("page"),
        1
    );
    assert_eq!(count(r#"login = "somebody""#).await.expect("page"), 0);
    assert_eq!(why(count(r#"nonsense = "x""#).await), "FILTER_INVALID");
}

/// Broken plugins are listed too, and say whom to ask.
#[tokio::test]
async fn broken_providers_are_listed() {
    let world = World::new().await;
    let mut providers = ProviderServiceClient::new(world.caller("reader").await);
    let all = providers
        .list_providers(wire::ListProvidersRequest::default())
        .await
        .expect("page")
        .into_inner()
        .providers;
    let states: Vec<_> = all
        .iter()
        .map(|known| (known.name.as_str(), known.state()))
        .collect();
    use wire::provider::State;
    assert_eq!(
        states,
        [
            ("providers/gitea", State::Ready),
            ("providers/hub", State::Failed)
        ]
    );
    assert_eq!(
        why(providers
            .get_provider(wire::GetProviderRequest {
                name: "providers/x".into()
            })
            .await),
        "NOT_FOUND"
    );
}

/// All wrong fields of a request are named in its details.
#[tokio::test]
async fn wrong_fields_are_named() {
    let world = World::new().await;
    let mut links = LinkServiceClient::new(world.caller("owner").await);
    let request = wire::CreateLinkRequest {
        parent: "namespaces/acme".into(),
        ..Default::default()
    };
    let status = links.create_link(request).await.expect_err("nothing said");
    let details = status.get_error_details();
    let fields: Vec<_> = details
        .bad_request()
        .expect("fields")
        .field_violations
        .iter()
        .map(|known| known.field.as_str())
        .collect();
    assert_eq!(fields, ["link.host", "method"]);
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// L1: every hand-out is in the audit log with who, what and how it ended; the token is in no log at any level.
#[tokio::test]
async fn l1_hand_outs_are_audited_without_tokens() {
    let log = Log::default();
    let sink = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || sink.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let owner = world.caller("owner").await;
    let mut credentials = CredentialServiceClient::new(owner);
    let fetch = |link: &str| wire::FetchReadWriteCredentialRequest {
        link: link.into(),
        repository: "acme/api".into(),
        ..Default::default()
    };
    let handed = credentials
        .fetch_read_write_credential(fetch(LINK))
        .await
        .expect("credential");
    let lease = handed.into_inner().lease;
    let absent = fetch("namespaces/acme/links/absent");
    assert_eq!(
        why(credentials.fetch_read_write_credential(absent).await),
        "NOT_FOUND"
    );
    let text = String::from_utf8(log.0.lock().expect("lock").clone()).expect("utf-8");
    let audited = world.audited().await.records;
    assert_eq!(audited.len(), 2, "{audited:?}");
    let (refused, handed) = (&audited[0].deed, &audited[1].deed);
    assert_eq!(handed.actor, "spiffe://test.example/owner");
    assert_eq!(
        handed.action,
        "bindery.v1.CredentialService/FetchReadWriteCredential"
    );
    assert_eq!(
        (handed.resource.as_str(), handed.repository.as_str()),
        (LINK, "acme/api")
    );
    assert_eq!((handed.code.as_str(), handed.reason.as_str()), ("OK", ""));
    assert_eq!(handed.facts["access"], "read_write");
    assert_eq!(handed.facts["lease"], lease);
    assert_eq!(
        (refused.code.as_str(), refused.reason.as_str()),
        ("NOT_FOUND", "NOT_FOUND")
    );
    assert!(!text.contains("CANARY"));
    assert!(!format!("{audited:?}").contains("CANARY"));
}
