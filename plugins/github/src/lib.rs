//! Provider plugin for GitHub: github.com, GHE.com and Enterprise Server
//!
//! | module | holds |
//! |---|---|
//! | `describe` | all that is data |
//! | `call` | sending, and what an error means |
//! | `app` | asking as the app, with a JWT that the daemon signs |
//! | `paging` | links to further pages, as cursors |
//! | `permissions`, `time` | permissions of apps, and points in time, as GitHub writes them |
//! | `account`, `organizations`, `repositories`, `refs`, `revoke`, `installation`, `mint`, `hooks` | the operations |
//! | `delivery` | what a delivery of a hook says |

#![forbid(unsafe_code)]

use bindery_plugin_sdk::{Cx, Provider, Result, v1};

mod account;
mod app;
mod call;
mod delivery;
mod describe;
mod hooks;
mod installation;
mod mint;
mod organizations;
mod paging;
mod permissions;
mod refs;
mod repositories;
mod revoke;
#[cfg(test)]
mod tests;
mod time;

#[cfg(feature = "export")]
bindery_plugin_sdk::export_provider!(GitHub);

/// GitHub.
#[derive(Debug, Default)]
pub struct GitHub;

impl Provider for GitHub {
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

    async fn revoke(&self, cx: &Cx, input: v1::Revoke) -> Result<v1::Revocation> {
        revoke::revoke(cx, input.whole_grant).await
    }

    async fn probe(&self, cx: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        account::probe(cx).await
    }

    async fn mint_token(&self, cx: &Cx, input: v1::MintToken) -> Result<v1::Minted> {
        mint::mint(cx, &input).await
    }

    async fn get_installation(
        &self,
        cx: &Cx,
        input: v1::GetInstallation,
    ) -> Result<v1::Installation> {
        installation::get(cx, &input).await
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
