//! Requests against the provider's own description of its API
//!
//! A small reader of OpenAPI 3 and Swagger 2: does the path exist with this method, are all required parameters there,
//! is every parameter known, is a JSON body of the right shape at its first level? It reads no file; the caller does.

use serde_json::Value;

use super::Sent;

/// A description of an API.
#[derive(Clone, Debug)]
pub struct Api {
    document: Value,
    base: String,
}

impl Api {
    /// Wraps a parsed description. `base` is what the requests' URLs start with before the described path begins.
    pub fn new(document: Value, base: &str) -> Self {
        Self {
            document,
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Checks a request.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub fn check(&self, sent: &Sent) -> Result<(), String> {
        let rest = sent
            .url
            .strip_prefix(&self.base)
            .ok_or("the URL is not below the API")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let operation = self
            .operation(path, &sent.method)
            .ok_or_else(|| format!("{} {path} is not described", sent.method))?;
        let parameters = self.list(operation, "parameters");
        check_query(&parameters, query)?;
        self.check_body(operation, &parameters, sent)
    }

    fn operation(&self, path: &str, method: &str) -> Option<&Value> {
        let paths = self.document.get("paths")?.as_object()?;
        let mut fitting: Vec<_> = paths
            .iter()
            .filter(|(known, _)| fits(known, path))
            .collect();
        // `/hooks/git` before `/hooks/{id}`.
        fitting.sort_by_key(|(known, _)| known.matches('{').count());
        let method = method.to_ascii_lowercase();
        fitting
            .into_iter()
            .find_map(|(_, operations)| operations.get(&method))
    }

    fn list<'a>(&'a self, of: &'a Value, name: &str) -> Vec<&'a Value> {
        let items = of.get(name).and_then(Value::as_array).into_iter().flatten();
        items.map(|item| self.resolve(item)).collect()
    }

    fn resolve<'a>(&'a self, item: &'a Value) -> &'a Value {
        let pointer = item
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|text| text.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.document.pointer(pointer))
            .unwrap_or(item)
    }

    fn check_body(
        &self,
        operation: &Value,
        parameters: &[&Value],
        sent: &Sent,
    ) -> Result<(), String> {
        let swagger = parameters
            .iter()
            .find(|one| one.get("in") == Some(&"body".into()))
            .copied();
        let openapi = operation.get("requestBody").map(|body| self.resolve(body));
        let Some(body) = swagger.or(openapi) else {
            return if sent.body.is_empty() {
                Ok(())
            } else {
                Err("a body is not expected".to_owned())
            };
        };
        if sent.body.is_empty() {
            let required = body.get("required") == Some(&Value::Bool(true));
            return if required {
                Err("the body is missing".to_owned())
            } else {
                Ok(())
            };
        }
        let schema = body
            .get("schema")
            .or_else(|| body.pointer("/content/application~1json/schema"));
        schema.map_or(Ok(()), |schema| {
            check_object(self.resolve(schema), &sent.body)
        })
    }
}

/// Whether a path is an instance of a template such as `/repos/{owner}/{repo}`.
fn fits(template: &str, path: &str) -> bool {
    let template: Vec<_> = template.split('/').collect();
    let path: Vec<_> = path.split('/').collect();
    let same = |(known, real): (&&str, &&str)| match known.strip_prefix('{') {
        Some(_) => !real.is_empty(),
        None => known == real,
    };
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

fn check_query(parameters: &[&Value], query: &str) -> Result<(), String> {
    let name = |one: &Value| {
        one.get("name")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned()
    };
    let known: Vec<_> = parameters
        .iter()
        .filter(|one| one.get("in") == Some(&"query".into()))
        .collect();
    let given: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    let given: Vec<_> = given
        .iter()
        .map(|pair| pair.split('=').next().unwrap_or(pair))
        .collect();
    for given in &given {
        if !known.iter().any(|one| name(one) == *given) {
            return Err(format!("the query parameter {given} is not described"));
        }
    }
    let missing = known.iter().find(|one| {
        one.get("required") == Some(&Value::Bool(true)) && !given.contains(&name(one).as_str())
    });
    missing.map_or(Ok(()), |one| {
        Err(format!("the query parameter {} is missing", name(one)))
    })
}

/// Secrets are shown without quotes, so they get some before the body is read.
fn check_object(schema: &Value, body: &str) -> Result<(), String> {
    let quoted = body
        .replace("<secret:", "\"<secret:")
        .replace(" json>", " json>\"");
    let body: Value = serde_json::from_str(&quoted).map_err(|error| error.to_string())?;
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    for name in required.filter_map(Value::as_str) {
        if body.get(name).is_none() {
            return Err(format!("the member {name} is missing"));
        }
    }
    let Some(known) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    let mut given = body.as_object().into_iter().flat_map(|body| body.keys());
    match given.find(|name| !known.contains_key(*name)) {
        Some(name) => Err(format!("the member {name} is not described")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(method: &str, url: &str, body: &str) -> Sent {
        Sent {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: body.to_owned(),
            captures: Vec::new(),
        }
    }

    /// Each kind of mistake is found, and a right request passes.
    #[test]
    fn mistakes_are_found() {
        let schema = json!({ "required": ["name"], "properties": { "name": {}, "key": {} } });
        let api = Api::new(
            json!({ "paths": { "/things/{id}": {
                "get": { "parameters": [
                    { "in": "query", "name": "page" },
                    { "in": "query", "name": "must", "required": true },
                ] },
                "post": { "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } } },
            } } }),
            "https://a.test/v1",
        );
        let get = |url| api.check(&sent("GET", url, ""));
        assert_eq!(get("https://a.test/v1/things/1?must=1&page=2"), Ok(()));
        for bad in [
            "https://b.test/v1/things/1?must=1",
            "https://a.test/v1/things?must=1",
            "https://a.test/v1/things/1",
            "https://a.test/v1/things/1?must=1&other=2",
        ] {
            assert!(get(bad).is_err(), "{bad}");
        }
        let post = |body| api.check(&sent("POST", "https://a.test/v1/things/1", body));
        assert_eq!(post(r#"{"name":"x","key":<secret:k json>}"#), Ok(()));
        for bad in ["", "{}", r#"{"name":1,"other":2}"#, "{"] {
            assert!(post(bad).is_err(), "{bad}");
        }
    }
}
