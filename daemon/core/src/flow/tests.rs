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
        bearer: Some(Bearer::Browser([2; 32])),
        host,
    }
}

/// O2: the first callback passes, its replay does not.
#[test]
fn o2_state_is_single_use() {
    let (mut flow, now) = (flow(), Timestamp::from_unix_ms(1));
    let host = flow.host.clone();
    assert!(flow.accept(&callback(&host), now).is_ok());
    let replay = flow.accept(&callback(&host), now).expect_err("replay");
    assert_eq!(replay.reason, Reason::FlowExpired);
}

/// O1, O2, O3: a foreign state, browser or host, a missing cookie, and a late answer change nothing.
#[test]
fn o1_o2_tampered_callbacks_are_refused() {
    let host = flow().host;
    let other = HostName::parse("evil").expect("name");
    let now = Timestamp::from_unix_ms(1);
    let cases = [
        (
            Callback {
                bearer: Some(Bearer::Principal("uid:1000")),
                ..callback(&host)
            },
            now,
        ),
        (
            Callback {
                state_digest: [9; 32],
                ..callback(&host)
            },
            now,
        ),
        (
            Callback {
                bearer: Some(Bearer::Browser([9; 32])),
                ..callback(&host)
            },
            now,
        ),
        (
            Callback {
                bearer: None,
                ..callback(&host)
            },
            now,
        ),
        (callback(&other), now),
        (callback(&host), Timestamp::from_unix_ms(600_000)),
    ];
    for (case, at) in cases {
        let mut flow = flow();
        assert!(flow.accept(&case, at).is_err(), "{case:?}");
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
        confirm_digest: Some(confirm_digest),
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

/// O1, O2: what the registry's page received is handed in by the one who started, and by no browser and nobody else.
#[test]
fn o1_o2_headless_flows_are_completed_by_their_starter() {
    let host = flow().host;
    let now = Timestamp::from_unix_ms(1);
    for (bearer, passes) in [
        (Some(Bearer::Principal("uid:1000")), true),
        (Some(Bearer::Principal("uid:1001")), false),
        (Some(Bearer::Browser([2; 32])), false),
        (None, false),
    ] {
        let mut flow = Flow {
            way: Way::Headless,
            ..flow()
        };
        let callback = Callback {
            bearer,
            ..callback(&host)
        };
        assert_eq!(flow.accept(&callback, now).is_ok(), passes, "{bearer:?}");
    }
}

/// Where no page shows a code the starter alone confirms; where one does, no code is no proof.
#[test]
fn o1_a_code_is_asked_for_where_a_page_shows_one() {
    let now = Timestamp::from_unix_ms(1);
    let proof = |principal| ConfirmProof::Starter {
        principal,
        confirm_digest: None,
    };
    for (way, principal, passes) in [
        (Way::Headless, "uid:1000", true),
        (Way::Headless, "uid:1001", false),
        (Way::Browser, "uid:1000", false),
        (Way::Installation, "uid:1000", false),
    ] {
        let mut flow = Flow {
            stage: FlowStage::Granted,
            confirm_digest: None,
            way,
            ..flow()
        };
        assert_eq!(
            flow.confirm(&proof(principal), now).is_ok(),
            passes,
            "{flow:?}"
        );
    }
}

/// Who confirms before anybody has consented is told to wait.
#[test]
fn confirming_too_early_says_so() {
    let proof = ConfirmProof::Starter {
        principal: "uid:1000",
        confirm_digest: Some(&[3; 32]),
    };
    let early = flow().confirm(&proof, Timestamp::from_unix_ms(1));
    assert_eq!(early.expect_err("early").reason, Reason::FlowPending);
}

fn device() -> Device {
    Device {
        device_code: Secret::new("d".to_owned()),
        user_code: Secret::new("u".to_owned()),
        verification_uri: "https://forge.example/device".to_owned(),
        interval: Duration::from_secs(5),
        next_poll: Timestamp::default(),
    }
}

/// RFC 8628 section 3.5: the interval is kept, `slow_down` makes it five seconds longer for good, and an absent provider is
/// asked less and less often.
#[test]
fn device_polls_keep_their_distance() {
    let refused = |error: &str| TokenOutcome::Refused {
        error: error.to_owned(),
        dead: false,
    };
    let mut device = device();
    let now = Timestamp::from_unix_ms(0);
    let away = Problem::new(Reason::HostUnreachable, "away");
    for (outcome, seconds) in [
        (refused("authorization_pending"), 5),
        (refused("slow_down"), 10),
        (refused("authorization_pending"), 10),
        (TokenOutcome::NotNow(away.clone()), 20),
        (
            TokenOutcome::Lost(away.clone().retry(Some(Duration::from_secs(90)))),
            90,
        ),
        (refused("authorization_pending"), 40),
    ] {
        assert!(matches!(device.judge(outcome, now), Polled::Again));
        assert_eq!(device.next_poll.since(now).as_secs(), seconds);
    }
}

/// RFC 8628 section 3.5: a refusal ends the flow with a fixed text, and what the forge wrote is not repeated (O6).
#[test]
fn device_refusals_end_the_flow() {
    for (error, reason) in [
        ("access_denied", Reason::ConsentDenied),
        ("expired_token", Reason::FlowExpired),
        ("<b>odd</b>", Reason::TokenRefused),
    ] {
        let outcome = TokenOutcome::Refused {
            error: error.to_owned(),
            dead: true,
        };
        let Polled::Over(problem) = device().judge(outcome, Timestamp::default()) else {
            panic!("{error}");
        };
        assert_eq!(problem.reason, reason);
        assert!(!problem.message.contains(error));
    }
}
