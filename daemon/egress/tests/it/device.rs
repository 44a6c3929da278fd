//! The device flow (RFC 8628) on the wire.

use bindery_core::{
    exchange::{DeviceAuthorization, DeviceCall, TokenGrant, TokenOutcome},
    port::Egress,
    problem::{Problem, Reason},
    provider::AuthMethod,
    secret::Secret,
};

use crate::{
    support::{Entry, Server, egress, loopback, origins, reply},
    tokens::{JSON, call, github, method},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn authorize(
    server: &Server,
    method: &AuthMethod,
    keys: &[&str],
) -> Result<DeviceAuthorization, Problem> {
    let mut entry = Entry::new(&loopback());
    entry.secrets.client_secrets = keys
        .iter()
        .map(|key| Secret::new((*key).to_owned()))
        .collect();
    let (endpoint, scopes) = (
        server.url("/login/device/code"),
        ["repo".to_owned(), "read:org".to_owned()],
    );
    let allowed = origins(&[&endpoint]);
    egress()
        .authorize_device(DeviceCall {
            endpoint: &endpoint,
            client_id: "client-id",
            method,
            scopes: &scopes,
            reach: entry.reach(),
            origins: &allowed,
        })
        .await
}

fn codes(server: &Server, rest: &str) -> String {
    let page = server.url("/login/device");
    format!(
        r#"{{"device_code":"dev-1","user_code":"WDJB-MJHT","verification_uri":"{page}","expires_in":900{rest}}}"#
    )
}

/// Status, a header and a body.
type Plain = (u16, (&'static str, &'static str), String);

/// A server that answers with what a function makes of its own address.
async fn answering(answer: fn(&Server) -> Plain) -> Server {
    let own = std::sync::Arc::new(std::sync::OnceLock::<Server>::new());
    let known = std::sync::Arc::clone(&own);
    let server = Server::http(move |_| {
        let (status, kind, body) = answer(known.get().expect("known"));
        reply(status, &[kind], body)
    })
    .await;
    own.set(server.clone()).ok().expect("set once");
    server
}

/// RFC 8628 section 3.1 and 3.2: client and scopes go out, codes come back; no interval means five seconds, and a shorter
/// one is not believed.
#[tokio::test]
async fn codes_are_asked_for() {
    let server = answering(|own| (200, JSON, codes(own, ""))).await;
    let given = authorize(&server, &method(), &["key"])
        .await
        .expect("codes");
    assert_eq!(
        (given.device_code.expose(), given.user_code.expose()),
        ("dev-1", "WDJB-MJHT")
    );
    assert_eq!(given.verification_uri, server.url("/login/device"));
    assert_eq!(
        (given.expires_in.as_secs(), given.interval.as_secs()),
        (900, 5)
    );
    let asked = server.seen()[0].text();
    for part in [
        "client_id=client-id",
        "scope=repo+read%3Aorg",
        "accept: application/json",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let server = answering(|own| (200, JSON, codes(own, r#","interval":0"#))).await;
    let hasty = authorize(&server, &method(), &[]).await.expect("codes");
    assert_eq!(hasty.interval.as_secs(), 5);
    let server = answering(|own| (200, JSON, codes(own, r#","interval":"7""#))).await;
    let slow = authorize(&server, &method(), &[]).await.expect("codes");
    assert_eq!(slow.interval.as_secs(), 7);
}

/// O11: whatever a device endpoint says, people are sent to the host itself.
#[tokio::test]
async fn o11_people_are_sent_nowhere_else() {
    let server = answering(|_| {
        let body = r#"{"device_code":"d","user_code":"u","verification_uri":"https://evil.example/device","expires_in":900}"#;
        (200, JSON, body.to_owned())
    })
    .await;
    let problem = authorize(&server, &method(), &[])
        .await
        .expect_err("elsewhere");
    assert_eq!(problem.reason, Reason::HostAnswerUnusable);
    assert!(!problem.message.contains("evil"));
}

/// GitHub answers in form encoding, and with status 200 for a client that may not use the flow.
#[tokio::test]
async fn refusals_of_the_device_endpoint() {
    let server = answering(|_| (200, FORM, "error=device_flow_disabled".to_owned())).await;
    let off = authorize(&server, &github(), &["key"])
        .await
        .expect_err("off");
    assert!(off.message.contains("device_flow_disabled"), "{off}");
    let server = answering(|_| (401, JSON, r#"{"error":"invalid_client"}"#.to_owned())).await;
    let client = authorize(&server, &method(), &["old", "new"]).await;
    assert_eq!(client.expect_err("client").reason, Reason::ClientRefused);
    assert_eq!(server.seen().len(), 2);
    let server = answering(|_| (200, JSON, "{}".to_owned())).await;
    let odd = authorize(&server, &method(), &[]).await.expect_err("odd");
    assert_eq!(odd.reason, Reason::HostAnswerUnusable);
}

async fn poll(server: &Server, method: &AuthMethod) -> TokenOutcome {
    let device_code = Secret::new("dev-1".to_owned());
    let grant = TokenGrant::Device {
        device_code: &device_code,
    };
    call(
        &egress(),
        &server.url("/token"),
        method,
        &["key"],
        grant,
        &loopback(),
    )
    .await
}

/// RFC 8628 section 3.4 and 3.5: the grant type and the code go out; what is not a token yet comes back as its code.
#[tokio::test]
async fn polls_tell_how_far_it_is() {
    let server =
        answering(|_| (400, JSON, r#"{"error":"authorization_pending"}"#.to_owned())).await;
    let waiting = poll(&server, &method()).await;
    assert!(
        matches!(&waiting, TokenOutcome::Refused { error, dead: false } if error == "authorization_pending"),
        "{waiting:?}"
    );
    let asked = server.seen()[0].text();
    for part in [
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code",
        "device_code=dev-1",
        "client_id=client-id",
        "client_secret=key",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let server = answering(|_| {
        (
            200,
            JSON,
            r#"{"error":"slow_down","interval":10}"#.to_owned(),
        )
    })
    .await;
    let slower = poll(&server, &github()).await;
    assert!(
        matches!(&slower, TokenOutcome::Refused { error, .. } if error == "slow_down"),
        "{slower:?}"
    );
    const GRANTED: &str =
        r#"{"access_token":"gho_a","token_type":"bearer","scope":"repo,read:org"}"#;
    let server = answering(|_| (200, JSON, GRANTED.to_owned())).await;
    let TokenOutcome::Granted(tokens) = poll(&server, &github()).await else {
        panic!("no tokens");
    };
    assert_eq!(tokens.access_token.expose(), "gho_a");
    assert_eq!(tokens.scopes.expect("scopes"), ["repo", "read:org"]);
}

/// A client that authenticates by HTTP Basic does so here as well, and its secret is in no body.
#[tokio::test]
async fn basic_clients_stay_basic() {
    let basic = AuthMethod {
        basic_client_auth: true,
        ..method()
    };
    let server = answering(|_| (400, JSON, r#"{"error":"access_denied"}"#.to_owned())).await;
    poll(&server, &basic).await;
    let asked = server.seen()[0].clone();
    assert_eq!(
        asked.header("authorization"),
        Some("Basic Y2xpZW50LWlkOmtleQ==")
    );
    assert!(!String::from_utf8_lossy(&asked.body).contains("client_secret"));
}
