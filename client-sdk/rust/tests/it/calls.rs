//! What is sent, and what is sent again.

use std::{collections::BTreeSet, time::Duration};

use bindery_client::{
    Change, Client, Code, CredentialRequest, DisconnectRequest, Error, LinkRequest, ReplayRequest,
    RetryPolicy, RotationRequest, SourceRequest, Status, SubscriptionRequest, TriggerRequest,
    UnlinkRequest,
    proto::{
        self,
        v1::{Host, Namespace},
    },
    testing::{FakeBindery, Refusal},
};
use tokio::time::Instant;

async fn furnished() -> (FakeBindery, Client, String) {
    let bindery = FakeBindery::start().await.unwrap();
    bindery.add_provider("github", "GitHub");
    bindery.add_host("github.com", "github", "https://github.com");
    bindery.add_namespace("acme");
    let link = bindery.add_bound_link("acme", "github.com", "octo");
    let client = bindery.client().await.unwrap();
    (bindery, client, link)
}

/// Calls a method of the client by the name of its RPC; answers are not looked at.
async fn invoke(client: &Client, method: &str, link: &str) {
    let credential = CredentialRequest::new(link);
    match method {
        "ListProviders" => drop(client.list_providers().all().await),
        "GetHost" => drop(client.get_host("hosts/github.com").await),
        "ProbeHost" => drop(client.probe_host("hosts/github.com").await),
        "CreateHost" => drop(client.create_host("new", Host::default()).await),
        "DeleteHost" => drop(client.delete_host("hosts/github.com").await),
        "CreateNamespace" => drop(client.create_namespace("new", Namespace::default()).await),
        "CreateLink" => {
            let request = LinkRequest::oauth("namespaces/acme", "hosts/github.com");
            drop(client.create_link(request).await);
        }
        "GetLink" => drop(client.get_link(link).await),
        "DisableLink" => drop(client.disable_link(link, "").await),
        "EnableLink" => drop(client.enable_link(link, "").await),
        "CancelLink" => drop(client.cancel_link(link).await),
        "Unlink" => drop(client.unlink(UnlinkRequest::new(link)).await),
        "CheckLink" => drop(client.check_link(link).await),
        "FetchReadCredential" => drop(client.read_credential(&credential).await),
        "FetchReadWriteCredential" => drop(client.read_write_credential(&credential).await),
        "RevokeLease" => drop(client.revoke_lease("namespaces/acme/leases/1").await),
        "GetStatus" => drop(client.daemon_status().await),
        "ReloadPlugin" => drop(client.reload_plugin("github").await),
        _ => invoke_on_builds(client, method, link).await,
    }
}

/// The same for what belongs to sources and events.
async fn invoke_on_builds(client: &Client, method: &str, link: &str) {
    let (namespace, source) = ("namespaces/acme", &format!("{link}/sources/api"));
    let none = [""; 0];
    match method {
        "CreateSource" => drop(client.create_source(SourceRequest::new(link, "a/b")).await),
        "GetSource" => drop(client.get_source(source).await),
        "UpdateSource" => {
            drop(
                client
                    .update_source(Change::new(Default::default(), none))
                    .await,
            );
        }
        "DeleteSource" => drop(client.delete_source(DisconnectRequest::new(source)).await),
        "VerifySource" => drop(client.verify_source(source).await),
        "RepairSource" => drop(client.repair_source(source).await),
        "RotateHookSecrets" => {
            let request = RotationRequest::new(namespace);
            drop(client.rotate_hook_secrets(request).await);
        }
        "CatchUpSource" => drop(client.catch_up_source(source, None).await),
        "RetryDelivery" => drop(client.retry_delivery("deliveries/1").await),
        "ListOrphanHooks" => drop(client.list_orphan_hooks(link).all().await),
        "RemoveOrphanHooks" => drop(client.remove_orphan_hooks(namespace, [], false).await),
        "ReplayEvents" => {
            let request = ReplayRequest::to_consumer(namespace, "builder");
            drop(client.replay_events(request).await);
        }
        "DeleteConsumer" => drop(client.delete_consumer("consumers/1").await),
        "CreateTrigger" => drop(client.create_trigger(TriggerRequest::new(source)).await),
        "RotateTriggerToken" => drop(client.rotate_trigger_token("triggers/1", None).await),
        "FireTrigger" => drop(client.fire_trigger("triggers/1", "").await),
        "DeleteTrigger" => drop(client.delete_trigger("triggers/1").await),
        "CreateSubscription" => {
            let request = SubscriptionRequest::new(namespace, "https://registry.example");
            drop(client.create_subscription(request).await);
        }
        "RotateSubscriptionSecret" => {
            drop(
                client
                    .rotate_subscription_secret("subscriptions/1", None)
                    .await,
            );
        }
        "DeleteSubscription" => drop(client.delete_subscription("subscriptions/1").await),
        _ => panic!("{method} is not in the table"),
    }
}

