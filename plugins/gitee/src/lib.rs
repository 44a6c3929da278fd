//! Provider plugin for Gitee
//!
//! The API is below `/api/v5` of the host, on gitee.com as on a server of one's own, and looks like GitHub's until one
//! looks closely: a missing scope is a 401, pages are counted in headers of Gitee's own, `path` is what is in URLs while
//! `name` is for people, `html_url` of a repository is its clone URL, and no endpoint takes a repository's id.
//!
//! The description documents the token as a query parameter or a form field. Both end up in logs, so it goes into a
//! header here, which Gitee takes as well.
//!
//! | module | holds |
//! |---|---|
//! | `describe` | all that is data |
//! | `call` | sending, and what an error means |
//! | `paging` | pages of a list, and is there another? |
//! | `account`, `organizations`, `repositories`, `refs`, `hooks` | the operations |
//! | `delivery` | what a delivery of a hook says |

#![forbid(unsafe_code)]

use bindery_plugin_sdk::{Cx, Provider, Result, v1};

mod account;
mod call;
mod delivery;
mod describe;
mod hooks;
mod id;
mod organizations;
mod paging;
mod refs;
mod repositories;
#[cfg(test)]
mod tests;

#[cfg(feature = "export")]
bindery_plugin_sdk::export_provider!(Gitee);

/// Gitee.
#[derive(Debug, Default)]
pub struct Gitee;

impl Provider for Gitee {
    fn description() -> v1::Description {
        describe::description()
    }

    async fn identify(&self, cx: &Cx, _: v1::Identify) -> Result<v1::Identity> {
        account::identify(cx).await
    }

    async fn inspect_token(&self, cx: &Cx, _: v1::InspectToken) -> Result<v1::TokenFacts> {
        account::inspect(cx).await
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
        account::revoke(cx)
    }

    async fn probe(&self, cx: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        account::probe(cx).await
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

    async fn parse_delivery(&self, _: &Cx, input: v1::ParseDelivery) -> Result<v1::Delivered> {
        delivery::parse(&input)
    }
}
