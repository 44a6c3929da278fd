//! The signature schemes of the providers that come with Bindery, as the daemon's own tests verify deliveries with them
//!
//! Recorded and published signatures are verified under what `schemes.json` says, and each plugin has to say the same: a header
//! with another name is noticed on the one side or on the other.

use bindery_plugin_proto::v1::{Description, SignatureScheme};
use serde_json::{Value, json};

use super::description;
use crate::Provider;

/// Provider and schemes.
const KNOWN: &str = include_str!("schemes.json");

/// The schemes that are known of a provider, each as an object with the fields of the message.
///
/// # Panics
///
/// When none are known.
pub fn known(provider: &str) -> Vec<Value> {
    let all: Value = match serde_json::from_str(KNOWN) {
        Ok(all) => all,
        Err(error) => panic!("schemes.json: {error}"),
    };
    match all[provider].as_array() {
        Some(schemes) => schemes.clone(),
        None => panic!("schemes.json has no {provider}"),
    }
}

/// The schemes that a plugin describes, those of its editions once each.
pub fn described<P: Provider>() -> Vec<Value> {
    let description = description::<P>();
    let all = std::iter::once(&description).chain(&description.editions);
    let mut shown = Vec::new();
    for scheme in all.flat_map(schemes).map(show) {
        if !shown.contains(&scheme) {
            shown.push(scheme);
        }
    }
    shown
}

fn schemes(description: &Description) -> &[SignatureScheme] {
    let hooks = description.hooks.as_ref();
    hooks.map_or(&[], |hooks| &hooks.schemes)
}

fn show(scheme: &SignatureScheme) -> Value {
    let kind = scheme.kind().as_str_name();
    json!({
        "name": scheme.name,
        "kind": kind.trim_start_matches("SIGNATURE_KIND_"),
        "header": scheme.header,
        "prefix": scheme.prefix,
        "timestamp_header": scheme.timestamp_header,
        "weak": scheme.weak,
    })
}
