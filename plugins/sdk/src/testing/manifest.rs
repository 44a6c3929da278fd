//! The source of a manifest, against the description and against the requests of a run
//!
//! The daemon enforces the manifest. This is for tests, so that an author hears of a forgotten line first.

use bindery_plugin_proto::v1;
use serde::Deserialize;

use super::{Run, Sent};

/// `manifest.toml` before packaging adds the artefacts. Parse it with a TOML reader of your choice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Revision of the manifest's own format.
    pub manifest: u32,
    /// Provider name.
    pub name: String,
    /// Version of the plugin.
    pub version: String,
    /// Version of the C boundary.
    pub abi: String,
    /// Lowest and highest revision of the messages.
    pub schema: [u32; 2],
    /// Who answers for it.
    pub publisher: String,
    /// Operations in lower case: `list_refs`.
    pub operations: Vec<String>,
    /// Secrets that requests may name.
    pub secrets: Vec<String>,
    /// What each operation may ask for.
    #[serde(default)]
    pub requests: Vec<Requests>,
}

/// What one operation may ask for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// Operation.
    pub operation: String,
    /// Methods and paths: `GET /repos/{owner}/{name}`, `web:GET /login/{rest...}`.
    pub allow: Vec<String>,
    /// Secrets that these requests may name.
    #[serde(default)]
    pub secrets: Vec<String>,
}

impl Manifest {
    /// Checks that the manifest and the description say the same, and that nothing is listed that is not declared.
    ///
    /// # Errors
    ///
    /// What differs, in words.
    pub fn check_description(&self, description: &v1::Description) -> Result<(), String> {
        let operations: Vec<_> = description.operations().map(operation_name).collect();
        let same = [
            ("name", self.name == description.provider),
            ("version", self.version == description.version),
            (
                "schema",
                self.schema == [description.schema_min, description.schema_max],
            ),
            ("operations", self.operations == operations),
            ("secrets", self.secrets == description.secrets),
        ];
        if let Some((what, _)) = same.iter().find(|(_, same)| !same) {
            return Err(format!("manifest and description have another {what}"));
        }
        for (n, one) in self.requests.iter().enumerate() {
            if self.requests[..n]
                .iter()
                .any(|other| other.operation == one.operation)
            {
                return Err(format!("{} has two lists of requests", one.operation));
            }
            if !self.operations.contains(&one.operation) {
                return Err(format!(
                    "requests are allowed to {}, which is no operation",
                    one.operation
                ));
            }
            if let Some(secret) = one.secrets.iter().find(|name| !self.secrets.contains(name)) {
                return Err(format!(
                    "{} may use {secret}, which is not declared",
                    one.operation
                ));
            }
        }
        Ok(())
    }

    /// Checks every request of a run.
    ///
    /// # Errors
    ///
    /// The first request that the daemon would refuse.
    pub fn check_run(
        &self,
        operation: v1::Operation,
        request: &v1::OperationRequest,
        run: &Run,
    ) -> Result<(), String> {
        let name = operation_name(operation);
        let rules: Vec<_> = self
            .requests
            .iter()
            .filter(|rule| rule.operation == name)
            .collect();
        for sent in &run.requests {
            if !rules.iter().any(|rule| rule.allows(sent, request)) {
                return Err(format!(
                    "{name} is not allowed to ask for {} {} with what it carries",
                    sent.method, sent.url
                ));
            }
        }
        Ok(())
    }
}

impl Requests {
    fn allows(&self, sent: &Sent, request: &v1::OperationRequest) -> bool {
        let path = |base: &str| below(base, &sent.url).map(str::to_owned);
        let (api, web) = (path(&request.api_base), path(&request.web_base));
        let fits_one = self.allow.iter().any(|rule| {
            let (rule, path) = match rule.strip_prefix("web:") {
                Some(rule) => (rule, &web),
                None => (rule.as_str(), &api),
            };
            let (method, pattern) = rule.split_once(' ').unwrap_or((rule, ""));
            method == sent.method && path.as_ref().is_some_and(|path| fits(pattern, path))
        });
        fits_one && secrets(sent).iter().all(|name| self.secrets.contains(name))
    }
}

/// The path of a URL below a base, without the query.
fn below<'a>(base: &str, url: &'a str) -> Option<&'a str> {
    let path = url.strip_prefix(base.trim_end_matches('/'))?;
    let path = path.split(['?', '#']).next().unwrap_or(path);
    path.starts_with('/').then_some(path)
}

