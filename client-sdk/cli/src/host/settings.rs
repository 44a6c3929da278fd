//! Settings of a host on the command line.

use std::{fs, path::PathBuf};

use bindery_proto::v1::{
    Host,
    host::{OAuthClient, PortPolicy, PortRange, Proxy, Urls},
};
use clap::Args;
use url::Url;

use crate::{
    problem::{Exit, Problem},
    secret,
};

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
    /// Where the daemon reaches it, if not at the web URL
    #[arg(long, value_name = "URL")]
    internal_url: Option<String>,
    /// Certificate authorities to trust for it, PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Client id of the OAuth application there
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// File with the client secret, - for standard input; several are tried in order
    #[arg(long, value_name = "FILE")]
    client_secret_file: Vec<PathBuf>,
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
    pub(super) fn apply(&self, host: &mut Host) -> Result<Vec<&'static str>, Problem> {
        let mut mask = Vec::new();
        self.apply_urls(host, &mut mask)?;
        self.apply_network(host, &mut mask)?;
        self.apply_client(host, &mut mask)?;
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

    fn apply_urls(&self, host: &mut Host, mask: &mut Vec<&'static str>) -> Result<(), Problem> {
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
        if let Some(url) = &self.internal_url {
            host.internal_urls = Some(Urls {
                web: self.checked(url)?,
                ..Urls::default()
            });
            mask.push("internal_urls");
        }
        Ok(())
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

    fn apply_network(&self, host: &mut Host, mask: &mut Vec<&'static str>) -> Result<(), Problem> {
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
            mask.push("proxy");
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

    fn apply_client(&self, host: &mut Host, mask: &mut Vec<&'static str>) -> Result<(), Problem> {
        let client = || host.oauth_client.clone().unwrap_or_default();
        if let Some(id) = &self.client_id {
            host.oauth_client = Some(OAuthClient {
                client_id: id.clone(),
                ..client()
            });
            mask.push("oauth_client.client_id");
        }
        if !self.client_secret_file.is_empty() {
            let secrets = self
                .client_secret_file
                .iter()
                .map(|path| secret::read(path));
            let secrets: Vec<_> = secrets.collect::<Result<_, _>>()?;
            let target = host
                .oauth_client
                .as_mut()
                .filter(|client| !client.client_id.is_empty());
            let target = target.ok_or_else(|| {
                Problem::usage("a client secret needs its client; add --client-id")
            })?;
            target.client_secrets = secrets
                .iter()
                .map(|secret| secret.expose().to_owned())
                .collect();
            mask.push("oauth_client.client_secrets");
        }
        Ok(())
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
fn no_secret(text: &str) -> Result<Url, Problem> {
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
