//! Tamper cases against a flow.

use super::*;

fn flow() -> Flow {
    Flow {
        principal: "uid:1000".to_owned(),
        state_digest: Some([1; 32]),
        browser_digest: Some([2; 32]),
        confirm_digest: Some([3; 32]),
        stage: FlowStage::AtForge,
        ..Flow::new(
            FlowId::parse("f").expect("name"),
            NamespaceName::parse("acme").expect("name"),
            LinkId::parse("l").expect("name"),
            HostName::parse("forge").expect("name"),
            Timestamp::from_unix_ms(0),
        )
    }
}

fn callback(host: &HostName) -> Callback<'_> {
    Callback {
        state_digest: [1; 32],
        browser_digest: Some([2; 32]),
        host,
        issuer: None,
    }
}

/// O2: the first callback passes, its replay does not.
#[test]
fn o2_state_is_single_use() {
    let (mut flow, now) = (flow(), Timestamp::from_unix_ms(1));
    let host = flow.host.clone();
    assert!(flow.accept(&callback(&host), None, now).is_ok());
    let replay = flow
        .accept(&callback(&host), None, now)
        .expect_err("replay");
    assert_eq!(replay.reason, Reason::FlowExpired);
}

/// O1, O2, O3: a foreign state, browser, host or issuer, a missing cookie or issuer, and a late answer change nothing.
#[test]
fn o1_o2_o3_tampered_callbacks_are_refused() {
    let host = flow().host;
    let other = HostName::parse("evil").expect("name");
    let now = Timestamp::from_unix_ms(1);
    let cases: [(Callback<'_>, Option<&str>, Timestamp); 7] = [
        (
            Callback {
                state_digest: [9; 32],
                ..callback(&host)
            },
            None,
            now,
        ),
        (
            Callback {
                browser_digest: Some([9; 32]),
                ..callback(&host)
            },
            None,
            now,
        ),
        (
            Callback {
                browser_digest: None,
                ..callback(&host)
            },
            None,
            now,
        ),
        (callback(&other), None, now),
        (callback(&host), Some("https://forge"), now),
        (
            Callback {
                issuer: Some("https://evil"),
                ..callback(&host)
            },
            Some("https://forge"),
            now,
        ),
        (callback(&host), None, Timestamp::from_unix_ms(600_000)),
    ];
    for (case, issuer, at) in cases {
        let mut flow = flow();
        assert!(flow.accept(&case, issuer, at).is_err(), "{case:?}");
        assert_eq!(flow.stage, FlowStage::AtForge);
    }
}

/// O1: only the starter's principal, or the browser with both its cookie and its code, confirms, once.
#[test]
fn o1_only_the_starter_confirms() {
    let now = Timestamp::from_unix_ms(1);
    let browser = |confirm, cookie| ConfirmProof::Browser {
        confirm_digest: confirm,
        browser_digest: cookie,
    };
    let starter = |principal, confirm_digest| ConfirmProof::Starter {
        principal,
        confirm_digest,
    };
    for (proof, passes) in [
        (browser(&[3; 32], &[2; 32]), true),
        (browser(&[3; 32], &[9; 32]), false),
        (browser(&[9; 32], &[2; 32]), false),
        (starter("uid:1000", &[3; 32]), true),
        (starter("uid:1000", &[9; 32]), false),
        (starter("uid:1001", &[3; 32]), false),
    ] {
        let mut flow = Flow {
            stage: FlowStage::Granted,
            ..flow()
        };
        assert_eq!(flow.confirm(&proof, now).is_ok(), passes, "{proof:?}");
        assert!(flow.confirm(&proof, now).is_err(), "{proof:?} twice");
    }
}
