//! Answers in frames, and steps joined

use bindery_core::exchange::EffectKind;
use bindery_plugin_abi::limits::RESPONSE_LEN;

use super::*;

fn answer(id: u32, len: usize) -> v1::EffectResult {
    let response = v1::HttpResponse {
        status: 200,
        headers: Vec::new(),
        body: vec![0; len],
    };
    v1::EffectResult {
        id,
        kind: Some(v1::effect_result::Kind::Http(response)),
    }
}

/// P6: whatever the sizes, every frame fits and no answer is lost or moved.
#[test]
fn p6_answers_are_split_to_fit() {
    let sizes = [
        RESPONSE_LEN,
        RESPONSE_LEN,
        1,
        RESPONSE_LEN - 1,
        5,
        RESPONSE_LEN,
    ];
    let answers = (0..).zip(sizes).map(|(id, len)| answer(id, len)).collect();
    let batches = batches(answers);
    assert!(batches.len() > 1);
    assert!(
        batches
            .iter()
            .all(|batch| batch.encoded_len() <= REQUEST_LEN)
    );
    let ids: Vec<u32> = batches
        .iter()
        .flat_map(|batch| &batch.results)
        .map(|result| result.id)
        .collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
}

/// An effect that the plugin cancels in a later frame of the same answers never reaches the engine.
#[test]
fn a_cancelled_effect_is_not_sent() {
    let effect = |id| Effect {
        id,
        kind: EffectKind::VerifyMac {
            secret: String::new(),
            algorithm: String::new(),
            message: vec![],
            mac: vec![],
        },
    };
    let step = |cancelled, ids: Vec<u32>| Step {
        partial: Vec::new(),
        cancelled,
        next: Next::Effects(ids.into_iter().map(effect).collect()),
    };
    let joined = join(step(vec![7], vec![1, 2]), step(vec![2, 8], vec![3]));
    assert_eq!(joined.cancelled, [7, 8]);
    let Next::Effects(effects) = joined.next else {
        panic!("it is not over")
    };
    assert_eq!(
        effects.iter().map(|effect| effect.id).collect::<Vec<_>>(),
        [1, 3]
    );
}
