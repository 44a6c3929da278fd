//! Providers and hosts.

use bindery_proto::v1::{
    self as proto, Host, host_service_server::HostService, probe_host_request::Target,
    probe_host_response as probe, provider_service_server::ProviderService,
};
use tonic::{Request, Response, Status};

use super::{
    refusal::{exists, not_found},
    world::{Keyed, World, filtered, keyed, now, wrong},
};

impl Keyed for proto::ListProvidersRequest {}
impl Keyed for proto::GetProviderRequest {}
impl Keyed for proto::GetHostRequest {}
impl Keyed for proto::ListHostsRequest {}
impl Keyed for proto::ProbeHostRequest {}
impl Keyed for proto::SetUpAppHookRequest {}

keyed!(CreateHostRequest, UpdateHostRequest, DeleteHostRequest);

#[tonic::async_trait]
impl ProviderService for World {
    async fn list_providers(
        &self,
        request: Request<proto::ListProvidersRequest>,
    ) -> Result<Response<proto::ListProvidersResponse>, Status> {
        self.enter("ListProviders", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let all: Vec<_> = state.providers.values().cloned().collect();
        let (providers, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListProvidersResponse {
            providers,
            next_page_token,
        }))
    }

    async fn get_provider(
        &self,
        request: Request<proto::GetProviderRequest>,
    ) -> Result<Response<proto::Provider>, Status> {
        self.enter("GetProvider", &request)?;
        let name = request.into_inner().name;
        let found = self.lock().providers.get(&name).cloned();
        found.map(Response::new).ok_or_else(|| not_found(&name))
    }
}

#[tonic::async_trait]
impl HostService for World {
    async fn create_host(
        &self,
        request: Request<proto::CreateHostRequest>,
    ) -> Result<Response<Host>, Status> {
        self.enter("CreateHost", &request)?;
        let request = request.into_inner();
        let mut host = request
            .host
            .ok_or_else(|| wrong("INVALID_ARGUMENT", "host"))?;
        host.name = format!("hosts/{}", request.host_id);
        host.create_time = now();
        forget_secrets(&mut host);
        let mut state = self.lock();
        if state.hosts.contains_key(&host.name) {
            return Err(exists(&host.name));
        }
        host.etag = state.next().to_string();
        state.hosts.insert(host.name.clone(), host.clone());
        Ok(Response::new(host))
    }

    async fn get_host(
        &self,
        request: Request<proto::GetHostRequest>,
    ) -> Result<Response<Host>, Status> {
        self.enter("GetHost", &request)?;
        let name = request.into_inner().name;
        let found = self.lock().hosts.get(&name).cloned();
        found.map(Response::new).ok_or_else(|| not_found(&name))
    }

    async fn list_hosts(
        &self,
        request: Request<proto::ListHostsRequest>,
    ) -> Result<Response<proto::ListHostsResponse>, Status> {
        self.enter("ListHosts", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let matching = |host: &&Host| filtered(&request.filter, "provider", &host.provider);
        let all: Vec<_> = state.hosts.values().filter(matching).cloned().collect();
        let (hosts, next_page_token) = state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListHostsResponse {
            hosts,
            next_page_token,
        }))
    }

    async fn update_host(
        &self,
        request: Request<proto::UpdateHostRequest>,
    ) -> Result<Response<Host>, Status> {
        self.enter("UpdateHost", &request)?;
        let request = request.into_inner();
        let change = request
            .host
            .clone()
            .ok_or_else(|| wrong("INVALID_ARGUMENT", "host"))?;
        let paths = request.update_mask.clone().unwrap_or_default().paths;
        let mut state = self.lock();
        let host = state
            .hosts
            .get_mut(&change.name)
            .ok_or_else(|| not_found(&change.name))?;
        for path in &paths {
            update(host, &change, path)?;
        }
        exchange(
            host,
            &request.add_client_secrets,
            &request.remove_client_secrets,
        )?;
        forget_secrets(host);
        Ok(Response::new(host.clone()))
    }

    async fn delete_host(
        &self,
        request: Request<proto::DeleteHostRequest>,
    ) -> Result<Response<()>, Status> {
        self.enter("DeleteHost", &request)?;
        let name = request.into_inner().name;
        let removed = self.lock().hosts.remove(&name);
        removed
            .map(|_| Response::new(()))
            .ok_or_else(|| not_found(&name))
    }

    async fn set_up_app_hook(
        &self,
        request: Request<proto::SetUpAppHookRequest>,
    ) -> Result<Response<Host>, Status> {
        self.enter("SetUpAppHook", &request)?;
        let request = request.into_inner();
        let mut state = self.lock();
        let host = state
            .hosts
            .get_mut(&request.name)
            .ok_or_else(|| not_found(&request.name))?;
        let Some(app) = &mut host.app else {
            return Err(wrong("METHOD_NOT_SUPPORTED", "app"));
        };
        app.hook = Some(proto::Hook {
            state: proto::hook::State::Silent.into(),
            delivery_uri: "https://bindery.example/hooks/app".to_owned(),
            secret_facts: Some(proto::SecretFacts {
                fingerprint: format!("{:016x}", request.secret.len()),
                ..proto::SecretFacts::default()
            }),
            ..proto::Hook::default()
        });
        Ok(Response::new(host.clone()))
    }

    async fn probe_host(
        &self,
        request: Request<proto::ProbeHostRequest>,
    ) -> Result<Response<proto::ProbeHostResponse>, Status> {
        self.enter("ProbeHost", &request)?;
        if let Some(Target::Name(name)) = request.into_inner().target {
            self.lock()
                .hosts
                .get(&name)
                .ok_or_else(|| not_found(&name))?;
        }
        let layers = [
            probe::Layer::Dns,
            probe::Layer::Tcp,
            probe::Layer::Tls,
            probe::Layer::Http,
            probe::Layer::Api,
        ];
        let verdict = |layer: probe::Layer| probe::Verdict {
            leg: probe::Leg::Api.into(),
            layer: layer.into(),
            outcome: probe::Outcome::Ok.into(),
            message: "it works".to_owned(),
            ..probe::Verdict::default()
        };
        Ok(Response::new(proto::ProbeHostResponse {
            verdicts: layers.into_iter().map(verdict).collect(),
            healthy: true,
            server_version: "1.24.0".to_owned(),
            clock_skew: None,
            probe_time: now(),
            findings: Vec::new(),
        }))
    }
}

