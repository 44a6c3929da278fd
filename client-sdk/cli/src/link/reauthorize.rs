//! `bindery link reauthorize`: the same link, authorized anew.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bindery_client::{Client, ReauthorizeRequest};
use bindery_proto::v1::{CreateLinkResponse, Permission};
use clap::Args;

use super::{
    create::{self, PermissionArg},
    length,
};
use crate::{problem::Problem, resource, secret, session::Session};

#[derive(Args, Debug)]
pub(crate) struct Reauthorize {
    /// The link, as namespace/link
    link: String,
    /// By device flow: a person enters a code at the provider
    #[arg(long, conflicts_with_all = ["token_file", "token_stdin", "app_installation"])]
    device: bool,
    /// By a token from the provider, in this file, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_stdin", "app_installation"])]
    token_file: Option<PathBuf>,
    /// By a token from the provider, on standard input
    #[arg(long, conflicts_with = "app_installation")]
    token_stdin: bool,
    /// User name that belongs to the token, where the provider needs one
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// By this installation of the host's app
    #[arg(long, value_name = "ID")]
    app_installation: Option<String>,
    /// What it is for from now on besides; repeat it, or separate with commas
    #[arg(long, value_enum, value_name = "PERMISSION", value_delimiter = ',')]
    add_permission: Vec<PermissionArg>,
    /// Accept another identity than before
    #[arg(long)]
    allow_identity_change: bool,
    /// Accept a personal account where the namespace wants a service account
    #[arg(long)]
    allow_personal_account: bool,
    /// Print the page, and end
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, default_value = "10m", value_parser = length)]
    timeout: Duration,
}

pub(super) async fn run(again: Reauthorize, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    let request = again.request(&client).await?;
    let answer = client.reauthorize_link(request).await?;
    // Both answers say the same: what was started, and where a person goes.
    let started = CreateLinkResponse {
        link: answer.link,
        authorization: answer.authorization,
        findings: answer.findings,
    };
    create::go_on(&client, &started, again.no_wait, again.timeout, session).await
}

impl Reauthorize {
    async fn request(&self, client: &Client) -> Result<ReauthorizeRequest, Problem> {
        let name = resource::link(&self.link)?;
        let stdin = self.token_stdin.then(|| Path::new("-"));
        let mut request = ReauthorizeRequest::new(&name);
        if let Some(path) = self.token_file.as_deref().or(stdin) {
            request = request.token(&secret::read(path)?);
        } else if self.device {
            request = request.device_flow();
        } else if let Some(id) = &self.app_installation {
            request = request.app_installation(Some(id));
        }
        if let Some(username) = &self.username {
            request = request.username(username);
        }
        if !self.add_permission.is_empty() {
            let now = client.get_link(&name).await?;
            let more = self.add_permission.iter().map(|one| Permission::from(*one));
            let mut all: Vec<_> = now.permissions().chain(more).collect();
            all.sort_unstable();
            all.dedup();
            request = request.permissions(all);
        }
        if self.allow_identity_change {
            request = request.allow_identity_change();
        }
        if self.allow_personal_account {
            request = request.allow_personal_account();
        }
        Ok(request)
    }
}
