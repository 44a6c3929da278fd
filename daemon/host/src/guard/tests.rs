//! What a manifest's allowlist lets through

use bindery_core::exchange::{Capture, Encoding};

use super::*;

const MANIFEST: &str = r#"
    manifest = 1
    name = "gitea"
    version = "1.0.0"
    abi = "1.0"
    schema = [1, 1]
    publisher = "Example"
    operations = ["identify", "revoke"]
    secrets = ["access_token", "client_secret"]
    [[requests]]
    operation = "identify"
    allow = ["GET /user", "web:GET /{owner}"]
    secrets = ["access_token"]
"#;

fn guard(kind: OperationKind) -> Guard {
    let manifest = Manifest::parse(MANIFEST.as_bytes()).unwrap();
    Guard::new(
        &manifest,
        kind,
        "https://git.corp/api/v1",
        "https://git.corp",
    )
}

fn request(method: &str, url: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        capture: Vec::new(),
        max_response_bytes: 0,
    }
}

fn check(kind: OperationKind, request: HttpRequest) -> Result<(), Violation> {
    guard(kind).check(&Effect {
        id: 1,
        kind: EffectKind::Http(request),
    })
}

/// P8: a request passes only for the operation that the manifest allows it to, below the right base.
#[test]
fn p8_requests_are_held_against_the_manifest() {
    use OperationKind::{Identify, Revoke};
    for (kind, method, url, allowed) in [
        (Identify, "GET", "https://git.corp/api/v1/user", true),
        (Identify, "GET", "https://git.corp/api/v1/user?page=2", true),
        (Identify, "GET", "https://git.corp/acme", true),
        (Identify, "DELETE", "https://git.corp/api/v1/user", false),
        (Identify, "GET", "https://git.corp/api/v1/gists", false),
        (Identify, "GET", "https://evil.example/api/v1/user", false),
        (Identify, "GET", "https://git.corp/user/x", false),
        (Revoke, "GET", "https://git.corp/api/v1/user", false),
    ] {
        assert_eq!(
            check(kind, request(method, url)).is_ok(),
            allowed,
            "{kind:?} {method} {url}"
        );
    }
}

/// P8: the refusal says what was asked for, and neither a query nor another origin.
#[test]
fn p8_a_refusal_tells_no_query() {
    let refused = |url| {
        check(OperationKind::Identify, request("POST", url))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused("https://git.corp/api/v1/gists?body=hunter2"),
        "operation identify asked for POST /gists, which the manifest does not allow"
    );
    assert!(!refused("https://git.corp/api/v1/gists#hunter2").contains("hunter2"));
    assert!(!refused("https://hunter2.example/x").contains("hunter2"));
}

/// P9: every place where a secret can be named is checked: header, body, capture, MAC, JWT.
#[test]
fn p9_secrets_are_held_against_the_manifest() {
    let secret = |name: &str| Segment::Secret {
        name: name.into(),
        encoding: Encoding::Raw,
        prefix: String::new(),
    };
    let base = || request("GET", "https://git.corp/api/v1/user");
    let kinds = |name: &str| {
        [
            EffectKind::Http(HttpRequest {
                headers: vec![("authorization".into(), vec![secret(name)])],
                ..base()
            }),
            EffectKind::Http(HttpRequest {
                body: vec![secret(name)],
                ..base()
            }),
            EffectKind::Http(HttpRequest {
                capture: vec![Capture {
                    pointer: "/token".into(),
                    secret: name.into(),
                }],
                ..base()
            }),
            EffectKind::VerifyMac {
                secret: name.into(),
                algorithm: "equal".into(),
                message: Vec::new(),
                mac: Vec::new(),
            },
            EffectKind::SignJwt {
                secret: name.into(),
                algorithm: "RS256".into(),
                claims_json: Vec::new(),
                store_as: "access_token".into(),
            },
            EffectKind::SignJwt {
                secret: "access_token".into(),
                algorithm: "RS256".into(),
                claims_json: Vec::new(),
                store_as: name.into(),
            },
        ]
    };
    let guard = guard(OperationKind::Identify);
    for kind in kinds("access_token") {
        assert_eq!(guard.check(&Effect { id: 1, kind }), Ok(()));
    }
    for kind in kinds("client_secret") {
        let refused = guard.check(&Effect { id: 1, kind }).unwrap_err();
        assert!(matches!(refused, Violation::Secret { .. }), "{refused}");
    }
}
