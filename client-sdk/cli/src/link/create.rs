//! `bindery link create`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bindery_client::{Client, LinkRequest};
use bindery_proto::v1::{CreateLinkResponse, Permission};
use clap::{Args, ValueEnum};

use super::{length, wait};
use crate::{args::Output, json, moment, problem::Problem, resource, secret, session::Session};

#[derive(Args, Debug)]
pub(crate) struct Create {
    /// The namespace that the link belongs to
    namespace: String,
    /// The host that it leads to
    host: String,
    /// By OAuth in a browser, which is the default
    #[arg(long, conflicts_with_all = ["device", "token_file", "token_stdin", "app_installation", "app"])]
    oauth: bool,
    /// By device flow: a person enters a code at the provider
    #[arg(long, conflicts_with_all = ["token_file", "token_stdin", "app_installation", "app"])]
    device: bool,
    /// By a token from the provider, in this file, - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_stdin", "app_installation", "app"])]
    token_file: Option<PathBuf>,
    /// By a token from the provider, on standard input
    #[arg(long, conflicts_with_all = ["app_installation", "app"])]
    token_stdin: bool,
    /// By this installation of the host's app
    #[arg(long, value_name = "ID", conflicts_with = "app")]
    app_installation: Option<String>,
    /// By the host's app: a person installs it on the page that is printed
    #[arg(long)]
    app: bool,
    /// By OAuth with this registered page of yours as callback; go on with link complete
    #[arg(long, value_name = "PAGE", conflicts_with_all = ["device", "token_file", "token_stdin", "app_installation", "app"])]
    headless: Option<String>,
    /// Id of a registered page to return to after confirmation
    #[arg(long, value_name = "PAGE", conflicts_with = "headless")]
    return_to: Option<String>,
    /// The identity is a service account, not a person's
    #[arg(long)]
    service_account: bool,
    /// Label, for selection
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::update::pair)]
    label: Vec<(String, String)>,
    /// Check everything, with a token also at the provider, and make no link
    #[arg(long)]
    dry_run: bool,
    /// User name that belongs to the token, where the provider needs one
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// What it is for; identity, organizations and read-code unless given
    #[arg(long, value_enum, value_name = "PERMISSION", value_delimiter = ',')]
    permission: Vec<PermissionArg>,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// A namespace that the person may choose instead on the confirm page
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    offer: Vec<String>,
    /// Login or stable id that is expected; another identity is refused
    #[arg(long, value_name = "LOGIN")]
    expect_identity: Option<String>,
    /// Accept a personal account where the namespace wants a service account
    #[arg(long)]
    allow_personal_account: bool,
    /// A UUID of your own: repeating the command with it within an hour makes no second link
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
    /// Wait until a person has agreed, which is the default
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Print the page, and end
    #[arg(long)]
    no_wait: bool,
    /// How long to wait
    #[arg(long, default_value = "10m", value_parser = length)]
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PermissionArg {
    /// Learn who it is
    Identity,
    /// List its organizations
    Organizations,
    /// Read code
    ReadCode,
    /// Push code
    WriteCode,
    /// Manage webhooks
    Webhooks,
}

impl From<PermissionArg> for Permission {
    fn from(argument: PermissionArg) -> Self {
        match argument {
            PermissionArg::Identity => Self::Identity,
            PermissionArg::Organizations => Self::Organizations,
            PermissionArg::ReadCode => Self::ReadCode,
            PermissionArg::WriteCode => Self::WriteCode,
            PermissionArg::Webhooks => Self::Webhooks,
        }
    }
}

pub(super) async fn run(create: Create, session: &Session) -> Result<(), Problem> {
    let request = create.request()?;
    let client = session.client().await?;
    let started = client.create_link(request).await?;
    if create.dry_run {
        return previewed(&started, session);
    }
    if create.headless.is_some() {
        return left_to_a_page(&started, session);
    }
    go_on(&client, &started, create.no_wait, create.timeout, session).await
}