/// How often a call is sent when its answers are lost: reads and calls with a `request_id` four times, what
/// may have had an effect once.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_only_where_it_is_harmless() {
    let table = [
        ("ListProviders", 4),
        ("GetHost", 4),
        ("ProbeHost", 4),
        ("CreateHost", 4),
        ("DeleteHost", 4),
        ("CreateNamespace", 4),
        ("CreateLink", 4),
        ("GetLink", 4),
        ("DisableLink", 4),
        ("EnableLink", 4),
        ("CancelLink", 4),
        ("RevokeLease", 4),
        ("Unlink", 4),
        ("GetStatus", 4),
        ("CheckLink", 1),
        ("FetchReadCredential", 1),
        ("FetchReadWriteCredential", 1),
        ("ReloadPlugin", 1),
        ("CreateSource", 4),
        ("GetSource", 4),
        ("UpdateSource", 4),
        ("DeleteSource", 4),
        ("VerifySource", 1),
        ("RepairSource", 4),
        ("RotateHookSecrets", 4),
        ("CatchUpSource", 4),
        ("RetryDelivery", 4),
        ("ListOrphanHooks", 4),
        ("RemoveOrphanHooks", 4),
        ("ReplayEvents", 4),
        ("DeleteConsumer", 4),
        ("CreateTrigger", 4),
        ("RotateTriggerToken", 4),
        ("FireTrigger", 4),
        ("DeleteTrigger", 4),
        ("CreateSubscription", 4),
        ("RotateSubscriptionSecret", 4),
        ("DeleteSubscription", 4),
    ];
    let (bindery, client, link) = furnished().await;
    for (method, times) in table {
        bindery.fail_times(method, times, Status::unavailable("lost"));
        invoke(&client, method, &link).await;
        assert_eq!(bindery.calls(method).len(), times, "{method}");
    }
}

/// A credential is asked for again where the daemon itself says that it handed none out.
#[tokio::test(start_paused = true)]
async fn a_credential_that_was_refused_for_a_moment_is_asked_for_again() {
    let (bindery, client, link) = furnished().await;
    let refusal = Refusal::new(
        Code::Unavailable,
        "REFRESH_FAILED",
        "the host is away; wait",
    );
    bindery.fail_times("FetchReadCredential", 3, refusal);
    let credential = client
        .read_credential(&CredentialRequest::new(&link))
        .await
        .unwrap();
    assert_eq!(credential.git_username, "octo");
    assert_eq!(bindery.calls("FetchReadCredential").len(), 4);
}

/// All attempts of one intent carry one `request_id`, and another intent another one; both are UUIDs.
#[tokio::test(start_paused = true)]
async fn one_intent_has_one_request_id() {
    let (bindery, client, link) = furnished().await;
    bindery.fail_next("DisableLink", Status::unavailable("lost"));
    client.disable_link(&link, "").await.unwrap();
    client.disable_link(&link, "").await.unwrap();
    let ids: Vec<String> = bindery
        .calls("DisableLink")
        .into_iter()
        .map(|call| call.request_id)
        .collect();
    assert_eq!((ids.len(), ids[0].len()), (3, 36));
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
}

/// An intent that the caller named keeps its name.
#[tokio::test]
async fn a_request_id_of_the_caller_is_kept() {
    let (bindery, client, _) = furnished().await;
    let id = "6f1d7c52-3b43-4d4f-9d5c-0f8a0c1e2b3a";
    let request = LinkRequest::oauth("namespaces/acme", "hosts/github.com").request_id(id);
    client.create_link(request).await.unwrap();
    assert_eq!(bindery.calls("CreateLink")[0].request_id, id);
}

