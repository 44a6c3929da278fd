//! What a delivery is known by, so that it is taken once (THREATS W2).
//!
//! GitHub and Gitea sign the body only: whoever caught a delivery can send it again under any id. So it is known by its body
//! as well.

use bindery_core::{
    delivery::DeliveryMark,
    name::HookId,
    port::{Change, Expect, Key, Record},
    problem::Problem,
};
use ring::digest::{Context, SHA256};

use crate::{Engine, records::change};

/// By the id that the provider gave it.
pub(crate) fn by_id(hook: &HookId, stable_id: &str) -> [u8; 32] {
    digest(hook, "id", &[stable_id.as_bytes()])
}

/// By its body.
pub(super) fn by_body(hook: &HookId, body: &[u8]) -> [u8; 32] {
    digest(hook, "body", &[body])
}

/// By its time and signature, where they are all that is signed.
pub(super) fn by_signature(hook: &HookId, time: &str, signature: &str) -> [u8; 32] {
    digest(hook, "sig", &[time.as_bytes(), signature.as_bytes()])
}

/// Each part with its length before it, so that no two lists of parts are the same bytes.
fn digest(hook: &HookId, kind: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let fixed = [hook.as_str().as_bytes(), kind.as_bytes()];
    for part in fixed.iter().chain(parts) {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The change that keeps a mark, if it is not there yet.
pub(super) fn keep(hook: &HookId, digest: [u8; 32], number: u64) -> Change {
    let mark = DeliveryMark {
        hook: hook.clone(),
        digest,
        number,
    };
    let key = Key::DeliveryMark(hook.clone(), digest);
    change(key, Expect::Absent, Some(Record::DeliveryMark(mark)))
}

/// Whether a delivery of a hook is known by `digest`.
pub(crate) async fn seen_mark(
    engine: &Engine,
    hook: &HookId,
    digest: [u8; 32],
) -> Result<bool, Problem> {
    let found = engine.find_delivery_mark(hook, &digest).await?;
    Ok(found.is_some())
}
