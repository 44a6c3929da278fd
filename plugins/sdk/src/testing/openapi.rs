//! Requests against the provider's own description of its API
//!
//! A small reader of OpenAPI 3 and Swagger 2: does the path exist with this method, are all required parameters there,
//! is every parameter known, is a form or a JSON body of the right shape? It reads no file; the caller does.

mod schema;

use serde_json::Value;

use self::schema::{Schemas, resolve};
use super::{Sent, fixtures::Asked};

/// A description of an API.
#[derive(Clone, Debug)]
pub struct Api {
    document: Value,
    base: String,
}

/// An endpoint that a description lacks, though the provider has it.
#[derive(Clone, Copy, Debug)]
pub struct NotDescribed {
    /// Method.
    pub method: &'static str,
    /// The path below the API, as a template: `/repositories/{id}`; a whole URL where it is not below the API.
    pub path: &'static str,
    /// Why it is there although it is not described.
    pub why: &'static str,
}

/// How much of a delivery's body there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// All that the provider sent, which may be more than was described when the description was made.
    Whole,
    /// What somebody wrote down of it: parts may be missing, but nothing may be made up.
    Parts,
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

    /// Checks requests, and that each of the exceptions is one: it is met, and it is not described. How many were checked
    /// and were no exception.
    ///
    /// # Errors
    ///
    /// All that is wrong, a line for each.
    pub fn check_all<'a>(
        &self,
        asked: impl IntoIterator<Item = &'a Asked>,
        exceptions: &[NotDescribed],
    ) -> Result<usize, String> {
        let (mut checked, mut wrong) = (0, Vec::new());
        let mut met = vec![false; exceptions.len()];
        for one in asked {
            let said = self.check(&one.sent);
            let path = self.path(&one.sent.url);
            let fits =
                |known: &NotDescribed| known.method == one.sent.method && fits(known.path, path);
            if let Some(at) = exceptions.iter().position(fits) {
                met[at] = true;
                if self.operation(path, &one.sent.method).is_some() {
                    wrong.push(format!("{path} is described and no exception"));
                }
                continue;
            }
            checked += 1;
            if let Err(why) = said {
                let (method, url) = (&one.sent.method, &one.sent.url);
                wrong.push(format!("{}: {method} {url}: {why}", one.fixture));
            }
        }
        let unmet = exceptions.iter().zip(met).filter(|(_, met)| !met);
        wrong.extend(unmet.map(|(one, _)| format!("nobody asks for {} {}", one.method, one.path)));
        if wrong.is_empty() {
            return Ok(checked);
        }
        Err(wrong.join("\n"))
    }

    /// Checks the body of a webhook's delivery, in a description that has webhooks by their event, and their action where
    /// there is one. Nothing is known of an event that is not described.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub fn check_delivery(
        &self,
        event: &str,
        body: &Value,
        extent: Extent,
    ) -> Option<Result<(), String>> {
        let action = body.get("action").and_then(Value::as_str).unwrap_or("");
        let webhooks = self.document.get("webhooks")?;
        let plain = event.replace('_', "-");
        let with_action = format!("{plain}-{}", action.replace('_', "-"));
        let webhook = webhooks.get(with_action).or_else(|| webhooks.get(plain))?;
        let schema = webhook.pointer("/post/requestBody/content/application~1json/schema")?;
        let schemas = Schemas {
            document: &self.document,
            parts: extent == Extent::Parts,
            more: extent == Extent::Whole,
        };
        Some(schemas.check(schema, body, "the body"))
    }

    /// The described path of a URL, or all of one that is not below the API; without its query.
    fn path<'a>(&self, url: &'a str) -> &'a str {
        let rest = url.strip_prefix(&self.base).unwrap_or(url);
        rest.split_once('?').map_or(rest, |(path, _)| path)
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
        items.map(|item| resolve(&self.document, item)).collect()
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
        let openapi = operation
            .get("requestBody")
            .map(|body| resolve(&self.document, body));
        let form = fields(parameters);
        if !form.is_empty() && !sent.body.is_empty() {
            return check_form(&form, &sent.body);
        }
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
        let schemas = Schemas {
            document: &self.document,
            parts: false,
            more: false,
        };
        schema.map_or(Ok(()), |schema| {
            schemas.check(schema, &parsed(&sent.body)?, "the body")
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

/// The fields of a form, as Swagger 2 describes them.
fn fields<'a>(parameters: &[&'a Value]) -> Vec<&'a Value> {
    let form = parameters.iter().copied();
    form.filter(|one| one.get("in") == Some(&"formData".into()))
        .collect()
}