/// `{x}` stands for one segment that is not empty, `{x+}` for one whose slashes are encoded, `{x...}` for all the rest, of
/// at least one.
fn fits(pattern: &str, path: &str) -> bool {
    let mut path = path.split('/');
    for part in pattern.split('/') {
        let Some(real) = path.next() else {
            return false;
        };
        if !fits_part(part, real) {
            return false;
        }
        if part.ends_with("...}") {
            return path.all(|rest| fits_part(part, rest));
        }
    }
    path.next().is_none()
}

fn fits_part(part: &str, real: &str) -> bool {
    if !part.starts_with('{') || !part.ends_with('}') {
        return part == real;
    }
    let may_join = part.ends_with("+}");
    !real.is_empty() && (may_join || !real.contains("%2F"))
}

/// Names of the secrets in a request, read back from how it is shown.
fn secrets(sent: &Sent) -> Vec<String> {
    let values = sent.headers.iter().map(|(_, value)| value.as_str());
    let parts = values
        .chain([sent.body.as_str()])
        .flat_map(|text| text.split("<secret:").skip(1));
    let named = parts.map(|part| part.split(['>', ' ']).next().unwrap_or(part).to_owned());
    // What is taken out of a response is kept under a name, which has to be allowed as well.
    named
        .chain(sent.captures.iter().map(|(_, name)| name.clone()))
        .collect()
}

/// `OPERATION_LIST_REFS` as manifests write it: `list_refs`.
fn operation_name(operation: v1::Operation) -> String {
    operation
        .as_str_name()
        .trim_start_matches("OPERATION_")
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern lets through what it says and nothing else.
    #[test]
    fn patterns_fit_whole_paths() {
        assert!(fits("/repos/{owner}/{name}", "/repos/a/b"));
        assert!(fits("/repositories/{rest...}", "/repositories/1/branches"));
        assert!(fits("/projects/{project+}", "/projects/group%2Fsub%2Fproj"));
        assert!(fits("/projects/{project+}", "/projects/81"));
        for (pattern, path) in [
            ("/repos/{owner}/{name}", "/repos/a"),
            ("/repos/{owner}/{name}", "/repos/a/b/hooks"),
            ("/repos/{owner}/{name}", "/repos//b"),
            ("/repositories/{rest...}", "/repositories"),
            ("/user", "/users"),
            ("/projects/{project}", "/projects/group%2Fproj"),
            ("/projects/{rest...}", "/projects/group%2Fproj"),
            ("/projects/{rest...}", "/projects/81/group%2Fproj"),
            ("/projects/{project+}", "/projects/group/proj"),
            ("/projects/{project+}", "/projects/"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
        assert_eq!(
            below("https://a.test/v1", "https://a.test/v1/user?x=/y"),
            Some("/user")
        );
        assert_eq!(below("https://a.test/v1", "https://a.test/v11/user"), None);
    }

    /// A request is allowed by method, path, base and the secrets that it carries, and by nothing less.
    #[test]
    fn all_of_a_request_counts() {
        let rules = Requests {
            operation: "probe".to_owned(),
            allow: vec![
                "GET /version".to_owned(),
                "web:GET /login/{rest...}".to_owned(),
            ],
            secrets: vec!["one".to_owned()],
        };
        let request = v1::OperationRequest {
            api_base: "https://a.test/api".to_owned(),
            web_base: "https://a.test".to_owned(),
            ..v1::OperationRequest::default()
        };
        let allows = |method: &str, url: &str, header: &str| {
            let sent = Sent {
                method: method.to_owned(),
                url: url.to_owned(),
                headers: vec![("authorization".to_owned(), header.to_owned())],
                body: String::new(),
                captures: Vec::new(),
            };
            rules.allows(&sent, &request)
        };
        assert!(allows(
            "GET",
            "https://a.test/api/version?x=1",
            "Bearer <secret:one>"
        ));
        assert!(allows(
            "GET",
            "https://a.test/login/a/b",
            "Basic <secret:one base64 of \"x:\">"
        ));
        assert!(!allows("POST", "https://a.test/api/version", ""));
        assert!(!allows("GET", "https://a.test/version", ""));
        assert!(!allows("GET", "https://a.test/api/login/a", ""));
        assert!(!allows(
            "GET",
            "https://a.test/api/version",
            "Bearer <secret:two>"
        ));
    }
}
