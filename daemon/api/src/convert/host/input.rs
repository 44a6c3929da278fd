//! What an operator says about a host: all fields are checked at once, and secrets become secrets.

use std::collections::BTreeMap;

use bindery_core::{
    host::Host,
    name::{HostName, ProviderName},
    provider::AuthKind,
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::hosts::{
    AppUpdate, ClientUpdate, HostUpdate, NetworkUpdate, NewHost, RateBudgetUpdate, UrlUpdate,
};
use bindery_proto::v1::{self as wire, host as part};
use ipnet::IpNet;
use prost_types::FieldMask;

use super::{ports, redirect_path};
use crate::{
    fields::Fields,
    mask::{Mask, Shape},
    status::Failure,
};

/// Largest CA bundle.
pub(super) const BUNDLE: usize = 256 << 10;

/// Largest client certificate with its chain, and largest key.
const CERTIFICATE: usize = 64 << 10;

/// Settings for the plugin that a host may have.
const MOST_SETTINGS: usize = 32;

/// Client secrets that a host may have.
const MOST_SECRETS: usize = 5;

/// Requests at the same time that can be asked for.
const MOST_AT_ONCE: u32 = 256;

/// What an update can name.
const SHAPE: Shape = Shape {
    mutable: &[
        "display_name",
        "public_urls.web",
        "public_urls.api",
        "public_urls.git",
        "internal_urls.web",
        "internal_urls.api",
        "internal_urls.git",
        "issuer",
        "ca_bundle_pem",
        "proxy.uri",
        "proxy.username",
        "client_certificate.certificate_pem",
        "oauth_client.client_id",
        "oauth_client.client_secret_expire_times",
        "app.app_id",
        "app.slug",
        "app.private_key_expire_time",
        "port_policy",
        "allowed_private_cidrs",
        "rate_budget.requests_per_hour",
        "rate_budget.max_concurrent_requests",
        "allowed_methods",
        "disabled",
        "disabled_reason",
        "labels",
        "annotations",
        "settings",
    ],
    secret: &[
        "proxy.password",
        "client_certificate.private_key_pem",
        "oauth_client.client_secrets",
        "app.private_key_pem",
    ],
    immutable: &[
        "name",
        "provider",
        "create_time",
        "oauth_client.redirect_path",
    ],
};

/// Checks a new host, all fields at once. Its secrets become secrets here.
pub(crate) fn new_host(
    id: &str,
    wire: Option<wire::Host>,
    actor: &str,
) -> Result<NewHost, Failure> {
    let mut fields = Fields::default();
    let wire = wire.unwrap_or_default();
    let name = fields.take("host_id", HostName::parse(id));
    let provider = wire.provider.strip_prefix("providers/").unwrap_or_default();
    let provider = fields.take("host.provider", ProviderName::parse(provider));
    let urls = wire.public_urls.as_ref();
    let web = urls.is_some_and(|urls| !urls.web.is_empty());
    fields.check(web, "host.public_urls.web", "is missing");
    let given = Mask::read(None, &SHAPE, |path| is_set(&wire, path))?;
    let settings = settings(&mut fields, &given, wire, actor);
    fields.finish()?;
    let (Some(name), Some(provider)) = (name, provider) else {
        // The fields are in order, so both are there.
        return Err(crate::fields::wrong("host", "is incomplete"));
    };
    Ok(NewHost {
        name,
        provider,
        settings,
    })
}

/// Checks a change of the host `old`, all fields at once.
pub(crate) fn update(
    request: &mut wire::UpdateHostRequest,
    old: &Host,
    actor: &str,
) -> Result<HostUpdate, Failure> {
    let mut wire = request.host.take().unwrap_or_default();
    forget_shown(&mut wire, old);
    let mask = mask(request.update_mask.take(), &wire, request)?;
    let mut fields = Fields::default();
    let provider =
        wire.provider.is_empty() || wire.provider == format!("providers/{}", old.provider);
    fields.check(provider, "host.provider", "never changes; leave it out");
    let mut update = settings(&mut fields, &mask, wire, actor);
    let added = std::mem::take(&mut request.add_client_secrets);
    update.client.add = client_secrets(&mut fields, "add_client_secrets", added);
    update.client.remove = std::mem::take(&mut request.remove_client_secrets);
    fields.finish()?;
    Ok(update)
}

/// Who changes what they have read sends back all of it: a redirect path that is the host's own asks for nothing.
fn forget_shown(wire: &mut wire::Host, old: &Host) {
    let client = wire.oauth_client.as_mut();
    if let Some(client) = client.filter(|client| client.redirect_path == redirect_path(old)) {
        client.redirect_path.clear();
    }
}

/// An update may do nothing but exchange client secrets.
fn mask(
    mask: Option<FieldMask>,
    wire: &wire::Host,
    request: &wire::UpdateHostRequest,
) -> Result<Mask, Failure> {
    let exchange =
        !request.add_client_secrets.is_empty() || !request.remove_client_secrets.is_empty();
    let mask = mask.filter(|mask| !(exchange && mask.paths.is_empty()));
    Mask::read(mask, &SHAPE, |path| is_set(wire, path))
}

/// Whether a message sets a field; an empty value is none.
fn is_set(host: &wire::Host, path: &str) -> bool {
    let public = host.public_urls.as_ref();
    let internal = host.internal_urls.as_ref();
    let proxy = host.proxy.as_ref();
    let certificate = host.client_certificate.as_ref();
    let client = host.oauth_client.as_ref();
    let app = host.app.as_ref();
    let budget = host.rate_budget.as_ref();
    match path {
        "display_name" => !host.display_name.is_empty(),
        "public_urls.web" => public.is_some_and(|urls| !urls.web.is_empty()),
        "public_urls.api" => public.is_some_and(|urls| !urls.api.is_empty()),
        "public_urls.git" => public.is_some_and(|urls| !urls.git.is_empty()),
        "internal_urls.web" => internal.is_some_and(|urls| !urls.web.is_empty()),
        "internal_urls.api" => internal.is_some_and(|urls| !urls.api.is_empty()),
        "internal_urls.git" => internal.is_some_and(|urls| !urls.git.is_empty()),
        "issuer" => !host.issuer.is_empty(),
        "ca_bundle_pem" => !host.ca_bundle_pem.is_empty(),
        "proxy.uri" => proxy.is_some_and(|proxy| !proxy.uri.is_empty()),
        "proxy.username" => proxy.is_some_and(|proxy| !proxy.username.is_empty()),
        "proxy.password" => proxy.is_some_and(|proxy| !proxy.password.is_empty()),
        "client_certificate.certificate_pem" => {
            certificate.is_some_and(|shown| !shown.certificate_pem.is_empty())
        }
        "client_certificate.private_key_pem" => {
            certificate.is_some_and(|shown| !shown.private_key_pem.is_empty())
        }
        "oauth_client.client_id" => client.is_some_and(|client| !client.client_id.is_empty()),
        "oauth_client.client_secrets" => {
            client.is_some_and(|client| !client.client_secrets.is_empty())
        }
        "oauth_client.client_secret_expire_times" => {
            client.is_some_and(|client| !client.client_secret_expire_times.is_empty())
        }
        "app.app_id" => app.is_some_and(|app| !app.app_id.is_empty()),
        "app.slug" => app.is_some_and(|app| !app.slug.is_empty()),
        "app.private_key_pem" => app.is_some_and(|app| !app.private_key_pem.is_empty()),
        "app.private_key_expire_time" => {
            app.is_some_and(|app| app.private_key_expire_time.is_some())
        }
        "port_policy" => host.port_policy.is_some(),
        "allowed_private_cidrs" => !host.allowed_private_cidrs.is_empty(),
        "rate_budget.requests_per_hour" => {
            budget.is_some_and(|budget| budget.requests_per_hour != 0)
        }
        "rate_budget.max_concurrent_requests" => {
            budget.is_some_and(|budget| budget.max_concurrent_requests != 0)
        }
        "allowed_methods" => !host.allowed_methods.is_empty(),
        "disabled" => host.disabled,
        "disabled_reason" => !host.disabled_reason.is_empty(),
        "labels" => !host.labels.is_empty(),
        "annotations" => !host.annotations.is_empty(),
        "settings" => !host.settings.is_empty(),
        _ => false,
    }
}

/// What the mask names of a message, checked.
fn settings(fields: &mut Fields, mask: &Mask, wire: wire::Host, actor: &str) -> HostUpdate {
    fields.text("host.display_name", &wire.display_name, 200);
    fields.text("host.issuer", &wire.issuer, 1000);
    fields.text("host.disabled_reason", &wire.disabled_reason, 1000);
    fields.labels("host.labels", &wire.labels);
    fields.annotations("host.annotations", &wire.annotations);
    plugin_settings(fields, &wire.settings);
    let methods = methods(fields, &wire.allowed_methods);
    let ports = ports::read(fields, wire.port_policy.as_ref());
    let networks = networks(fields, &wire.allowed_private_cidrs);
    let bundle = bounded(fields, "host.ca_bundle_pem", wire.ca_bundle_pem, BUNDLE);
    let proxied = proxy(fields, mask, wire.proxy.unwrap_or_default());
    let shown = wire.client_certificate.unwrap_or_default();
    let certified = certificate(fields, mask, shown, proxied);
    HostUpdate {
        display_name: mask.pick("display_name", wire.display_name),
        urls: urls(mask, wire.public_urls, wire.internal_urls),
        issuer: mask.pick("issuer", wire.issuer),
        network: NetworkUpdate {
            ca_bundle_pem: mask.pick("ca_bundle_pem", bundle),
            ports: mask.pick("port_policy", ports),
            allowed_networks: mask.pick("allowed_private_cidrs", networks),
            ..certified
        },
        client: client(fields, mask, wire.oauth_client.unwrap_or_default()),
        app: app(fields, mask, wire.app.unwrap_or_default()),
        rate_budget: rate_budget(fields, mask, wire.rate_budget.unwrap_or_default()),
        allowed_methods: mask.pick("allowed_methods", methods),
        disabled: mask.pick("disabled", wire.disabled),
        disabled_reason: mask.pick("disabled_reason", wire.disabled_reason),
        actor: actor.to_owned(),
        labels: mask.pick("labels", wire.labels),
        annotations: mask.pick("annotations", wire.annotations),
        settings: mask.pick("settings", wire.settings),
    }
}

fn urls(mask: &Mask, public: Option<part::Urls>, internal: Option<part::Urls>) -> UrlUpdate {
    let (public, internal) = (public.unwrap_or_default(), internal.unwrap_or_default());
    UrlUpdate {
        web: mask.pick("public_urls.web", public.web),
        api: mask.pick("public_urls.api", public.api),
        git: mask.pick("public_urls.git", public.git),
        internal_web: mask.pick("internal_urls.web", internal.web),
        internal_api: mask.pick("internal_urls.api", internal.api),
        internal_git: mask.pick("internal_urls.git", internal.git),
    }
}

fn proxy(fields: &mut Fields, mask: &Mask, proxy: part::Proxy) -> NetworkUpdate {
    let field = "host.proxy.username";
    fields.text(field, &proxy.username, 200);
    // RFC 7617: the user name ends at the first colon.
    let plain = !proxy.username.contains(':');
    fields.check(plain, field, "holds a colon, which user names can't");
    let password = secret(fields, "host.proxy.password", proxy.password, 1000);
    NetworkUpdate {
        proxy_url: mask.pick("proxy.uri", proxy.uri),
        proxy_username: mask.pick("proxy.username", proxy.username),
        proxy_password: mask.pick("proxy.password", password),
        ..NetworkUpdate::default()
    }
}

fn certificate(
    fields: &mut Fields,
    mask: &Mask,
    shown: part::ClientCertificate,
    rest: NetworkUpdate,
) -> NetworkUpdate {
    let (field, key_field) = (
        "host.client_certificate.certificate_pem",
        "host.client_certificate.private_key_pem",
    );
    let pem = bounded(fields, field, shown.certificate_pem, CERTIFICATE);
    let key = secret(fields, key_field, shown.private_key_pem, CERTIFICATE);
    NetworkUpdate {
        client_certificate_pem: mask.pick("client_certificate.certificate_pem", pem),
        client_key: mask.pick("client_certificate.private_key_pem", key),
        ..rest
    }
}

fn client(fields: &mut Fields, mask: &Mask, client: part::OAuthClient) -> ClientUpdate {
    fields.text("host.oauth_client.client_id", &client.client_id, 1000);
    let path = client.redirect_path.is_empty();
    let chosen = "is chosen by the daemon, one for each host; leave it out";
    fields.check(path, "host.oauth_client.redirect_path", chosen);
    let field = "host.oauth_client.client_secrets";
    let secrets = client_secrets(fields, field, client.client_secrets);
    let field = "host.oauth_client.client_secret_expire_times";
    let ends = client.client_secret_expire_times;
    fields.check(ends.len() <= MOST_SECRETS, field, "has more than 5 entries");
    let ends = ends
        .iter()
        .map(|end| moment(fields, field, Some(end)))
        .collect();
    ClientUpdate {
        id: mask.pick("oauth_client.client_id", client.client_id),
        secrets: mask.pick("oauth_client.client_secrets", secrets),
        expires: mask.pick("oauth_client.client_secret_expire_times", ends),
        ..ClientUpdate::default()
    }
}

fn client_secrets(fields: &mut Fields, field: &str, texts: Vec<String>) -> Vec<Secret> {
    fields.check(
        texts.len() <= MOST_SECRETS,
        field,
        "has more than 5 entries",
    );
    let secrets: Vec<_> = texts.into_iter().map(Secret::new).collect();
    let usable = |secret: &Secret| {
        !secret.is_empty() && secret.expose().bytes().all(|c| c.is_ascii_graphic())
    };
    fields.check(
        secrets.iter().all(usable),
        field,
        "holds an empty one, or one with blanks; copy it again",
    );
    secrets
}

fn app(fields: &mut Fields, mask: &Mask, app: part::App) -> AppUpdate {
    let plain = |text: &str| {
        text.bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
    };
    for (field, text) in [
        ("host.app.app_id", &app.app_id),
        ("host.app.slug", &app.slug),
    ] {
        fields.text(field, text, 200);
        fields.check(
            plain(text),
            field,
            "holds more than letters, digits, -, _ and .",
        );
    }
    let field = "host.app.private_key_pem";
    let key = secret(fields, field, app.private_key_pem, CERTIFICATE);
    let end = app.private_key_expire_time;
    let end = moment(fields, "host.app.private_key_expire_time", end.as_ref());
    AppUpdate {
        id: mask.pick("app.app_id", app.app_id),
        slug: mask.pick("app.slug", app.slug),
        private_key: mask.pick("app.private_key_pem", key),
        key_expires: mask.pick("app.private_key_expire_time", end),
    }
}

fn rate_budget(fields: &mut Fields, mask: &Mask, budget: part::RateBudget) -> RateBudgetUpdate {
    fields.check(
        budget.max_concurrent_requests <= MOST_AT_ONCE,
        "host.rate_budget.max_concurrent_requests",
        "is more than 256",
    );
    RateBudgetUpdate {
        requests_per_hour: mask.pick("rate_budget.requests_per_hour", budget.requests_per_hour),
        at_once: mask.pick(
            "rate_budget.max_concurrent_requests",
            budget.max_concurrent_requests,
        ),
    }
}

fn methods(fields: &mut Fields, numbers: &[i32]) -> Vec<AuthKind> {
    let field = "host.allowed_methods";
    let mut kinds = Vec::new();
    for number in numbers {
        match method(*number) {
            Some(kind) if !kinds.contains(&kind) => kinds.push(kind),
            Some(_) => {}
            None => fields.refuse(field, "holds a method that is not known"),
        }
    }
    kinds
}

fn method(number: i32) -> Option<AuthKind> {
    match wire::AuthMethodKind::try_from(number).ok()? {
        wire::AuthMethodKind::OauthCode => Some(AuthKind::OAuthCode),
        wire::AuthMethodKind::DeviceFlow => Some(AuthKind::Device),
        wire::AuthMethodKind::AccessToken => Some(AuthKind::AccessToken),
        wire::AuthMethodKind::AppInstallation => Some(AuthKind::AppInstallation),
        wire::AuthMethodKind::Unspecified => None,
    }
}

/// Settings go to the plugin as they are, so they stay small and printable.
fn plugin_settings(fields: &mut Fields, settings: &BTreeMap<String, String>) {
    let field = "host.settings";
    fields.check(
        settings.len() <= MOST_SETTINGS,
        field,
        "has more than 32 entries",
    );
    let named = |name: &String| (1..=63).contains(&name.len());
    fields.check(
        settings.keys().all(named),
        field,
        "has a name that is not between 1 and 63 bytes long",
    );
    for text in settings.iter().flat_map(|(name, value)| [name, value]) {
        fields.text(field, text, 1000);
    }
}

fn networks(fields: &mut Fields, texts: &[String]) -> Vec<IpNet> {
    let field = "host.allowed_private_cidrs";
    fields.check(texts.len() <= 64, field, "has more than 64 entries");
    let parse = |text: &String| {
        let parsed = text.parse::<IpNet>().ok().filter(|net| net.trunc() == *net);
        parsed.ok_or_else(|| {
            format!("holds {text:?}, which is no address range; write it like 10.1.0.0/16")
        })
    };
    texts
        .iter()
        .filter_map(|text| fields.take(field, parse(text)))
        .collect()
}

fn bounded(fields: &mut Fields, field: &str, text: String, most: usize) -> String {
    let why = format!("is larger than {} KiB", most >> 10);
    fields.check(text.len() <= most, field, &why);
    text
}

fn secret(fields: &mut Fields, field: &str, text: String, most: usize) -> Secret {
    let secret = Secret::new(text);
    let fits = secret.expose().len() <= most;
    fields.check(fits, field, "is longer than any such secret; copy it again");
    secret
}

/// A point in time; the epoch itself stands for none.
fn moment(
    fields: &mut Fields,
    field: &str,
    wire: Option<&prost_types::Timestamp>,
) -> Option<Timestamp> {
    let seconds = wire?.seconds;
    match u64::try_from(seconds)
        .ok()
        .and_then(|s| s.checked_mul(1000))
    {
        Some(0) => None,
        Some(ms) => Some(Timestamp::from_unix_ms(ms)),
        None => {
            fields.refuse(field, "holds a time before 1970, or far too late");
            None
        }
    }
}
