//! A plugin to start from: who does a token belong to, what does the server run, and what does a delivery say?
//!
//! Copy the folder, rename the package and the provider, and go on with `plugins/AUTHORING.md`.

#![forbid(unsafe_code)]

use bindery_plugin_sdk::{Cx, Provider, Request, Response, Result, Secret, delivery, v1};
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

/// What of the delivery of a push matters here.
#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    repository: Repository,
}

/// What of its repository matters here.
#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

impl Provider for Template {
    fn description() -> v1::Description {
        v1::Description {
            provider: "template".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            display_name: "Template".to_owned(),
            platform_versions: "All".to_owned(),
            trigger_limits: "None".to_owned(),
            operations: vec![
                v1::Operation::Identify.into(),
                v1::Operation::Probe.into(),
                v1::Operation::ParseDelivery.into(),
            ],
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
            hooks: Some(hooks()),
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

    async fn parse_delivery(&self, _: &Cx, input: v1::ParseDelivery) -> Result<v1::Delivered> {
        if input.event != "push" {
            return Ok(v1::Delivered::default());
        }
        let push: Push = delivery::json(&input)?;
        let change = delivery::ref_change(&push.reference, &push.before, &push.after);
        Ok(v1::Delivered {
            repository: Some(v1::DeliveredRepository {
                stable_id: push.repository.id.to_string(),
                full_name: push.repository.full_name,
            }),
            happenings: change.into_iter().collect(),
            ..v1::Delivered::default()
        })
    }
}

/// What deliveries are like. The daemon verifies them by it.
fn hooks() -> v1::HookSupport {
    v1::HookSupport {
        schemes: vec![v1::SignatureScheme {
            name: "hmac-sha256".to_owned(),
            kind: v1::SignatureKind::BodyHmacSha256.into(),
            header: "x-template-signature".to_owned(),
            prefix: "sha256=".to_owned(),
            ..v1::SignatureScheme::default()
        }],
        event_header: "x-template-event".to_owned(),
        id_headers: vec!["x-template-delivery".to_owned()],
        ..v1::HookSupport::default()
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

    /// A push is read, what is not wanted says nothing, and what is broken is a typed failure.
    #[test]
    fn a_delivery_is_read() {
        let parse = |event: &str, body: &str| {
            driver().run(v1::ParseDelivery {
                event: event.to_owned(),
                body: body.as_bytes().to_vec(),
                ..v1::ParseDelivery::default()
            })
        };
        let zeros = "0".repeat(40);
        let after = "a".repeat(40);
        let body = format!(
            r#"{{"ref":"refs/heads/main","before":"{zeros}","after":"{after}","repository":{{"id":7,"full_name":"ada/app"}}}}"#
        );
        let run = parse("push", &body);
        let Some(v1::happening::Kind::Push(push)) = &run.delivered().happenings[0].kind else {
            panic!("{run:?}");
        };
        assert_eq!((push.before.as_str(), push.after.as_str()), ("", &*after));
        assert!(parse("star", &body).delivered().happenings.is_empty());
        let run = parse("push", "{");
        assert_eq!(run.failure().code(), v1::Code::MalformedResponse);
    }

    /// What is not written yet says so.
    #[test]
    fn the_rest_is_unsupported() {
        let run = driver().run(v1::Revoke { whole_grant: true });
        assert_eq!(run.failure().code(), v1::Code::Unsupported);
    }
}