/// Prints what was started, and waits for the person if there is one to wait for.
pub(super) async fn go_on(
    client: &Client,
    started: &CreateLinkResponse,
    no_wait: bool,
    limit: Duration,
    session: &Session,
) -> Result<(), Problem> {
    say_findings(started, session);
    let link = started.link.clone().unwrap_or_default();
    print_page(started, session)?;
    if started.authorization.is_none() {
        return if session.output == Output::Table {
            wait::say_bound(&link, session)
        } else {
            session.show(&link)
        };
    }
    if no_wait {
        session.say(&format!("go on with: bindery link wait {}", link.name));
        return Ok(());
    }
    wait::until_bound(client, &link.name, limit, session).await
}

fn say_findings(started: &CreateLinkResponse, session: &Session) {
    for finding in &started.findings {
        session.say(&format!("note: {}", finding.message));
    }
}

fn previewed(started: &CreateLinkResponse, session: &Session) -> Result<(), Problem> {
    if session.is_json() {
        return session.json(&json::value("bindery.v1.CreateLinkResponse", started)?);
    }
    say_findings(started, session);
    session.say("no link was made");
    Ok(())
}

/// The page of a registry's own is told where to send the person, and hands in what comes back.
fn left_to_a_page(started: &CreateLinkResponse, session: &Session) -> Result<(), Problem> {
    say_findings(started, session);
    print_page(started, session)?;
    let name = started.link.as_ref().map_or("", |link| &link.name);
    session.say(&format!(
        "go on with: bindery link complete {name} --code-file FILE --state-file FILE"
    ));
    Ok(())
}

impl Create {
    fn request(&self) -> Result<LinkRequest, Problem> {
        let namespace = resource::namespace(&self.namespace)?;
        let host = resource::host(&self.host)?;
        let stdin = self.token_stdin.then(|| Path::new("-"));
        let mut request = match self.token_file.as_deref().or(stdin) {
            Some(path) => LinkRequest::token(namespace, host, &secret::read(path)?),
            None if self.device => LinkRequest::device_flow(namespace, host),
            None if self.app || self.app_installation.is_some() => {
                let installation = self.app_installation.as_deref();
                LinkRequest::app_installation(namespace, host, installation)
            }
            None => LinkRequest::oauth(namespace, host),
        };
        if let Some(page) = &self.headless {
            request = request.return_to(page).headless();
        }
        if let Some(page) = &self.return_to {
            request = request.return_to(page);
        }
        if self.service_account {
            request = request.service_account();
        }
        if self.dry_run {
            request = request.preview();
        }
        request = request.labels(self.label.iter().cloned());
        request = request.permissions(self.permission.iter().map(|one| Permission::from(*one)));
        if let Some(name) = &self.username {
            request = request.username(name);
        }
        if let Some(name) = &self.display_name {
            request = request.display_name(name);
        }
        if let Some(identity) = &self.expect_identity {
            request = request.expect_identity(identity);
        }
        let offered = self.offer.iter().map(|one| resource::namespace(one));
        request = request.offer(offered.collect::<Result<Vec<_>, _>>()?);
        if let Some(id) = &self.request_id {
            request = request.request_id(id);
        }
        if self.allow_personal_account {
            request = request.allow_personal_account();
        }
        Ok(request)
    }
}

/// The page on a line of its own on standard output, the words about it on standard error. With JSON the
/// whole answer comes first, and the link follows when it is bound.
fn print_page(started: &CreateLinkResponse, session: &Session) -> Result<(), Problem> {
    let Some(authorization) = &started.authorization else {
        return Ok(());
    };
    let name = started.link.as_ref().map_or("", |link| &link.name);
    let left = moment::relative(authorization.expire_time.as_ref());
    session.say(&format!(
        "{name} is started; open this page to agree (it ends {left}):"
    ));
    if !authorization.user_code.is_empty() {
        session.say(&format!(
            "and enter this code there: {}",
            authorization.user_code
        ));
    }
    match session.output {
        Output::Json => session.json(&json::value("bindery.v1.CreateLinkResponse", started)?),
        Output::Name => {
            session.say(&authorization.authorization_uri);
            session.line(name)
        }
        _ => session.line(&authorization.authorization_uri),
    }
}
