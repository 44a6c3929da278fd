//! Providers: what is loaded, and what could not be loaded.

use bindery_proto::v1::{self as wire, provider_service_server::ProviderService};

use super::slice;
use crate::{
    admin::{PluginFacts, PluginState},
    call::{Call, not_found, service},
    convert, names, pages,
    status::Failure,
};

service! {
    ProviderService, run;
    serve list_providers(wire::ListProvidersRequest) -> wire::ListProvidersResponse = list;
    serve get_provider(wire::GetProviderRequest) -> wire::Provider = get;
}

async fn list(
    call: Call,
    request: wire::ListProvidersRequest,
) -> Result<wire::ListProvidersResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let (providers, next) = slice(all(&call).await, offset, size);
    Ok(wire::ListProvidersResponse {
        providers,
        next_page_token: call.next_cursor(&request, &next),
    })
}

async fn get(call: Call, request: wire::GetProviderRequest) -> Result<wire::Provider, Failure> {
    names::provider(&request.name)?;
    let found = all(&call)
        .await
        .into_iter()
        .find(|provider| provider.name == request.name);
    found.ok_or_else(|| not_found(&request.name))
}

/// The loaded ones as they describe themselves, and the others with what is wrong.
async fn all(call: &Call) -> Vec<wire::Provider> {
    let mut all: Vec<_> = call
        .engine()
        .providers()
        .iter()
        .map(|known| convert::provider::provider(known))
        .collect();
    for plugin in call.api.admin().plugins().await {
        let name = format!("providers/{}", plugin.name);
        match all.iter_mut().find(|known| known.name == name) {
            Some(known) => known.state = state(plugin.state).into(),
            None if plugin.state == PluginState::Disabled => {}
            None => all.push(broken(name, plugin)),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn broken(name: String, plugin: PluginFacts) -> wire::Provider {
    wire::Provider {
        name,
        plugin_version: plugin.version,
        plugin_sha256: plugin.sha256,
        state: state(plugin.state).into(),
        // The operator's own words have paths in them; a caller learns only whom to ask.
        state_message: "its plugin is not loaded; ask the operator".to_owned(),
        ..wire::Provider::default()
    }
}

const fn state(state: PluginState) -> wire::provider::State {
    match state {
        PluginState::Running => wire::provider::State::Ready,
        PluginState::Restarting => wire::provider::State::Restarting,
        PluginState::Disabled | PluginState::NotTrusted | PluginState::Failed => {
            wire::provider::State::Failed
        }
    }
}
