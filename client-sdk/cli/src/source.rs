//! `bindery source`.

use std::time::SystemTime;

use bindery_client::{Change, DisconnectRequest, SourceRequest};
use bindery_proto::v1::{CatchUpSourceResponse, Source, hook};
use clap::{Args, Subcommand};

use crate::{
    args::Output,
    json,
    link::show::steps,
    moment,
    problem::{Exit, Problem},
    resource,
    session::Session,
};

mod deliveries;
mod rules;
mod settings;
mod show;

pub(crate) use deliveries::raw;
use settings::Settings;
pub(crate) use show::{build, hook_state};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Connect a repository as a build source: the hook is registered, or the one that is there adopted
    #[command(after_help = "Examples:\n  bindery source add acme/8c1f acme/api\n  \
        bindery source add acme/8c1f acme/api --branch main --branch 'release/*' --tag 'v*' \\\n    \
        --image acme/api --tag-template '{short_commit}' --path 'src/**'\n  \
        bindery source add acme/8c1f acme/api --rules-file rules.toml --reconcile 15m")]
    Add(Box<Add>),
    /// List sources, and how their hooks do
    #[command(after_help = "Examples:\n  bindery source list acme\n  \
        bindery source list acme/8c1f --filter 'hook.state = \"MISSING\"'")]
    List {
        /// The namespace, or the link as namespace/link; all of them unless given
        parent: Option<String>,
        /// Which ones, such as 'hook.state = "MISSING"'
        #[arg(long, default_value = "", hide_default_value = true)]
        filter: String,
    },
    /// Show one source, its hook and its rules
    #[command(
        visible_alias = "get",
        after_help = "Example:\n  bindery source show acme/8c1f/api"
    )]
    Show(Named),
    /// Change a source; what is not named stays, and rules that are named replace all
    #[command(
        after_help = "Examples:\n  bindery source update acme/8c1f/api --pause\n  \
        bindery source update acme/8c1f/api --branch main --tag 'v*'\n  \
        bindery source update acme/8c1f/api --max-triggers-per-minute 10 --dry-run"
    )]
    Update(Box<Update>),
    /// Compare the hook with what it should be, and wait for a ping; exits with 6 where it is not verified
    #[command(after_help = "Example:\n  bindery source verify acme/8c1f/api")]
    Verify(Named),
    /// Put the hook right in place, or create it where it is missing
    #[command(after_help = "Example:\n  bindery source repair acme/8c1f/api")]
    Repair(Named),
    /// Disconnect a source and delete its hook, and say what is left to do
    #[command(after_help = "Example:\n  bindery source remove acme/8c1f/api --dry-run")]
    Remove(Remove),
    /// Fetch deliveries that were missed, and compare refs
    #[command(after_help = "Example:\n  bindery source catch-up acme/8c1f/api --since 2d")]
    CatchUp {
        #[command(flatten)]
        source: Named,
        /// From when on, such as 2d; from the last delivery that is known unless given
        #[arg(long, value_name = "TIME", value_parser = moment::past)]
        since: Option<SystemTime>,
    },
    /// List the deliveries that are kept, the newest first
    #[command(after_help = "Example:\n  bindery source deliveries acme/8c1f/api --state unparsed")]
    Deliveries(deliveries::List),
    /// Show one delivery, or process it again
    #[command(subcommand)]
    Delivery(deliveries::Command),
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The source, as namespace/link/source
    source: String,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// The link, as namespace/link
    link: String,
    /// Full name or stable id of the repository
    repository: String,
    /// Its id: a-z, 0-9 and -, and none that was used before; the daemon makes one unless given
    #[arg(long)]
    id: Option<String>,
    /// Check everything, also at the provider, and change nothing
    #[arg(long, visible_alias = "preview")]
    dry_run: bool,
    /// A UUID of your own: repeating the command with it within an hour makes no second source
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
    /// Let nothing trigger yet; the hook is registered
    #[arg(long)]
    pause: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
