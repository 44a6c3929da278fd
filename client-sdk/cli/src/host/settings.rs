//! Settings of a host on the command line.

use std::{fs, path::PathBuf};

use bindery_proto::v1::{
    AuthMethodKind, Host,
    host::{PortPolicy, PortRange, Proxy, Urls},
};
use clap::{Args, ValueEnum};
use url::Url;

use crate::{
    problem::{Exit, Problem},
    secret,
};

mod keys;

pub(super) use self::keys::Exchange;
use self::keys::Keys;

/// Ports for `http` that are allowed where the policy names none.
const HTTP_DEFAULT: [(u32, u32); 10] = [
    (80, 0),
    (21, 0),
    (443, 0),
    (70, 0),
    (210, 0),
    (280, 0),
    (488, 0),
    (591, 0),
    (777, 0),
    (1025, 65535),
];

/// Ports for `https` that are allowed where the policy names none.
const HTTPS_DEFAULT: [(u32, u32); 1] = [(443, 0)];

/// Names of the fields that an update changes.
type Mask = Vec<&'static str>;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodArg {
    /// OAuth in a browser
    Oauth,
    /// Device flow
    Device,
    /// A token that a person made
    Token,
    /// An installation of the host's app
    App,
}

impl From<MethodArg> for AuthMethodKind {
    fn from(argument: MethodArg) -> Self {
        match argument {
            MethodArg::Oauth => Self::OauthCode,
            MethodArg::Device => Self::DeviceFlow,
            MethodArg::Token => Self::AccessToken,
            MethodArg::App => Self::AppInstallation,
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Settings {
    /// Where people reach it, such as https://git.example.org
    #[arg(long, value_name = "URL")]
    pub(super) web_url: Option<String>,
    /// Where its API is, if the provider can't tell from the web URL
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// Where git clones from, if not at the web URL
    #[arg(long, value_name = "URL")]
    git_url: Option<String>,
    /// Where the daemon reaches its OAuth endpoints, if not at the web URL
    #[arg(long, value_name = "URL")]
    internal_url: Option<String>,
    /// Where the daemon reaches its API, if not at the API URL
    #[arg(long, value_name = "URL")]
    internal_api_url: Option<String>,
    /// Where the daemon reaches git, if not at the git URL
    #[arg(long, value_name = "URL")]
    internal_git_url: Option<String>,
    /// What it calls itself in the `iss` of its callbacks, if it sends one; required from then on
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Certificate authorities to trust for it, PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    keys: Keys,
    /// Way of authorization that people may use; all that are configured unless given
    #[arg(long, value_enum, value_name = "METHOD", value_delimiter = ',')]
    allow_method: Vec<MethodArg>,
    /// Requests in an hour, over all links; 0 for what the host itself allows
    #[arg(long, value_name = "NUMBER")]
    requests_per_hour: Option<u32>,
    /// Requests at the same time, over all links; 0 for 8
    #[arg(long, value_name = "NUMBER")]
    requests_at_once: Option<u32>,
    /// Private network that it may be in, such as 10.1.0.0/16
    #[arg(long, value_name = "CIDR")]
    allow_network: Vec<String>,
    /// Port that may be used beside the default ones: 8443, 8000-8100, or http:8080
    #[arg(long, value_name = "PORT")]
    allow_port: Vec<String>,
    /// Accept http:// URLs: tokens then travel in plain text
    #[arg(long)]
    allow_plaintext: bool,
    /// HTTP proxy on the way to it
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// User name at the proxy
    #[arg(long, value_name = "NAME", requires = "proxy")]
    proxy_username: Option<String>,
    /// File with the password at the proxy, - for standard input
    #[arg(long, value_name = "FILE", requires = "proxy")]
    proxy_password_file: Option<PathBuf>,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Label, for selection
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Annotation, for other programs
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    annotation: Vec<(String, String)>,
    /// What the provider's plugin is told besides; never a secret
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    setting: Vec<(String, String)>,
}

impl Settings {
    /// Puts what was named into a host, and says which fields that were.
    pub(super) fn apply(&self, host: &mut Host) -> Result<Mask, Problem> {
        let mut mask = Vec::new();
        self.apply_urls(host, &mut mask)?;
        self.apply_network(host, &mut mask)?;
        self.keys.apply(host, &mut mask)?;
        self.apply_use(host, &mut mask);
        if let Some(issuer) = &self.issuer {
            host.issuer.clone_from(issuer);
            mask.push("issuer");
        }
        if let Some(name) = &self.display_name {
            host.display_name.clone_from(name);
            mask.push("display_name");
        }
        if !self.label.is_empty() {
            host.labels.extend(self.label.iter().cloned());
            mask.push("labels");
        }
        if !self.annotation.is_empty() {
            host.annotations.extend(self.annotation.iter().cloned());
            mask.push("annotations");
        }
        if !self.setting.is_empty() {
            host.settings.extend(self.setting.iter().cloned());
            mask.push("settings");
        }
        Ok(mask)
    }

    fn apply_urls(&self, host: &mut Host, mask: &mut Mask) -> Result<(), Problem> {
        let public = host.public_urls.get_or_insert_default();
        for (named, target, path) in [
            (&self.web_url, &mut public.web, "public_urls.web"),
            (&self.api_url, &mut public.api, "public_urls.api"),
            (&self.git_url, &mut public.git, "public_urls.git"),
        ] {
            if let Some(url) = named {
                *target = self.checked(url)?;
                mask.push(path);
            }
        }
        let mut internal = host.internal_urls.take().unwrap_or_default();
        for (named, target, path) in [
            (&self.internal_url, &mut internal.web, "internal_urls.web"),
            (
                &self.internal_api_url,
                &mut internal.api,
                "internal_urls.api",
            ),
            (
                &self.internal_git_url,
                &mut internal.git,
                "internal_urls.git",
            ),
        ] {
            if let Some(url) = named {
                *target = self.checked(url)?;
                mask.push(path);
            }
        }
        host.internal_urls = Some(internal).filter(|urls| *urls != Urls::default());
        Ok(())
    }

    /// How the host may be used.
    fn apply_use(&self, host: &mut Host, mask: &mut Mask) {
        if !self.allow_method.is_empty() {
            let kinds = self.allow_method.iter();
            host.allowed_methods = kinds
                .map(|kind| AuthMethodKind::from(*kind).into())
                .collect();
            mask.push("allowed_methods");
        }
        let mut budget = host.rate_budget.unwrap_or_default();
        for (named, target, path) in [
            (
                self.requests_per_hour,
                &mut budget.requests_per_hour,
                "rate_budget.requests_per_hour",
            ),
            (
                self.requests_at_once,
                &mut budget.max_concurrent_requests,
                "rate_budget.max_concurrent_requests",
            ),
        ] {
            if let Some(number) = named {
                *target = number;
                mask.push(path);
            }
        }
        host.rate_budget = Some(budget);
    }

    fn checked(&self, text: &str) -> Result<String, Problem> {
        let url = no_secret(text)?;
        match url.scheme() {
            "https" => (),
            "http" if self.allow_plaintext => (),
            "http" => {
                return Err(Problem::usage(format!(
                    "{text} sends tokens in plain text; use https, or add --allow-plaintext if \
                     that is meant"
                )));
            }
            _ => {
                return Err(Problem::usage(format!(
                    "{text} is no web address; write https://..."
                )));
            }
        }
        Ok(text.trim_end_matches('/').to_owned())
    }

    fn apply_network(&self, host: &mut Host, mask: &mut Mask) -> Result<(), Problem> {
        if let Some(path) = &self.ca_file {
            host.ca_bundle_pem = fs::read_to_string(path).map_err(|error| {
                let message = format!("{} can't be read ({error})", path.display());
                Problem::new(Exit::Configuration, message)
            })?;
            mask.push("ca_bundle_pem");
        }
        if !self.allow_network.is_empty() {
            host.allowed_private_cidrs.clone_from(&self.allow_network);
            mask.push("allowed_private_cidrs");
        }
        if self.allow_plaintext || !self.allow_port.is_empty() {
            host.port_policy = Some(self.ports(web_is_plain(host))?);
            mask.push("port_policy");
        }
        if let Some(uri) = &self.proxy {
            no_secret(uri)?;
            host.proxy = Some(self.proxy_at(uri)?);
            mask.extend(["proxy.uri", "proxy.username"]);
            if self.proxy_password_file.is_some() {
                mask.push("proxy.password");
            }
        }
        Ok(())
    }

    fn proxy_at(&self, uri: &str) -> Result<Proxy, Problem> {
        let password = self
            .proxy_password_file
            .as_deref()
            .map(secret::read)
            .transpose()?;
        Ok(Proxy {
            uri: uri.to_owned(),
            username: self.proxy_username.clone().unwrap_or_default(),
            password: password.unwrap_or_default().expose().to_owned(),
            ..Proxy::default()
        })
    }

    /// The ports that were named, beside the default ones of their scheme.
    fn ports(&self, plain: bool) -> Result<PortPolicy, Problem> {
        let mut policy = PortPolicy::default();
        if self.allow_plaintext {
            // Ports for http are what allows it.
            policy.http_ports = HTTP_DEFAULT
                .iter()
                .map(|&(first, last)| PortRange { first, last })
                .collect();
        }
        for text in &self.allow_port {
            let (plain, range) = match text.split_once(':') {
                Some(("http", range)) => (true, range),
                Some(("https", range)) => (false, range),
                _ => (plain, text.as_str()),
            };
            let range = range_of(range).ok_or_else(|| {
                Problem::usage(format!(
                    "{text} is no port; write 8443, 8000-8100 or http:8080"
                ))
            })?;
            let (ports, defaults) = if plain {
                (&mut policy.http_ports, &HTTP_DEFAULT[..])
            } else {
                (&mut policy.https_ports, &HTTPS_DEFAULT[..])
            };
            if ports.is_empty() {
                ports.extend(
                    defaults
                        .iter()
                        .map(|&(first, last)| PortRange { first, last }),
                );
            }
            ports.push(range);
        }
        Ok(policy)
    }
}

fn web_is_plain(host: &Host) -> bool {
    host.public_urls
        .as_ref()
        .is_some_and(|urls| urls.web.starts_with("http://"))
}

fn range_of(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then(|| PortRange {
        first: first.into(),
        last: last.into(),
    })
}

/// A URL without user name and password: what is typed is seen by others.
pub(crate) fn no_secret(text: &str) -> Result<Url, Problem> {
    let url = Url::parse(text).map_err(|_| {
        Problem::usage("an address can't be parsed; write it like https://git.example.org")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::usage(
            "an address must not hold a user name or password; hand secrets in as files",
        ));
    }
    Ok(url)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it like key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}
