//! The trait that a plugin implements

use std::future::{Future, ready};

use bindery_plugin_proto::v1::{self, operation_request::Input, output};

use crate::{Cx, Failure, Result};

/// A provider of source-code hosting.
///
/// Methods are written as `async fn`. Each operation runs on a value of its own, made with `Default`, so that nothing of
/// one operation is seen by another. What is not implemented is `UNSUPPORTED`; what is, belongs into
/// [`Description::operations`](v1::Description::operations).
pub trait Provider: Default + Send + Sync + 'static {
    /// All that is data about the provider. The SDK adds the revision of the messages and its own version.
    fn description() -> v1::Description;

    /// Who does the token belong to?
    fn identify(
        &self,
        cx: &Cx,
        input: v1::Identify,
    ) -> impl Future<Output = Result<v1::Identity>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// What is the token: scopes, expiry, is it accepted?
    fn inspect_token(
        &self,
        cx: &Cx,
        input: v1::InspectToken,
    ) -> impl Future<Output = Result<v1::TokenFacts>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// Which organizations, and may the token act on each? Pages are handed over with [`Cx::emit`].
    fn list_organizations(
        &self,
        cx: &Cx,
        input: v1::ListOrganizations,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// Which repositories can the token see? Pages are handed over with [`Cx::emit`].
    fn list_repositories(
        &self,
        cx: &Cx,
        input: v1::ListRepositories,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// One repository, by full name or by `id:` and its stable id.
    fn get_repository(
        &self,
        cx: &Cx,
        input: v1::GetRepository,
    ) -> impl Future<Output = Result<v1::Repository>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// Branches and tags. Pages are handed over with [`Cx::emit`].
    fn list_refs(&self, cx: &Cx, input: v1::ListRefs) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// Takes the token, or the whole authorization, away at the provider.
    fn revoke(
        &self,
        cx: &Cx,
        input: v1::Revoke,
    ) -> impl Future<Output = Result<v1::Revocation>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// Which version does the server run, and is it this provider at all?
    fn probe(
        &self,
        cx: &Cx,
        input: v1::Probe,
    ) -> impl Future<Output = Result<v1::ServerFacts>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// A new short token for the installation, as narrow as was asked for.
    fn mint_token(
        &self,
        cx: &Cx,
        input: v1::MintToken,
    ) -> impl Future<Output = Result<v1::Minted>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// A new token in place of the current one, which ends with it.
    fn rotate_token(
        &self,
        cx: &Cx,
        input: v1::RotateToken,
    ) -> impl Future<Output = Result<v1::TokenFacts>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// One installation of the host's app.
    fn get_installation(
        &self,
        cx: &Cx,
        input: v1::GetInstallation,
    ) -> impl Future<Output = Result<v1::Installation>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// The hooks of a repository. Pages are handed over with [`Cx::emit`].
    fn list_hooks(&self, cx: &Cx, input: v1::ListHooks) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// A new hook: JSON, TLS verified, active, with the secret `hook_secret`. The answer is the hook as the provider has it
    /// afterwards.
    fn create_hook(
        &self,
        cx: &Cx,
        input: v1::CreateHook,
    ) -> impl Future<Output = Result<v1::HookFacts>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// A hook is put right in place, with the secret `hook_secret`. The answer is the hook as the provider has it afterwards.
    ///
    /// Where the API can't change a secret, make the new hook first and then delete the old one: no delivery is missed, and
    /// the answer has the new id.
    fn update_hook(
        &self,
        cx: &Cx,
        input: v1::UpdateHook,
    ) -> impl Future<Output = Result<v1::HookFacts>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// A hook is taken away; one that is not there is `ALREADY_ABSENT`.
    fn delete_hook(
        &self,
        cx: &Cx,
        input: v1::DeleteHook,
    ) -> impl Future<Output = Result<v1::Revocation>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// The provider sends a ping, or the like of one.
    fn ping_hook(&self, cx: &Cx, input: v1::PingHook) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// What the provider says that it sent, the newest first. Pages are handed over with [`Cx::emit`].
    fn list_deliveries(
        &self,
        cx: &Cx,
        input: v1::ListDeliveries,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// The provider sends a delivery once more.
    fn redeliver(&self, cx: &Cx, input: v1::Redeliver) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }

    /// What does a delivery say? It was verified. Asks for nothing: [`delivery`](crate::delivery) has what it needs.
    fn parse_delivery(
        &self,
        cx: &Cx,
        input: v1::ParseDelivery,
    ) -> impl Future<Output = Result<v1::Delivered>> + Send {
        let _ = (cx, input);
        ready(Err(unsupported()))
    }
}

/// Revision of the messages that this SDK speaks.
pub(crate) const SCHEMA: u32 = 1;

/// The description with what the SDK knows itself.
pub(crate) fn describe<P: Provider>() -> v1::Description {
    v1::Description {
        schema_min: SCHEMA,
        schema_max: SCHEMA,
        build: concat!("bindery-plugin-sdk ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..P::description()
    }
}

/// Runs one operation to its result.
pub(crate) async fn run<P: Provider>(cx: Cx, input: Option<Input>) -> Result<output::Kind> {
    let provider = P::default();
    let done = |()| output::Kind::Empty(v1::Empty {});
    match input.ok_or_else(|| Failure::unsupported("the plugin does not know this operation"))? {
        Input::Identify(input) => provider
            .identify(&cx, input)
            .await
            .map(output::Kind::Identity),
        Input::InspectToken(input) => provider
            .inspect_token(&cx, input)
            .await
            .map(output::Kind::TokenFacts),
        Input::ListOrganizations(input) => provider.list_organizations(&cx, input).await.map(done),
        Input::ListRepositories(input) => provider.list_repositories(&cx, input).await.map(done),
        Input::GetRepository(input) => provider
            .get_repository(&cx, input)
            .await
            .map(output::Kind::Repository),
        Input::ListRefs(input) => provider.list_refs(&cx, input).await.map(done),
        Input::Revoke(input) => provider
            .revoke(&cx, input)
            .await
            .map(output::Kind::Revocation),
        Input::Probe(input) => provider.probe(&cx, input).await.map(output::Kind::Server),
        Input::MintToken(input) => provider
            .mint_token(&cx, input)
            .await
            .map(output::Kind::Minted),
        Input::RotateToken(input) => provider
            .rotate_token(&cx, input)
            .await
            .map(output::Kind::TokenFacts),
        Input::GetInstallation(input) => provider
            .get_installation(&cx, input)
            .await
            .map(output::Kind::Installation),
        Input::ListHooks(input) => provider.list_hooks(&cx, input).await.map(done),
        Input::CreateHook(input) => provider
            .create_hook(&cx, input)
            .await
            .map(output::Kind::Hook),
        Input::UpdateHook(input) => provider
            .update_hook(&cx, input)
            .await
            .map(output::Kind::Hook),
        Input::DeleteHook(input) => provider
            .delete_hook(&cx, input)
            .await
            .map(output::Kind::Revocation),
        Input::PingHook(input) => provider.ping_hook(&cx, input).await.map(done),
        Input::ListDeliveries(input) => provider.list_deliveries(&cx, input).await.map(done),
        Input::Redeliver(input) => provider.redeliver(&cx, input).await.map(done),
        Input::ParseDelivery(input) => provider
            .parse_delivery(&cx, input)
            .await
            .map(output::Kind::Delivered),
    }
}

fn unsupported() -> Failure {
    Failure::unsupported("the plugin does not implement this operation")
}