/// Every call says who calls, under an id and with a deadline; a hook can add to it.
#[tokio::test]
async fn calls_carry_their_headers() {
    let (bindery, _, link) = furnished().await;
    let client = Client::builder()
        .endpoint(bindery.endpoint())
        .program("registry/2.1")
        .on_request(|headers| drop(headers.insert("traceparent", "00-ab".parse().unwrap())))
        .connect()
        .await
        .unwrap();
    client.get_link(&link).await.unwrap();
    let headers = &bindery.calls("GetLink")[0].headers;
    let header = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let own = concat!("rust/", env!("CARGO_PKG_VERSION"), " registry/2.1");
    assert_eq!(header("x-bindery-client").as_deref(), Some(own));
    assert_eq!(header("traceparent").as_deref(), Some("00-ab"));
    assert_eq!(header("x-request-id").unwrap().len(), 36);
    assert!(header("grpc-timeout").is_some());
}

/// The pause that the daemon asks for is kept, to the millisecond.
#[tokio::test(start_paused = true)]
async fn retry_info_is_honoured() {
    let (bindery, client, link) = furnished().await;
    let pause = Duration::from_millis(2_500);
    let limited = Refusal::new(Code::ResourceExhausted, "OVERLOADED", "slow down");
    bindery.fail_next("GetLink", limited.retry_after(pause));
    let started = Instant::now();
    client.get_link(&link).await.unwrap();
    assert!(started.elapsed() >= pause);
    assert_eq!(bindery.calls("GetLink").len(), 2);
}

/// A pause that is longer than the call may take is handed to the caller at once.
#[tokio::test(start_paused = true)]
async fn a_long_pause_is_the_callers_to_wait() {
    let (bindery, client, link) = furnished().await;
    let pause = Duration::from_secs(1800);
    let limited = Refusal::new(Code::ResourceExhausted, "PROVIDER_RATE_LIMITED", "wait");
    bindery.fail_next("GetLink", limited.retry_after(pause));
    let error = client.get_link(&link).await.unwrap_err();
    let Error::RateLimited {
        retry_after,
        failure,
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(retry_after, Some(pause));
    assert_eq!(failure.reason, "PROVIDER_RATE_LIMITED");
    assert_eq!(bindery.calls("GetLink").len(), 1);
}

/// Whoever wants no retries gets none.
#[tokio::test]
async fn retries_can_be_switched_off() {
    let (bindery, _, link) = furnished().await;
    let builder = Client::builder()
        .endpoint(bindery.endpoint())
        .retry(RetryPolicy::never());
    let client = builder.connect().await.unwrap();
    bindery.fail_next("GetLink", Status::unavailable("lost"));
    assert!(matches!(
        client.get_link(&link).await,
        Err(Error::Unavailable(_))
    ));
    assert_eq!(bindery.calls("GetLink").len(), 1);
}

/// A call that is not answered ends at its deadline, and says so.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_call() {
    let (bindery, client, link) = furnished().await;
    bindery.set_delay(Duration::from_secs(3600));
    let started = Instant::now();
    let error = client
        .read_credential(&CredentialRequest::new(&link))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DeadlineExceeded(_)), "{error:?}");
    assert!(started.elapsed() >= Duration::from_secs(59));
}

/// Where no daemon listens, the error says what to do, for the first call and for a later one.
#[tokio::test(start_paused = true)]
async fn an_absent_daemon_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}/none.sock", folder.path().display());
    let eager = Client::builder()
        .endpoint(&endpoint)
        .connect()
        .await
        .unwrap_err();
    let lazy = Client::builder()
        .endpoint(&endpoint)
        .connect_lazy()
        .unwrap();
    let late = lazy.reload_plugin("github").await.unwrap_err();
    for error in [eager, late] {
        assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with("no daemon answers at unix:///"),
            "{error}"
        );
        assert!(error.failure().unwrap().unsent);
    }
}

/// A lazy client connects when the daemon comes, and again when it came back on the same socket.
#[tokio::test]
async fn a_lazy_client_waits_for_its_daemon() {
    let (bindery, _, link) = furnished().await;
    let client = Client::builder()
        .endpoint(bindery.endpoint())
        .connect_lazy()
        .unwrap();
    assert_eq!(client.get_link(&link).await.unwrap().name, link);
}

/// The raw clients answer on the same connection.
#[tokio::test]
async fn raw_clients_are_there() {
    let (_bindery, client, _) = furnished().await;
    let answer = client
        .raw()
        .providers()
        .list_providers(proto::v1::ListProvidersRequest::default())
        .await
        .unwrap();
    let names: BTreeSet<_> = answer
        .into_inner()
        .providers
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert!(names.contains("providers/github"));
}