pub(crate) struct Update {
    #[command(flatten)]
    source: Named,
    /// Let nothing trigger; the hook stays
    #[arg(long, conflicts_with = "resume")]
    pause: bool,
    /// Let it trigger again
    #[arg(long)]
    resume: bool,
    /// Take all rules away: every branch and tag triggers
    #[arg(long)]
    no_rules: bool,
    /// Check everything, and change nothing
    #[arg(long, visible_alias = "preview")]
    dry_run: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
pub(crate) struct Remove {
    #[command(flatten)]
    source: Named,
    /// Leave the hook at the provider
    #[arg(long)]
    keep_hook: bool,
    /// Do nothing, and show what would be done
    #[arg(long, visible_alias = "preview")]
    dry_run: bool,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Add(add) => self::add(*add, session).await,
        Command::List { parent, filter } => {
            let parent = resource::links(parent.as_deref())?;
            let sources = session.client().await?.list_sources(parent, filter);
            session.list(&sources.all().await?)
        }
        Command::Show(Named { source }) => {
            let name = resource::source(&source)?;
            show::source(&session.client().await?.get_source(name).await?, session)
        }
        Command::Update(update) => self::update(*update, session).await,
        Command::Verify(Named { source }) => {
            let name = resource::source(&source)?;
            let verified = session.client().await?.verify_source(name).await?;
            show::source(&verified, session)?;
            verdict(&verified)
        }
        Command::Repair(Named { source }) => {
            let name = resource::source(&source)?;
            show::source(&session.client().await?.repair_source(name).await?, session)
        }
        Command::Remove(remove) => self::remove(remove, session).await,
        Command::CatchUp { source, since } => {
            let name = resource::source(&source.source)?;
            let caught = session.client().await?.catch_up_source(name, since).await?;
            caught_up(&caught, session)
        }
        Command::Deliveries(list) => deliveries::list(list, session).await,
        Command::Delivery(command) => deliveries::run(command, session).await,
    }
}

async fn add(add: Add, session: &Session) -> Result<(), Problem> {
    let mut source = Source {
        repository: add.repository,
        paused: add.pause,
        ..Source::default()
    };
    add.settings.apply(&mut source)?;
    let mut request = SourceRequest::of(resource::link(&add.link)?, source).preview(add.dry_run);
    if let Some(id) = add.id {
        request = request.id(id);
    }
    if let Some(id) = add.request_id {
        request = request.request_id(id);
    }
    let source = session.client().await?.create_source(request).await?;
    show::source(&source, session)?;
    if add.dry_run {
        session.say("nothing was changed");
    }
    Ok(())
}

async fn update(update: Update, session: &Session) -> Result<(), Problem> {
    let name = resource::source(&update.source.source)?;
    let client = session.client().await?;
    let mut source = client.get_source(&name).await?;
    let mut mask = update.settings.apply(&mut source)?;
    if update.no_rules {
        if mask.contains(&"rules") {
            return Err(Problem::usage(
                "rules can't be named and taken away at once; leave --no-rules out",
            ));
        }
        source.rules.clear();
        mask.push("rules");
    }
    if update.pause || update.resume {
        source.paused = update.pause;
        mask.push("paused");
    }
    if mask.is_empty() {
        return Err(Problem::usage(
            "nothing to change; name a setting, see --help",
        ));
    }
    let change = Change::new(source, mask).preview(update.dry_run);
    show::source(&client.update_source(change).await?, session)?;
    if update.dry_run {
        session.say("nothing was changed");
    }
    Ok(())
}

async fn remove(remove: Remove, session: &Session) -> Result<(), Problem> {
    let name = resource::source(&remove.source.source)?;
    let request = DisconnectRequest::new(&name)
        .keep_hook(remove.keep_hook)
        .preview(remove.dry_run);
    let done = session.client().await?.delete_source(request).await?;
    match session.output {
        Output::Json => session.json(&json::list("bindery.v1.CleanupStep", &done)?)?,
        Output::Table if !done.is_empty() => steps(&done, session)?,
        _ => (),
    }
    session.say(&if remove.dry_run {
        format!("{name} would be disconnected; nothing was changed")
    } else {
        format!("{name} is disconnected")
    });
    Ok(())
}

fn verdict(source: &Source) -> Result<(), Problem> {
    let hook = source.hook.clone().unwrap_or_default();
    if hook.state() == hook::State::Verified {
        return Ok(());
    }
    let message = match hook.message.as_str() {
        "" => format!("the hook of {} is not verified; repair it", source.name),
        message => message.to_owned(),
    };
    Err(Problem::new(Exit::Unavailable, message))
}

fn caught_up(caught: &CatchUpSourceResponse, session: &Session) -> Result<(), Problem> {
    match session.output {
        Output::Json => session.json(&json::value("bindery.v1.CatchUpSourceResponse", caught)?),
        Output::Name => session.text(
            &caught
                .events
                .iter()
                .map(|event| format!("{event}\n"))
                .collect::<String>(),
        ),
        _ => session.line(&format!(
            "recovered deliveries: {}\nchanged refs: {}\nevents: {}",
            caught.recovered_deliveries,
            caught.changed_refs,
            caught.events.len()
        )),
    }
}
