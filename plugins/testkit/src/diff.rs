//! What differs between two JSON values

use serde_json::Value;

/// Whether a value is what an absent member stands for.
pub(crate) fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// The first difference, as a path and both values. What is absent is empty, false or zero.
pub(crate) fn difference(expected: &Value, actual: &Value) -> Option<String> {
    walk("", expected, actual)
}

/// As [`difference`], in the members that `expected` has.
pub(crate) fn difference_in(expected: &Value, actual: &Value) -> Option<String> {
    let members = expected.as_object().into_iter().flatten();
    members
        .into_iter()
        .find_map(|(name, value)| walk(&format!("/{name}"), value, &actual[name]))
}

fn walk(path: &str, expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
            names.sort();
            names.into_iter().find_map(|name| {
                let of = |side: &serde_json::Map<String, Value>| {
                    side.get(name).cloned().unwrap_or(Value::Null)
                };
                walk(&format!("{path}/{name}"), &of(left), &of(right))
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs
                .into_iter()
                .find_map(|(at, (left, right))| walk(&format!("{path}/{at}"), left, right))
        }
        (left, right) if left == right || is_default(left) && is_default(right) => None,
        (left, right) => Some(format!("{path}: expected {left}, got {right}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A difference is named by its path, an absent member is an empty one, and order in a list matters.
    #[test]
    fn a_difference_has_a_path() {
        let left = json!({"items": [{"id": "1", "private": false}], "cursor": ""});
        assert_eq!(difference(&left, &json!({"items": [{"id": "1"}]})), None);
        assert_eq!(
            difference(&left, &json!({"items": [{"id": "2"}]})).as_deref(),
            Some("/items/0/id: expected \"1\", got \"2\"")
        );
        assert!(difference(&left, &json!({"items": []})).is_some());
        assert!(difference(&left, &json!({"items": [{"id": "1"}], "more": 1})).is_some());
    }

    /// An expected error says only what matters to it.
    #[test]
    fn an_error_is_compared_where_it_is_written_down() {
        let actual = json!({"code": "RATE_LIMITED", "message": "x", "retry_after_ms": 7});
        assert_eq!(
            difference_in(&json!({"code": "RATE_LIMITED"}), &actual),
            None
        );
        assert!(difference_in(&json!({"retry_after_ms": 8}), &actual).is_some());
    }
}
