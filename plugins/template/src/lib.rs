//! A plugin to start from: who does a token belong to, and what does the server run?
//!
//! Copy the folder, rename the package and the provider, and go on with `plugins/AUTHORING.md`.

#![forbid(unsafe_code)]

use bindery_plugin_sdk::{Cx, Provider, Request, Response, Result, Secret, v1};
use serde::Deserialize;

#[cfg(feature = "export")]
bindery_plugin_sdk::export_provider!(Template);

/// The provider.
#[derive(Debug, Default)]
pub struct Template;

/// What of `GET /user` matters here.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    #[serde(default)]
    name: String,
}

/// What of `GET /version` matters here.
#[derive(Deserialize)]
struct Version {
    version: String,
}

impl Provider for Template {
    fn description() -> v1::Description {
        v1::Description {
            provider: "template".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            display_name: "Template".to_owned(),
            platform_versions: "All".to_owned(),
            trigger_limits: "None".to_owned(),
            operations: vec![v1::Operation::Identify.into(), v1::Operation::Probe.into()],
            secrets: vec!["access_token".to_owned()],
            endpoints: Some(v1::Endpoints {
                api_from_web: "{web}/api".to_owned(),
                ..v1::Endpoints::default()
            }),
            auth_methods: vec![v1::AuthMethod {
                kind: v1::AuthKind::AccessToken.into(),
                help_uri: "{web}/settings/tokens".to_owned(),
                ..v1::AuthMethod::default()
            }],
            token_kinds: vec![v1::TokenKind {
                name: "personal_access_token".to_owned(),
                git_username: "{login}".to_owned(),
                ..v1::TokenKind::default()
            }],
            ..v1::Description::default()
        }
    }

    async fn identify(&self, cx: &Cx, _: v1::Identify) -> Result<v1::Identity> {
        let request = Request::get(cx.api(&["user"])?).bearer(Secret("access_token"));
        let user: User = good(cx, cx.send(request).await?)?.json()?;
        Ok(v1::Identity {
            stable_id: user.id.to_string(),
            web_uri: cx.web(&[&user.login])?.into(),
            login: user.login,
            display_name: user.name,
            kind: v1::AccountKind::User.into(),
        })
    }

    async fn probe(&self, cx: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        let request = Request::get(cx.api(&["version"])?);
        let Version { version } = good(cx, cx.send(request).await?)?.json()?;
        Ok(v1::ServerFacts {
            version,
            ..v1::ServerFacts::default()
        })
    }
}

/// A good response, or the failure that its status stands for. Look here for what your provider says in its own way.
fn good(cx: &Cx, response: Response) -> Result<Response> {
    if response.is_success() {
        Ok(response)
    } else {
        Err(response.failure(cx.now_unix_ms()))
    }
}

#[cfg(test)]
mod tests {
    use bindery_plugin_sdk::testing::{self, Driver, Manifest, Reply};

    use super::*;

    fn manifest() -> Manifest {
        toml::from_str(include_str!("../manifest.toml")).expect("the manifest is valid")
    }

    fn driver() -> Driver<Template> {
        Driver::new().manifest(manifest())
    }

    /// The manifest and the description say the same.
    #[test]
    fn the_manifest_is_the_description() {
        let description = testing::description::<Template>();
        manifest().check_description(&description).unwrap();
    }

    /// An identity is known by its number, and the token goes into one header, by name.
    #[test]
    fn identify_tells_who() {
        let reply = Reply::json(200, r#"{"id": 7, "login": "ada", "name": "Ada"}"#);
        let run = driver()
            .on("GET", "https://api.test/user", reply)
            .run(v1::Identify {});
        assert_eq!(run.identity().stable_id, "7");
        assert_eq!(run.identity().web_uri, "https://web.test/ada");
        let header = run.requests[0].header("authorization");
        assert_eq!(header, Some("Bearer <secret:access_token>"));
    }

    /// The version is asked for without a token.
    #[test]
    fn probe_tells_the_version() {
        let reply = Reply::json(200, r#"{"version": "1.2"}"#);
        let run = driver()
            .on("GET", "https://api.test/version", reply)
            .run(v1::Probe {});
        assert_eq!(run.server().version, "1.2");
        assert_eq!(run.requests[0].header("authorization"), None);
    }

    /// Every class of error has its code.
    #[test]
    fn errors_have_their_code() {
        for (reply, code) in [
            (Reply::status(401), v1::Code::Unauthenticated),
            (Reply::status(403), v1::Code::PermissionDenied),
            (Reply::status(429), v1::Code::RateLimited),
            (Reply::bytes(502, "<html>"), v1::Code::Upstream),
            (Reply::bytes(200, "<html>"), v1::Code::MalformedResponse),
            (Reply::transport_error(), v1::Code::Transport),
        ] {
            let run = driver()
                .on("GET", "https://api.test/user", reply)
                .run(v1::Identify {});
            assert_eq!(run.failure().code(), code);
        }
    }

    /// What is not written yet says so.
    #[test]
    fn the_rest_is_unsupported() {
        let run = driver().run(v1::Revoke { whole_grant: true });
        assert_eq!(run.failure().code(), v1::Code::Unsupported);
    }
}
