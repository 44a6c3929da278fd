//! A target of the fuzzer: it takes any bytes, and panics when a property does not hold.

use crate::query::{self, Known};

/// What a callback of a provider may bring.
const KNOWN: [Known; 4] = [("code", 512), ("state", 64), ("error", 64), ("iss", 256)];

/// A parameter is the only one of its name, and no longer than it may be (THREATS O2).
pub fn callback_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(picked) = query::pick(text, KNOWN) else {
        return;
    };
    for ((name, longest), value) in KNOWN.iter().zip(picked) {
        let all: Vec<_> = form_urlencoded::parse(data)
            .filter_map(|(known, value)| (known == *name).then(|| value.into_owned()))
            .collect();
        assert!(value.as_ref().is_none_or(|value| value.len() <= *longest));
        assert_eq!(all, Vec::from_iter(value));
    }
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// O2: a callback's parameters are bounded, and there once.
    #[test]
    fn o2_callbacks_have_each_parameter_once() {
        replay("callback_query", super::callback_query);
    }
}
