//! Settings that have a secret: client secrets, app, client certificate.

use std::path::PathBuf;

use bindery_client::Token;
use bindery_proto::v1::{Host, host::App, host::ClientCertificate, host::OAuthClient};
use clap::Args;
use jiff::Timestamp;

use super::Mask;
use crate::{problem::Problem, secret};

#[derive(Args, Debug)]
pub(in crate::host) struct Keys {
    /// Client id of the OAuth application there
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// File with the client secret, - for standard input; several are tried in order
    #[arg(long, value_name = "FILE")]
    client_secret_file: Vec<PathBuf>,
    /// When the client secrets end, in their order, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    client_secret_expires: Vec<Timestamp>,
    /// Id of the app there, for links by app installation
    #[arg(long, value_name = "ID")]
    app_id: Option<String>,
    /// Short name of the app in the host's URLs; a probe learns it
    #[arg(long, value_name = "NAME")]
    app_slug: Option<String>,
    /// File with the app's private key, PEM, - for standard input
    #[arg(long, value_name = "FILE")]
    app_key_file: Option<PathBuf>,
    /// When the app's private key ends
    #[arg(long, value_name = "TIME", value_parser = moment)]
    app_key_expires: Option<Timestamp>,
    /// Certificate that the daemon shows there, PEM, with its chain
    #[arg(long, value_name = "FILE")]
    client_cert_file: Option<PathBuf>,
    /// File with the key of that certificate, PEM, - for standard input
    #[arg(long, value_name = "FILE")]
    client_key_file: Option<PathBuf>,
}

/// Client secrets that replace each other.
#[derive(Args, Debug)]
pub(in crate::host) struct Exchange {
    /// File with a client secret to be tried before the stored ones, - for standard input
    #[arg(long, value_name = "FILE")]
    add_client_secret_file: Vec<PathBuf>,
    /// Fingerprint of a stored client secret to take away, as host get shows it
    #[arg(long, value_name = "FINGERPRINT")]
    remove_client_secret: Vec<String>,
}

impl Exchange {
    pub(in crate::host) const fn is_empty(&self) -> bool {
        self.add_client_secret_file.is_empty() && self.remove_client_secret.is_empty()
    }

    /// The secrets to add, and the fingerprints to take away.
    pub(in crate::host) fn read(&self) -> Result<(Vec<Token>, Vec<String>), Problem> {
        let files = self.add_client_secret_file.iter();
        let add = files.map(|path| secret::read(path));
        Ok((
            add.collect::<Result<_, _>>()?,
            self.remove_client_secret.clone(),
        ))
    }
}

impl Keys {
    pub(super) fn apply(&self, host: &mut Host, mask: &mut Mask) -> Result<(), Problem> {
        self.apply_client(host, mask)?;
        self.apply_app(host, mask)?;
        self.apply_certificate(host, mask)
    }

    fn apply_client(&self, host: &mut Host, mask: &mut Mask) -> Result<(), Problem> {
        if let Some(id) = &self.client_id {
            let client = host.oauth_client.get_or_insert_default();
            client.client_id.clone_from(id);
            mask.push("oauth_client.client_id");
        }
        if !self.client_secret_file.is_empty() {
            let files = self.client_secret_file.iter();
            let secrets: Vec<_> = files
                .map(|path| secret::read(path))
                .collect::<Result<_, _>>()?;
            let exposed = secrets.iter().map(|secret| secret.expose().to_owned());
            client(host)?.client_secrets = exposed.collect();
            mask.push("oauth_client.client_secrets");
        }
        if !self.client_secret_expires.is_empty() {
            let ends = self.client_secret_expires.iter().map(wire);
            client(host)?.client_secret_expire_times = ends.collect();
            mask.push("oauth_client.client_secret_expire_times");
        }
        Ok(())
    }

    fn apply_app(&self, host: &mut Host, mask: &mut Mask) -> Result<(), Problem> {
        if let Some(id) = &self.app_id {
            host.app.get_or_insert_default().app_id.clone_from(id);
            mask.push("app.app_id");
        }
        if let Some(slug) = &self.app_slug {
            app(host)?.slug.clone_from(slug);
            mask.push("app.slug");
        }
        if let Some(path) = &self.app_key_file {
            let key = secret::read(path)?;
            app(host)?.private_key_pem = key.expose().to_owned();
            mask.push("app.private_key_pem");
        }
        if let Some(end) = &self.app_key_expires {
            app(host)?.private_key_expire_time = Some(wire(end));
            mask.push("app.private_key_expire_time");
        }
        Ok(())
    }

    fn apply_certificate(&self, host: &mut Host, mask: &mut Mask) -> Result<(), Problem> {
        let shown = || host.client_certificate.clone().unwrap_or_default();
        if let Some(path) = &self.client_cert_file {
            host.client_certificate = Some(ClientCertificate {
                certificate_pem: secret::read_text(path)?,
                ..shown()
            });
            mask.push("client_certificate.certificate_pem");
        }
        if let Some(path) = &self.client_key_file {
            let key = secret::read(path)?;
            let shown = host.client_certificate.as_mut();
            let shown = shown.ok_or_else(|| {
                Problem::usage("a key needs its certificate; add --client-cert-file")
            })?;
            shown.private_key_pem = key.expose().to_owned();
            mask.push("client_certificate.private_key_pem");
        }
        Ok(())
    }
}

fn client(host: &mut Host) -> Result<&mut OAuthClient, Problem> {
    let known = host.oauth_client.as_mut();
    let known = known.filter(|client| !client.client_id.is_empty());
    known.ok_or_else(|| Problem::usage("a client secret needs its client; add --client-id"))
}

fn app(host: &mut Host) -> Result<&mut App, Problem> {
    let known = host.app.as_mut().filter(|app| !app.app_id.is_empty());
    known.ok_or_else(|| Problem::usage("an app needs its id; add --app-id"))
}

fn wire(time: &Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.as_second(),
        nanos: 0,
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = |_| "write it like 2027-01-31T00:00:00Z".to_owned();
    text.parse().map_err(wrong)
}
