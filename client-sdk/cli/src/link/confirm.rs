//! `bindery link confirm` and `bindery link complete`: what a person, or a registry's own page, brings back.

use std::{
    io,
    path::{Path, PathBuf},
};

use bindery_client::{ConfirmRequest, Token};
use clap::Args;

use super::wait;
use crate::{problem::Problem, resource, secret, session::Session};

#[derive(Args, Debug)]
pub(crate) struct Confirm {
    /// The link, as namespace/link
    link: String,
    /// File with the code; standard input unless given
    #[arg(
        long,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    code_file: PathBuf,
    /// There is no code: a device flow, or a page of your own
    #[arg(long, conflicts_with = "code_file")]
    no_code: bool,
    /// Stable id of the identity that is expected
    #[arg(long, value_name = "ID")]
    identity: Option<String>,
    /// The namespace that the link goes to; its own unless given
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Instance type that the namespace must have
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// Region that the namespace must have
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Accept a personal account where the namespace wants a service account
    #[arg(long)]
    allow_personal_account: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Complete {
    /// The link, as namespace/link
    link: String,
    /// File with the callback's code, - for standard input
    #[arg(long, value_name = "FILE")]
    code_file: PathBuf,
    /// File with the callback's state
    #[arg(long, value_name = "FILE")]
    state_file: PathBuf,
    /// The callback's iss, if it had one
    #[arg(
        long,
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    issuer: String,
}

pub(super) async fn run(confirm: Confirm, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    let bound = client.confirm(confirm.request(session)?).await?;
    if session.is_json() {
        return session.show(&bound);
    }
    wait::say_bound(&bound, session)
}

impl Confirm {
    fn request(&self, session: &Session) -> Result<ConfirmRequest, Problem> {
        let mut request = ConfirmRequest::new(resource::link(&self.link)?);
        if !self.no_code {
            request = request.code(&code(&self.code_file, session)?);
        }
        if let Some(identity) = &self.identity {
            request = request.identity(identity);
        }
        if let Some(namespace) = &self.namespace {
            request = request.namespace(resource::namespace(namespace)?);
        }
        if let Some(instance_type) = &self.instance_type {
            request = request.instance_type(instance_type);
        }
        if let Some(region) = &self.region {
            request = request.region(region);
        }
        if self.allow_personal_account {
            request = request.allow_personal_account();
        }
        Ok(request)
    }
}

/// On a terminal the code is asked for, and one line is read.
fn code(file: &Path, session: &Session) -> Result<Token, Problem> {
    if file != Path::new("-") || !session.errors.terminal {
        return secret::read(file);
    }
    session.say("the code that the page shows:");
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(Problem::writing)?;
    Ok(Token::from(line.trim()))
}

pub(super) async fn complete(complete: Complete, session: &Session) -> Result<(), Problem> {
    let name = resource::link(&complete.link)?;
    let code = secret::read(&complete.code_file)?;
    let state = secret::read(&complete.state_file)?;
    let client = session.client().await?;
    let link = client
        .complete_link(&name, &code, &state, complete.issuer)
        .await?;
    session.show(&link)?;
    session.say(&format!(
        "go on with: bindery link confirm {} --no-code",
        link.name
    ));
    Ok(())
}
