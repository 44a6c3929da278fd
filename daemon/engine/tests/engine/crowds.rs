//! Attacks by number: forged callbacks.

use bindery_core::{link::Stage, problem::Reason};

use crate::support::{World, query};

/// O2: of 10,000 forged callbacks, each a changed state, another browser's or nobody's, none is exchanged; nor is a state that
/// is used again a thousand times. The right one passes between them.
#[tokio::test]
async fn o2_ten_thousand_forged_callbacks_exchange_nothing() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    let url = world.engine.leave_for_forge(&flow, "cookie").await;
    let state = query(&url.expect("URL"), "state");
    for number in 0..10_000 {
        let forged = changed(&state, number);
        let other = format!("cookie{number}");
        let (state, cookie) = match number % 4 {
            0 => (&state, Some(other.as_str())),
            1 => (&state, None),
            _ => (&forged, Some("cookie")),
        };
        let returned = world.returned(state, cookie).await;
        let refused = world.engine.callback(returned).await;
        assert!(refused.is_err(), "{state} {cookie:?}");
    }
    assert_eq!(world.token_calls(), 0);
    let stage = world.read(&link).await.observed.stage;
    assert_eq!(stage, Stage::PendingAuthorization);

    let right = world.returned(&state, Some("cookie")).await;
    world.engine.callback(right).await.expect("the right one");
    for _ in 0..1000 {
        let again = world.returned(&state, Some("cookie")).await;
        let refused = world.engine.callback(again).await.expect_err("used");
        assert_eq!(refused.reason, Reason::FlowExpired);
    }
    assert_eq!(world.token_calls(), 1);
}

/// The state with one character exchanged for another one that a state can have.
fn changed(state: &str, number: usize) -> String {
    let mut bytes = state.as_bytes().to_vec();
    let at = number % bytes.len();
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let other = letters.iter().cycle().skip(number / bytes.len());
    let other = other.copied().find(|letter| *letter != bytes[at]);
    bytes[at] = other.expect("there are others");
    String::from_utf8(bytes).expect("ASCII")
}
