//! Provider plugin for GitLab: gitlab.com and self-managed, also below a path of its host
//!
//! | module | holds |
//! |---|---|
//! | `describe` | all that is data |
//! | `call` | sending, and what an error means |
//! | `paging` | where a list goes on, as cursors |
//! | `project` | a project's place in URLs, also after it was moved |
//! | `account`, `token`, `organizations`, `repositories`, `refs`, `hooks` | the operations |
//! | `delivery` | what a delivery of a hook says |

#![forbid(unsafe_code)]

use bindery_plugin_sdk::{Cx, Provider, Result, v1};

mod account;
mod call;
mod delivery;
mod describe;
mod hooks;
mod organizations;
mod paging;
mod project;
mod refs;
mod repositories;
#[cfg(test)]
mod tests;
mod token;

#[cfg(feature = "export")]
bindery_plugin_sdk::export_provider!(GitLab);

/// GitLab.
#[derive(Debug, Default)]
pub struct GitLab;

impl Provider for GitLab {
    fn description() -> v1::Description {
        describe::description()
    }

    async fn identify(&self, cx: &Cx, _: v1::Identify) -> Result<v1::Identity> {
        account::identify(cx).await
    }

    async fn inspect_token(&self, cx: &Cx, _: v1::InspectToken) -> Result<v1::TokenFacts> {
        token::inspect(cx).await
    }

    async fn list_organizations(&self, cx: &Cx, input: v1::ListOrganizations) -> Result<()> {
        organizations::list(cx, &input).await
    }

    async fn list_repositories(&self, cx: &Cx, input: v1::ListRepositories) -> Result<()> {
        repositories::list(cx, &input).await
    }

    async fn get_repository(&self, cx: &Cx, input: v1::GetRepository) -> Result<v1::Repository> {
        repositories::get(cx, &input.repository).await
    }

    async fn list_refs(&self, cx: &Cx, input: v1::ListRefs) -> Result<()> {
        refs::list(cx, &input).await
    }

    async fn revoke(&self, cx: &Cx, _: v1::Revoke) -> Result<v1::Revocation> {
        token::revoke(cx).await
    }

    async fn probe(&self, cx: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        account::probe(cx).await
    }

    async fn rotate_token(&self, cx: &Cx, input: v1::RotateToken) -> Result<v1::TokenFacts> {
        token::rotate(cx, input.expire_unix).await
    }

    async fn list_hooks(&self, cx: &Cx, input: v1::ListHooks) -> Result<()> {
        hooks::list(cx, &input).await
    }

    async fn create_hook(&self, cx: &Cx, input: v1::CreateHook) -> Result<v1::HookFacts> {
        hooks::create(cx, &input).await
    }

    async fn update_hook(&self, cx: &Cx, input: v1::UpdateHook) -> Result<v1::HookFacts> {
        hooks::update(cx, &input).await
    }

    async fn delete_hook(&self, cx: &Cx, input: v1::DeleteHook) -> Result<v1::Revocation> {
        hooks::delete(cx, &input).await
    }

    async fn ping_hook(&self, cx: &Cx, input: v1::PingHook) -> Result<()> {
        hooks::ping(cx, &input).await
    }

    async fn list_deliveries(&self, cx: &Cx, input: v1::ListDeliveries) -> Result<()> {
        hooks::list_deliveries(cx, &input).await
    }

    async fn redeliver(&self, cx: &Cx, input: v1::Redeliver) -> Result<()> {
        hooks::redeliver(cx, &input).await
    }

    async fn parse_delivery(&self, _: &Cx, input: v1::ParseDelivery) -> Result<v1::Delivered> {
        delivery::parse(&input)
    }
}
