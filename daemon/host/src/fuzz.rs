//! Targets of the fuzzer: each takes any bytes, and panics when a property does not hold.

use bindery_plugin_proto::v1;
use prost::Message;

use crate::{convert, inspect, manifest::Manifest, manual};

/// A library is inspected without a panic, however it is broken (THREATS P6).
pub fn library(data: &[u8]) {
    // What is refused and what is not is the contract of other tests; no broken file may take the daemon down.
    let _ = inspect::inspect(data, Some((2, 36)));
}

/// A manifest is read or refused; its request lines are those that it is made of.
pub fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.request_lines(), manifest.request_lines());
    }
}

/// What a plugin answers is converted or refused (THREATS P6): a result, or an effect.
pub fn plugin_answer(data: &[u8]) {
    if let Ok(output) = v1::Output::decode(data) {
        let _ = manual::check_output(output);
    }
    if let Ok(effect) = v1::Effect::decode(data) {
        let _ = convert::effect::effect(effect);
    }
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// P6: broken libraries are refused, not run into.
    #[test]
    fn p6_libraries_are_inspected_without_a_panic() {
        replay("library", super::library);
    }

    /// Broken manifests are refused.
    #[test]
    fn manifests_are_read_or_refused() {
        replay("manifest", super::manifest);
    }

    /// P6: malformed answers of plugins are refused.
    #[test]
    fn p6_answers_of_plugins_are_read_or_refused() {
        replay("plugin_answer", super::plugin_answer);
    }
}
