//! A JSON value against a schema of a description
//!
//! Types, required and unknown members, items, enumerations and combinations, as OpenAPI 3.0 and 3.1 and Swagger 2 write
//! them. Formats, patterns and limits of numbers are not looked at.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a value is held against.
#[derive(Clone, Copy)]
pub(super) struct Schemas<'a> {
    /// The description, for its references.
    pub(super) document: &'a Value,
    /// Members that are required may be left out.
    pub(super) parts: bool,
    /// Members that are not described may be there.
    pub(super) more: bool,
}

const COMBINED: [&str; 3] = ["allOf", "anyOf", "oneOf"];

impl<'a> Schemas<'a> {
    /// What is wrong with the value at this place, in words.
    pub(super) fn check(self, schema: &'a Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = resolve(self.document, schema);
        if !has_type(schema, value) {
            return Err(format!("{at} has another type"));
        }
        if let Some(all) = schema.get("enum").and_then(Value::as_array)
            && !value.is_null()
            && !all.contains(value)
        {
            return Err(format!("{at} is none of the values that are described"));
        }
        self.members(schema, value, at)?;
        self.items(schema, value, at)?;
        self.combined(schema, value, at)
    }

    fn members(self, schema: &'a Value, value: &Value, at: &str) -> Result<(), String> {
        let Some(given) = value.as_object() else {
            return Ok(());
        };
        let required = schema.get("required").and_then(Value::as_array);
        let mut required = required.into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.find(|name| !self.parts && !given.contains_key(*name)) {
            return Err(format!("{at} lacks the member {missing}"));
        }
        let mut known = BTreeSet::new();
        let closed = self.names(schema, &mut known) && !self.more;
        if let Some(name) = given.keys().find(|name| !known.contains(name.as_str()))
            && closed
        {
            return Err(format!("the member {name} of {at} is not described"));
        }
        let described = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in described.into_iter().flatten() {
            if let Some(value) = given.get(name) {
                self.check(schema, value, &format!("{at}/{name}"))?;
            }
        }
        Ok(())
    }

    /// Collects the names of all members that may be there. Whether those are all that there may be.
    fn names(self, schema: &'a Value, known: &mut BTreeSet<&'a str>) -> bool {
        let own = schema.get("properties").and_then(Value::as_object);
        known.extend(
            own.into_iter()
                .flat_map(|own| own.keys())
                .map(String::as_str),
        );
        let free = schema.get("additionalProperties");
        let mut closed = own.is_some() && free.is_none_or(|free| free == &Value::Bool(false));
        for part in parts(schema) {
            closed |= self.names(resolve(self.document, part), known);
        }
        closed
    }

    fn items(self, schema: &'a Value, value: &Value, at: &str) -> Result<(), String> {
        let (Some(schema), Some(all)) = (schema.get("items"), value.as_array()) else {
            return Ok(());
        };
        let mut each = all.iter().enumerate();
        each.try_for_each(|(index, one)| self.check(schema, one, &format!("{at}/{index}")))
    }

    /// A part of a combination describes a part of the members only.
    fn combined(self, schema: &'a Value, value: &Value, at: &str) -> Result<(), String> {
        let part = Self { more: true, ..self };
        for name in COMBINED {
            let Some(all) = schema.get(name).and_then(Value::as_array) else {
                continue;
            };
            let said: Vec<_> = all.iter().map(|one| part.check(one, value, at)).collect();
            let fits = match name {
                "allOf" => said.iter().all(Result::is_ok),
                _ => said.iter().any(Result::is_ok),
            };
            if !fits {
                let why = said.into_iter().find_map(Result::err);
                return Err(why.unwrap_or_else(|| format!("{at} fits nothing")));
            }
        }
        Ok(())
    }
}

fn parts(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = COMBINED.iter().filter_map(|name| schema.get(name));
    lists.filter_map(Value::as_array).flatten()
}

/// What a reference stands for, or the item itself.
pub(super) fn resolve<'a>(document: &'a Value, item: &'a Value) -> &'a Value {
    let reference = item.get("$ref").and_then(Value::as_str);
    let pointer = reference.and_then(|text| text.strip_prefix('#'));
    pointer
        .and_then(|pointer| document.pointer(pointer))
        .map_or(item, |found| resolve(document, found))
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let nullable = schema.get("nullable") == Some(&Value::Bool(true));
    if value.is_null() && nullable {
        return true;
    }
    match schema.get("type") {
        Some(Value::String(one)) => is(one, value),
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(Value::as_str)
            .any(|one| is(one, value)),
        _ => true,
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(schema: &Value, value: &Value) -> Result<(), String> {
        let schemas = Schemas {
            document: schema,
            parts: false,
            more: false,
        };
        schemas.check(schema, value, "it")
    }

    /// Each kind of mistake is found at its place, however deep.
    #[test]
    fn mistakes_are_found_at_any_depth() {
        let schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "integer"},
                "name": {"type": ["string", "null"]},
                "old": {"type": "string", "nullable": true},
                "kind": {"enum": ["a", "b"]},
                "parts": {"type": "array", "items": {"properties": {"x": {"type": "boolean"}}}},
                "either": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
                "both": {"allOf": [
                    {"required": ["p"], "properties": {"p": {}}},
                    {"properties": {"q": {}}},
                ]},
                "free": {"properties": {"x": {}}, "additionalProperties": true},
            },
        });
        for good in [
            json!({"id": 1, "name": null, "old": null, "kind": "a"}),
            json!({"id": 1, "parts": [{"x": true}, {}], "either": 1}),
            json!({"id": 1, "both": {"p": 1, "q": 2}, "free": {"y": 1}}),
        ] {
            assert_eq!(check(&schema, &good), Ok(()));
        }
        for (bad, word) in [
            (json!([]), "type"),
            (json!({}), "id"),
            (json!({"id": "1"}), "it/id"),
            (json!({"id": null}), "it/id"),
            (json!({"id": 1, "kind": "c"}), "it/kind"),
            (json!({"id": 1, "parts": [{"x": 1}]}), "it/parts/0/x"),
            (json!({"id": 1, "parts": [{"y": 1}]}), "member y"),
            (json!({"id": 1, "either": true}), "it/either"),
            (json!({"id": 1, "both": {"q": 1}}), "member p"),
            (json!({"id": 1, "both": {"p": 1, "r": 1}}), "member r"),
            (json!({"id": 1, "more": 1}), "member more"),
        ] {
            let wrong = check(&schema, &bad).expect_err("it is wrong");
            assert!(wrong.contains(word), "{bad}: {wrong}");
        }
    }
}
