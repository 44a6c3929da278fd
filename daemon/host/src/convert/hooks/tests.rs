//! What a plugin may say of its webhooks

use super::*;

fn raw() -> v1::HookSupport {
    v1::HookSupport {
        schemes: vec![v1::SignatureScheme {
            name: "hmac-sha256".into(),
            kind: v1::SignatureKind::BodyHmacSha256.into(),
            header: "x-hub-signature-256".into(),
            prefix: "sha256=".into(),
            ..v1::SignatureScheme::default()
        }],
        event_header: "x-github-event".into(),
        id_headers: vec!["x-github-delivery".into()],
        hooks_per_repository: 20,
        ..v1::HookSupport::default()
    }
}

/// What makes sense is taken over, and none at all is no hooks.
#[test]
fn support_is_read() {
    let support = hooks(raw()).unwrap();
    let scheme = support.scheme("hmac-sha256").unwrap();
    assert_eq!(scheme.kind, SignatureKind::BodyHmacSha256);
    assert!(!scheme.weak);
    assert_eq!(support.event_header, "x-github-event");
    assert_eq!(
        hooks(v1::HookSupport::default()).unwrap(),
        HookSupport::default()
    );
}

/// No list names a header that may hold a secret: the plugin sees the values.
#[test]
fn a_header_that_may_hold_a_secret_is_not_asked_for() {
    for bad in [
        "authorization",
        "cookie",
        "x-hub-signature-256",
        "x-gitlab-token",
        "x-webhook-secret",
    ] {
        for put in [
            |raw: &mut v1::HookSupport, bad: &str| raw.headers.push(bad.into()),
            |raw: &mut v1::HookSupport, bad: &str| raw.id_headers.push(bad.into()),
            |raw: &mut v1::HookSupport, bad: &str| raw.event_header = bad.into(),
        ] {
            let mut raw = raw();
            put(&mut raw, bad);
            let refused = hooks(raw).expect_err(bad);
            assert_eq!(refused.wrong, "is a header that may hold a secret");
        }
    }
}

/// One wrong thing is enough.
#[test]
fn support_that_makes_no_sense_is_refused() {
    let wrong: [fn(&mut v1::HookSupport); 10] = [
        |raw| raw.event_header.clear(),
        |raw| raw.event_header = "X-GitHub-Event".into(),
        |raw| raw.headers.push("a b".into()),
        |raw| raw.headers = vec!["x-a".into(); 17],
        |raw| raw.schemes[0].kind = 0,
        |raw| raw.schemes[0].kind = 99,
        |raw| raw.schemes[0].header.clear(),
        |raw| raw.schemes.push(raw.schemes[0].clone()),
        |raw| raw.schemes[0].timestamp_header = "x-time".into(),
        |raw| raw.schemes[0].kind = v1::SignatureKind::StandardWebhooks.into(),
    ];
    for (n, wrong) in wrong.into_iter().enumerate() {
        let mut raw = raw();
        wrong(&mut raw);
        assert!(hooks(raw).is_err(), "{n}");
    }
}

/// A signature over nothing but a time is weak, whatever the plugin says.
#[test]
fn a_weak_scheme_stays_weak() {
    let mut raw = raw();
    raw.schemes[0].kind = v1::SignatureKind::TimestampHmacSha256.into();
    raw.schemes[0].timestamp_header = "x-gitee-timestamp".into();
    assert!(hooks(raw).unwrap().schemes[0].weak);
}