fn check_form(fields: &[&Value], body: &str) -> Result<(), String> {
    let name = |one: &&Value| one.get("name").and_then(Value::as_str).map(str::to_owned);
    let given: Vec<_> = body
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or(pair))
        .collect();
    let known: Vec<_> = fields.iter().filter_map(name).collect();
    if let Some(other) = given
        .iter()
        .find(|one| !known.contains(&(**one).to_owned()))
    {
        return Err(format!("the field {other} is not described"));
    }
    let required = fields
        .iter()
        .filter(|one| one.get("required") == Some(&Value::Bool(true)));
    let missing = required
        .filter_map(name)
        .find(|name| !given.contains(&name.as_str()));
    missing.map_or(Ok(()), |name| Err(format!("the field {name} is missing")))
}

/// Secrets are shown without quotes, so they get some before the body is read.
fn parsed(body: &str) -> Result<Value, String> {
    let quoted = body
        .replace("<secret:", "\"<secret:")
        .replace(" json>", " json>\"");
    serde_json::from_str(&quoted).map_err(|error| error.to_string())
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

    /// The fields of a form are known, and none that is required is missing.
    #[test]
    fn forms_are_checked() {
        let field =
            |name: &str, required| json!({"in": "formData", "name": name, "required": required});
        let api = Api::new(
            json!({ "paths": { "/hooks": { "post": {
                "parameters": [field("url", true), field("password", false)],
            } } } }),
            "https://a.test",
        );
        let post = |body| api.check(&sent("POST", "https://a.test/hooks", body));
        assert_eq!(post("url=x&password=<secret:k form>"), Ok(()));
        assert!(post("password=x").is_err());
        assert!(post("url=x&other=y").is_err());
    }

    /// An exception is one that is met and not described; every other request is checked.
    #[test]
    fn exceptions_are_exact() {
        let api = Api::new(
            json!({ "paths": { "/a": { "get": {} } } }),
            "https://a.test",
        );
        let asked = |path: &str| Asked {
            fixture: "x.json".to_owned(),
            edition: String::new(),
            sent: sent("GET", &format!("https://a.test{path}"), ""),
        };
        let except = |path| NotDescribed {
            method: "GET",
            path,
            why: "a test",
        };
        let both = [asked("/a"), asked("/b/1?x=1")];
        assert_eq!(api.check_all(&both, &[except("/b/{id}")]), Ok(1));
        for exceptions in [
            vec![],
            vec![except("/b/{id}"), except("/a")],
            vec![except("/b/{id}"), except("/c")],
            vec![except("/b/{id}/more")],
        ] {
            assert!(api.check_all(&both, &exceptions).is_err(), "{exceptions:?}");
        }
    }

    /// Of what was sent all is there that is described; of what somebody wrote down nothing is that is not.
    #[test]
    fn deliveries_are_checked() {
        let schema =
            json!({ "required": ["ref"], "properties": { "ref": {"type": "string"}, "size": {} } });
        let hook = json!({ "post": { "requestBody": { "content": { "application/json": { "schema": schema } } } } });
        let api = Api::new(json!({ "webhooks": { "push": hook } }), "");
        let check = |body: Value, extent| api.check_delivery("push", &body, extent);
        assert_eq!(
            check(json!({"ref": "x", "new": 1}), Extent::Whole),
            Some(Ok(()))
        );
        assert_eq!(check(json!({"size": 1}), Extent::Parts), Some(Ok(())));
        assert!(check(json!({"size": 1}), Extent::Whole).is_some_and(|said| said.is_err()));
        assert!(check(json!({"new": 1}), Extent::Parts).is_some_and(|said| said.is_err()));
        assert_eq!(api.check_delivery("other", &json!({}), Extent::Whole), None);
    }
}
