//! `bindery credential`.

use bindery_client::{Credential, CredentialRequest};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    args::Output, moment, problem::Problem, resource, session::Session, table, table::Cell,
};

mod helper;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch a credential for reading code
    #[command(
        after_help = "Examples:\n  eval \"$(bindery credential read acme/8c1f acme/api -o env)\"\n  \
        bindery credential read acme/8c1f acme/api -o json"
    )]
    #[command(visible_alias = "fetch")]
    Read(Fetch),
    /// Fetch a credential for reading and writing code
    #[command(after_help = "Example:\n  bindery credential write acme/8c1f acme/api -o git")]
    Write(Fetch),
    /// Serve git; also under the name git-credential-bindery
    #[command(
        after_help = "Example:\n  git config --global credential.https://github.com.helper \
        'bindery --link acme/8c1f'\n  \
        git config --global credential.https://github.com.useHttpPath true\n\n\
        An empty helper before it keeps other helpers from storing the token:\n  \
        git config --global --add credential.https://github.com.helper ''"
    )]
    Helper(helper::Helper),
}

#[derive(Args, Debug)]
pub(crate) struct Fetch {
    /// The link, as namespace/link
    link: String,
    /// Full name or stable id of the repository; all that the link reaches unless given
    repository: Option<String>,
    /// Refuse a token that reaches more than the repository
    #[arg(long, requires = "repository")]
    require_narrowed: bool,
    /// How long the token must at least stay valid, such as 30m
    #[arg(long, value_name = "TIME", value_parser = crate::link::length)]
    min_remaining: Option<std::time::Duration>,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Read(fetch) => {
            let credential = session
                .client()
                .await?
                .read_credential(&fetch.request()?)
                .await?;
            print(&credential, session)
        }
        Command::Write(fetch) => {
            let request = fetch.request()?;
            let credential = session
                .client()
                .await?
                .read_write_credential(&request)
                .await?;
            print(&credential, session)
        }
        Command::Helper(helper) => {
            session.refuse_credential_formats()?;
            helper::run(&helper, session).await
        }
    }
}

impl Fetch {
    fn request(&self) -> Result<CredentialRequest, Problem> {
        let mut request = CredentialRequest::new(resource::link(&self.link)?);
        if let Some(repository) = &self.repository {
            request = request.repository(repository);
        }
        if self.require_narrowed {
            request = request.require_narrowed();
        }
        if let Some(time) = self.min_remaining {
            request = request.min_remaining(time);
        }
        Ok(request)
    }
}

fn print(credential: &Credential, session: &Session) -> Result<(), Problem> {
    match session.output {
        Output::Json => session.json(&as_json(credential)),
        Output::Name => session.line(&credential.lease),
        Output::Token => session.line(credential.token.expose()),
        Output::Git => session.text(&as_git(credential)),
        Output::Env => session.text(&as_env(credential)),
        Output::Table => {
            session.text(&table::details(&facts(credential), session.answers))?;
            session.say("the token is not shown in a table; add -o token, env, git or json");
            Ok(())
        }
    }
}

fn expiry(credential: &Credential) -> Option<Timestamp> {
    Timestamp::try_from(credential.expires_at?).ok()
}

fn facts(credential: &Credential) -> Vec<(&'static str, Cell)> {
    let expires = credential.expires_at.map(prost_types::Timestamp::from);
    vec![
        ("username", credential.git_username.as_str().into()),
        ("expires", moment::relative(expires.as_ref()).into()),
        (
            "writable",
            if credential.writable { "yes" } else { "no" }.into(),
        ),
        (
            "limited to the repository",
            if credential.narrowed { "yes" } else { "no" }.into(),
        ),
        ("clone", credential.clone_uri.as_str().into()),
        ("api", credential.api_uri.as_str().into()),
        ("lease", credential.lease.as_str().into()),
    ]
}

fn as_json(credential: &Credential) -> serde_json::Value {
    json!({
        "token": credential.token.expose(),
        "gitUsername": credential.git_username,
        "expireTime": expiry(credential).map(|time| time.to_string()),
        "lease": credential.lease,
        "narrowed": credential.narrowed,
        "writable": credential.writable,
        "repository": credential.repository,
        "cloneUri": credential.clone_uri,
        "apiUri": credential.api_uri,
    })
}

/// What git reads from a helper.
fn as_git(credential: &Credential) -> String {
    let mut text = format!(
        "username={}\npassword={}\n",
        credential.git_username,
        credential.token.expose()
    );
    if let Some(time) = expiry(credential) {
        text += &format!("password_expiry_utc={}\n", time.as_second());
    }
    text
}

/// Assignments for a shell; quotes can't be broken out of.
fn as_env(credential: &Credential) -> String {
    let expires = expiry(credential).map(|time| time.as_second().to_string());
    [
        ("BINDERY_TOKEN", credential.token.expose()),
        ("BINDERY_GIT_USERNAME", &credential.git_username),
        (
            "BINDERY_TOKEN_EXPIRES",
            expires.as_deref().unwrap_or_default(),
        ),
        ("BINDERY_CLONE_URI", &credential.clone_uri),
        ("BINDERY_API_URI", &credential.api_uri),
    ]
    .iter()
    .map(|(name, value)| format!("export {name}='{}'\n", value.replace('\'', r"'\''")))
    .collect()
}