/// New client secrets come first; each has its length as fingerprint.
fn exchange(host: &mut Host, add: &[String], remove: &[String]) -> Result<(), Status> {
    if add.is_empty() && remove.is_empty() {
        return Ok(());
    }
    let client = host.oauth_client.get_or_insert_default();
    let known = &mut client.client_secret_facts;
    for print in remove {
        let before = known.len();
        known.retain(|fact| fact.fingerprint != *print);
        if known.len() == before {
            return Err(wrong("INVALID_ARGUMENT", "remove_client_secrets"));
        }
    }
    let fact = |secret: &String| proto::SecretFacts {
        fingerprint: format!("{:016x}", secret.len()),
        create_time: now(),
        ..proto::SecretFacts::default()
    };
    known.splice(0..0, add.iter().map(fact));
    client.client_secret_count = i32::try_from(known.len()).unwrap_or(i32::MAX);
    Ok(())
}

fn update(host: &mut Host, change: &Host, path: &str) -> Result<(), Status> {
    let change = change.clone();
    match path.split('.').next().unwrap_or_default() {
        "display_name" => host.display_name = change.display_name,
        "issuer" => host.issuer = change.issuer,
        "public_urls" => host.public_urls = change.public_urls,
        "internal_urls" => host.internal_urls = change.internal_urls,
        "ca_bundle_pem" => host.ca_bundle_pem = change.ca_bundle_pem,
        "oauth_client" => host.oauth_client = change.oauth_client,
        "proxy" => host.proxy = change.proxy,
        "port_policy" => host.port_policy = change.port_policy,
        "allowed_private_cidrs" => host.allowed_private_cidrs = change.allowed_private_cidrs,
        "disabled" => host.disabled = change.disabled,
        "disabled_reason" => host.disabled_reason = change.disabled_reason,
        "client_certificate" => host.client_certificate = change.client_certificate,
        "app" => host.app = change.app,
        "rate_budget" => host.rate_budget = change.rate_budget,
        "allowed_methods" => host.allowed_methods = change.allowed_methods,
        "settings" => host.settings = change.settings,
        "labels" => host.labels = change.labels,
        "annotations" => host.annotations = change.annotations,
        _ => return Err(wrong("UPDATE_MASK_INVALID", "update_mask")),
    }
    Ok(())
}

/// As a daemon does: counts secrets, and answers without them.
fn forget_secrets(host: &mut Host) {
    let id = host.name.trim_start_matches("hosts/").to_owned();
    if let Some(client) = &mut host.oauth_client {
        let count = i32::try_from(client.client_secrets.len()).unwrap_or(i32::MAX);
        client.client_secret_count = count.max(client.client_secret_count);
        client.client_secrets.clear();
        client.redirect_path = format!("/callback/{id}");
        client.redirect_uri = format!("https://bindery.example/callback/{id}");
    }
    if let Some(proxy) = &mut host.proxy {
        proxy.password.clear();
    }
    if let Some(shown) = &mut host.client_certificate {
        shown.private_key_pem.clear();
    }
    if let Some(app) = &mut host.app {
        app.private_key_pem.clear();
    }
}
