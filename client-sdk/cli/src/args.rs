//! The command line.

use std::io;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::{
    admin, credential, doctor, events, hooks, host, lease, link, namespace, plugin,
    problem::Problem, provider, repo, session::Session, source, status, subscription, trigger,
};

const ENVIRONMENT: &str = "\
Environment:
  BINDERY_ENDPOINT                  unix:///path/of/the.sock or https://host:7443
  BINDERY_ADMIN_ENDPOINT            admin socket; admin.sock beside the endpoint's unless set
  BINDERY_CA_FILE                   with https: authorities of the daemon, PEM
  BINDERY_CERT_FILE BINDERY_KEY_FILE  with https: your certificate and key, PEM
  NO_COLOR, CLICOLOR_FORCE          never colour, always colour

Exit codes:
   0  done
   1  failed
   2  the command or the request is wrong
   3  not found
   4  not permitted, or not identified
   5  conflict, or something is in the wrong state
   6  unavailable, sealed, or out of time
   7  a person has to act: authorize, authorize again, approve
  78  the configuration is wrong
 130  interrupted

Example:
  bindery link create acme github.com";

/// Binds registries to source-code hosts, and hands out credentials.
#[derive(Debug, Parser)]
#[command(name = "bindery", version, after_help = ENVIRONMENT, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args, Debug)]
pub(crate) struct Globals {
    /// Where the daemon is [default: unix:///run/bindery/bindery.sock, for root admin.sock there]
    #[arg(
        long,
        global = true,
        env = "BINDERY_ENDPOINT",
        value_name = "URL",
        hide_env = true
    )]
    pub(crate) endpoint: Option<String>,
    /// How answers are printed; env, git and token are for credentials, token also for new secrets
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) output: Output,
    /// Print data and errors only, no other words
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    #[default]
    Table,
    /// For programs: the messages of the API
    Json,
    /// Resource names only
    Name,
    /// Variables for a shell
    Env,
    /// What git reads from a credential helper
    Git,
    /// The token only
    Token,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Manage hosts: deployments of a provider
    #[command(subcommand)]
    Host(host::Command),
    /// Manage namespaces: who links belong to
    #[command(subcommand, visible_alias = "ns")]
    Namespace(namespace::Command),
    /// Show providers: kinds of hosts, each with its plugin
    #[command(subcommand)]
    Provider(provider::Command),
    /// Make, check and end links
    #[command(subcommand)]
    Link(link::Command),
    /// Show the repositories and refs that a link can see
    #[command(subcommand)]
    Repo(repo::Command),
    /// Fetch credentials, and serve git as a credential helper
    #[command(subcommand)]
    Credential(credential::Command),
    /// Show what was handed out, and give it back
    #[command(subcommand)]
    Lease(lease::Command),
    /// Connect repositories as build sources, and look after their hooks
    #[command(subcommand)]
    Source(source::Command),
    /// Give hooks new secrets, and find those that belong to nobody
    #[command(subcommand, visible_alias = "hook")]
    Hooks(hooks::Command),
    /// Follow, list and replay what changed at the providers
    #[command(subcommand, visible_alias = "event")]
    Events(events::Command),
    /// Make URLs by which people and scripts start a build
    #[command(subcommand)]
    Trigger(trigger::Command),
    /// Have events delivered to a URL of a registry
    #[command(subcommand)]
    Subscription(subscription::Command),
    /// Check at run time what the daemon's unit and configuration promise; exits with 1 where something failed
    #[command(after_help = "Example:\n  bindery doctor")]
    Doctor,
    /// Show how the daemon does; exits with 0 where all is well
    #[command(after_help = "Example:\n  bindery status")]
    Status,
    /// Show plugins, and decide which ones run, through the admin socket
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Operate the daemon, through the admin socket
    #[command(subcommand)]
    Admin(admin::Command),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  bindery completions bash > /etc/bash_completion.d/bindery")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  bindery version")]
    Version,
}

impl Command {
    /// Whether it looks at the formats for secrets by itself.
    fn prints_secrets(&self) -> bool {
        match self {
            Self::Credential(_) => true,
            Self::Trigger(command) => command.prints_a_token(),
            Self::Subscription(command) => command.prints_a_secret(),
            _ => false,
        }
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    if !command.prints_secrets() {
        session.refuse_credential_formats()?;
    }
    match command {
        Command::Host(command) => host::run(command, session).await,
        Command::Namespace(command) => namespace::run(command, session).await,
        Command::Provider(command) => provider::run(command, session).await,
        Command::Link(command) => link::run(command, session).await,
        Command::Repo(command) => repo::run(command, session).await,
        Command::Credential(command) => credential::run(command, session).await,
        Command::Lease(command) => lease::run(command, session).await,
        Command::Source(command) => source::run(command, session).await,
        Command::Hooks(command) => hooks::run(command, session).await,
        Command::Events(command) => events::run(command, session).await,
        Command::Trigger(command) => trigger::run(command, session).await,
        Command::Subscription(command) => subscription::run(command, session).await,
        Command::Doctor => doctor::run(session).await,
        Command::Status => status::run(session).await,
        Command::Plugin(command) => plugin::run(command, session).await,
        Command::Admin(command) => admin::run(command, session).await,
        Command::Completions { shell } => completions(shell),
        Command::Version => version(session),
    }
}

fn completions(shell: Shell) -> Result<(), Problem> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bindery", &mut script);
    io::Write::write_all(&mut io::stdout(), &script).map_err(Problem::writing)
}

fn version(session: &Session) -> Result<(), Problem> {
    let version = env!("CARGO_PKG_VERSION");
    if session.is_json() {
        return session.json(&serde_json::json!({ "version": version }));
    }
    session.line(&format!("bindery {version}"))
}
