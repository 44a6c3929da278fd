//! The honest part

use bindery_plugin_sdk::{
    Cx, Failure, Json, Provider, Request, Response, Result, Secret, Url, delivery, v1,
};
use serde::Deserialize;

use crate::attack;

/// The provider.
#[derive(Debug)]
pub struct Hostile;

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
    clone_url: String,
}

#[derive(Deserialize)]
struct Hook {
    id: u64,
}

#[derive(Deserialize)]
pub(crate) struct Push {
    #[serde(rename = "ref")]
    name: String,
    before: String,
    after: String,
    repository: PushedTo,
}

#[derive(Deserialize)]
struct PushedTo {
    id: u64,
    full_name: String,
}

impl Default for Hostile {
    fn default() -> Self {
        attack::on_construction();
        Self
    }
}

impl Provider for Hostile {
    fn description() -> v1::Description {
        let operations = [
            v1::Operation::Identify,
            v1::Operation::InspectToken,
            v1::Operation::ListRepositories,
            v1::Operation::GetRepository,
            v1::Operation::Revoke,
            v1::Operation::Probe,
            v1::Operation::CreateHook,
            v1::Operation::DeleteHook,
            v1::Operation::ParseDelivery,
        ];
        v1::Description {
            provider: "hostile".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            operations: operations.map(i32::from).to_vec(),
            secrets: ["access_token", "client_secret", "hook_secret"]
                .map(str::to_owned)
                .to_vec(),
            display_name: "Hostile".to_owned(),
            platform_versions: "All".to_owned(),
            trigger_limits: "None".to_owned(),
            endpoints: Some(v1::Endpoints {
                api_from_web: "{web}/api/v1".to_owned(),
                authorize: "{web}/login/oauth/authorize".to_owned(),
                token: "{web}/login/oauth/access_token".to_owned(),
                ..v1::Endpoints::default()
            }),
            auth_methods: vec![
                method(v1::AuthKind::OauthCode),
                method(v1::AuthKind::AccessToken),
            ],
            token_kinds: vec![v1::TokenKind {
                name: "token".to_owned(),
                git_username: "{login}".to_owned(),
                ..v1::TokenKind::default()
            }],
            ..v1::Description::default()
        }
    }

    async fn identify(&self, cx: &Cx, _: v1::Identify) -> Result<v1::Identity> {
        attack::run(cx, "identify").await?;
        let user: User = get(cx, cx.api(&["user"])?).await?.json()?;
        Ok(v1::Identity {
            stable_id: user.id.to_string(),
            login: user.login,
            kind: v1::AccountKind::User.into(),
            ..v1::Identity::default()
        })
    }

    async fn inspect_token(&self, cx: &Cx, _: v1::InspectToken) -> Result<v1::TokenFacts> {
        attack::run(cx, "inspect_token").await?;
        get(cx, cx.api(&["user"])?).await?;
        Ok(v1::TokenFacts {
            active: true,
            ..v1::TokenFacts::default()
        })
    }

    async fn list_repositories(&self, cx: &Cx, _: v1::ListRepositories) -> Result<()> {
        attack::run(cx, "list_repositories").await?;
        let response = get(cx, cx.api(&["user", "repos"])?).await?;
        let found: Vec<Repository> = response.json()?;
        cx.emit(v1::RepositoryPage {
            items: found.into_iter().map(repository).collect(),
            ..v1::RepositoryPage::default()
        });
        Ok(())
    }

    async fn get_repository(&self, cx: &Cx, input: v1::GetRepository) -> Result<v1::Repository> {
        attack::run(cx, "get_repository").await?;
        let parts: Vec<&str> = input.repository.split('/').collect();
        let [owner, name] = parts[..] else {
            return Err(Failure::invalid_argument("a repository is owner/name"));
        };
        let response = get(cx, cx.api(&["repos", owner, name])?).await?;
        Ok(repository(response.json()?))
    }

    async fn revoke(&self, cx: &Cx, _: v1::Revoke) -> Result<v1::Revocation> {
        attack::run(cx, "revoke").await?;
        Ok(v1::Revocation {
            outcome: v1::RevocationOutcome::Impossible.into(),
            message: "this plugin revokes nothing".to_owned(),
            action_uri: cx.web(&["settings", "applications"])?.into(),
        })
    }

    async fn probe(&self, cx: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        attack::run(cx, "probe").await?;
        cx.send(Request::get(cx.api(&["version"])?)).await?;
        Ok(v1::ServerFacts::default())
    }

    async fn create_hook(&self, cx: &Cx, _: v1::CreateHook) -> Result<v1::HookFacts> {
        attack::run(cx, "create_hook").await?;
        let body = Json::object().secret("secret", Secret("hook_secret"));
        let request = Request::post(cx.api(&["hooks"])?).bearer(Secret("access_token"));
        let request = attack::hook_request(cx, request.json(body));
        let made: Hook = good(cx, cx.send(request).await?)?.json()?;
        Ok(v1::HookFacts {
            hook_id: made.id.to_string(),
            ..v1::HookFacts::default()
        })
    }

    async fn delete_hook(&self, cx: &Cx, input: v1::DeleteHook) -> Result<v1::Revocation> {
        attack::run(cx, "delete_hook").await?;
        let url = cx.api(&["hooks", &input.hook_id])?;
        let request = Request::delete(url).bearer(Secret("access_token"));
        good(cx, cx.send(request).await?)?;
        Ok(v1::Revocation {
            outcome: v1::RevocationOutcome::Done.into(),
            ..v1::Revocation::default()
        })
    }

    async fn parse_delivery(&self, cx: &Cx, input: v1::ParseDelivery) -> Result<v1::Delivered> {
        attack::run(cx, "parse_delivery").await?;
        if !attack::knows_event(cx, &input) {
            return Ok(v1::Delivered::default());
        }
        let push: Push = attack::read_delivery(cx, &input)?;
        let change = delivery::ref_change(&push.name, &push.before, &push.after);
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

fn method(kind: v1::AuthKind) -> v1::AuthMethod {
    v1::AuthMethod {
        kind: kind.into(),
        pkce: v1::PkceSupport::S256.into(),
        ..v1::AuthMethod::default()
    }
}

fn repository(found: Repository) -> v1::Repository {
    v1::Repository {
        stable_id: found.id.to_string(),
        full_name: found.full_name,
        clone_uri: found.clone_url,
        can_read: true,
        ..v1::Repository::default()
    }
}

async fn get(cx: &Cx, url: Url) -> Result<Response> {
    let request = Request::get(url).bearer(Secret("access_token"));
    good(cx, cx.send(request).await?)
}

fn good(cx: &Cx, response: Response) -> Result<Response> {
    if response.is_success() {
        Ok(response)
    } else {
        Err(response.failure(cx.now_unix_ms()))
    }
}
