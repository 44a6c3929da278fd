//! Provider plugin for Bitbucket: Cloud and Data Center
//!
//! The two share a name and little else: other APIs, other words for the same things, other ways to authorize. So each
//! has a module tree of its own, and only this file knows both. The description itself is Data Center, which is at any
//! address; Cloud is its edition `cloud`.
//!
//! | module | holds |
//! |---|---|
//! | `describe` | what is data about both |
//! | `common`, `webhooks` | the little that both editions need |
//! | `cloud` | Bitbucket Cloud: `https://bitbucket.org` and its stand-ins |
//! | `data_center` | Bitbucket Data Center |

#![forbid(unsafe_code)]

use bindery_plugin_sdk::{Cx, Provider, Result, v1};

mod cloud;
mod common;
mod data_center;
mod describe;
#[cfg(test)]
mod tests;
mod webhooks;

#[cfg(feature = "export")]
bindery_plugin_sdk::export_provider!(Bitbucket);

/// Bitbucket Cloud and Bitbucket Data Center.
#[derive(Debug, Default)]
pub struct Bitbucket;

/// Runs an operation in the edition of the host.
macro_rules! by_edition {
    ($cx:expr, $($operation:tt)+) => {
        if $cx.edition() == describe::CLOUD {
            cloud::$($operation)+.await
        } else {
            data_center::$($operation)+.await
        }
    };
}

impl Provider for Bitbucket {
    fn description() -> v1::Description {
        describe::description()
    }

    async fn identify(&self, cx: &Cx, _: v1::Identify) -> Result<v1::Identity> {
        by_edition!(cx, account::identify(cx))
    }

    async fn inspect_token(&self, cx: &Cx, _: v1::InspectToken) -> Result<v1::TokenFacts> {
        by_edition!(cx, account::inspect(cx))
    }

    async fn list_organizations(&self, cx: &Cx, input: v1::ListOrganizations) -> Result<()> {
        by_edition!(cx, organizations::list(cx, &input))
    }

    async fn list_repositories(&self, cx: &Cx, input: v1::ListRepositories) -> Result<()> {
        by_edition!(cx, repositories::list(cx, &input))
    }

    async fn get_repository(&self, cx: &Cx, input: v1::GetRepository) -> Result<v1::Repository> {
        by_edition!(cx, repositories::get(cx, &input.repository))
    }

    async fn list_refs(&self, cx: &Cx, input: v1::ListRefs) -> Result<()> {
        by_edition!(cx, refs::list(cx, &input))
    }

    async fn revoke(&self, cx: &Cx, _: v1::Revoke) -> Result<v1::Revocation> {
        if cx.edition() == describe::CLOUD {
            cloud::revoke::revoke(cx)
        } else {
            data_center::revoke::revoke(cx)
        }
    }

    async fn probe(&self, cx: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        by_edition!(cx, probe::probe(cx))
    }

    async fn list_hooks(&self, cx: &Cx, input: v1::ListHooks) -> Result<()> {
        by_edition!(cx, hooks::list(cx, &input))
    }

    async fn create_hook(&self, cx: &Cx, input: v1::CreateHook) -> Result<v1::HookFacts> {
        by_edition!(cx, hooks::create(cx, &input))
    }

    async fn update_hook(&self, cx: &Cx, input: v1::UpdateHook) -> Result<v1::HookFacts> {
        by_edition!(cx, hooks::update(cx, &input))
    }

    async fn delete_hook(&self, cx: &Cx, input: v1::DeleteHook) -> Result<v1::Revocation> {
        by_edition!(cx, hooks::delete(cx, &input))
    }

    async fn ping_hook(&self, cx: &Cx, input: v1::PingHook) -> Result<()> {
        by_edition!(cx, hooks::ping(cx, &input))
    }

    async fn parse_delivery(&self, cx: &Cx, input: v1::ParseDelivery) -> Result<v1::Delivered> {
        if cx.edition() == describe::CLOUD {
            cloud::delivery::parse(&input)
        } else {
            data_center::delivery::parse(&input)
        }
    }
}
