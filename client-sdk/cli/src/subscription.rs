//! `bindery subscription`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bindery_client::{Change, NewSubscription, ReplayRequest, SubscriptionRequest};
use bindery_proto::v1::{DeadLetter, Subscription};
use clap::{Args, Subcommand};

use crate::{
    events,
    host::no_secret,
    link::ahead,
    moment,
    problem::Problem,
    record::Record,
    resource::{self, short},
    secret::once::{self, Place},
    session::Session,
    style::Tone,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have events delivered to a URL, and print the secret that they are signed with, once
    #[command(after_help = "Example:\n  \
        bindery subscription add acme https://registry.example/events --id registry \\\n    \
        --filter 'verdict = \"TRIGGER\"' --secret-file registry.secret")]
    Add(Add),
    /// List the subscriptions of a namespace, and how their deliveries do
    #[command(after_help = "Example:\n  bindery subscription list acme")]
    List {
        /// The namespace
        namespace: String,
    },
    /// Show one subscription, without its secret
    #[command(
        visible_alias = "get",
        after_help = "Example:\n  bindery subscription show acme/registry"
    )]
    Show(Named),
    /// Change a subscription; what is not named stays
    #[command(
        after_help = "Example:\n  bindery subscription update acme/registry --url https://registry.example/v2/events"
    )]
    Update(Update),
    /// Give a subscription a new secret, and print it, once; deliveries carry two signatures for a while
    #[command(
        after_help = "Example:\n  bindery subscription rotate acme/registry --overlap 1d --secret-file registry.secret"
    )]
    Rotate(Rotate),
    /// Deliver nothing for now; events wait
    #[command(after_help = "Example:\n  bindery subscription pause acme/registry")]
    Pause(Named),
    /// Deliver again, what waited first
    #[command(after_help = "Example:\n  bindery subscription resume acme/registry")]
    Resume(Named),
    /// Remove a subscription; what was not delivered is dropped
    #[command(after_help = "Example:\n  bindery subscription remove acme/registry")]
    Remove(Named),
    /// List the events that the URL did not accept
    #[command(after_help = "Example:\n  bindery subscription dead-letters acme/registry")]
    DeadLetters(Named),
    /// Deliver events again
    #[command(
        after_help = "Example:\n  bindery subscription replay acme/registry --since 1d --missing"
    )]
    Replay {
        #[command(flatten)]
        subscription: Named,
        /// Only events that the URL did not accept
        #[arg(long)]
        missing: bool,
        #[command(flatten)]
        span: events::Span,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The subscription, as namespace/subscription
    subscription: String,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// The namespace
    namespace: String,
    /// The URL that events are posted to, without user name and password
    url: String,
    /// Its id: a-z, 0-9 and -; the daemon makes one unless given
    #[arg(long)]
    id: Option<String>,
    /// Which events, such as 'verdict = "TRIGGER"'
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// Deliver what the provider sent, too
    #[arg(long)]
    payload: bool,
    /// Name for people
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    display_name: String,
    /// Deliver nothing yet
    #[arg(long)]
    pause: bool,
    /// Put the secret into this file, which nobody else can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Check everything, and change nothing
    #[arg(long, visible_alias = "preview")]
    dry_run: bool,
    /// A UUID of your own: repeating the command with it within an hour gives the same secret
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Update {
    #[command(flatten)]
    subscription: Named,
    /// The URL that events are posted to, without user name and password
    #[arg(long)]
    url: Option<String>,
    /// Which events; empty for all
    #[arg(long)]
    filter: Option<String>,
    /// Whether to deliver what the provider sent, too
    #[arg(long, value_name = "YES")]
    payload: Option<bool>,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Check everything, and change nothing
    #[arg(long, visible_alias = "preview")]
    dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    #[command(flatten)]
    subscription: Named,
    /// How long deliveries are signed with the old secret, too, such as 1d; 1h unless given, 0s for not at all
    #[arg(long, value_name = "TIME", value_parser = ahead)]
    overlap: Option<Duration>,
    /// Put the secret into this file, which nobody else can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Command {
    /// Whether a new secret is printed.
    pub(crate) fn prints_a_secret(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Rotate(_))
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Add(add) => self::add(add, session).await,
        Command::List { namespace } => {
            let parent = resource::namespace(&namespace)?;
            let subscriptions = session.client().await?.list_subscriptions(parent);
            session.list(&subscriptions.all().await?)
        }
        Command::Show(Named { subscription }) => {
            let name = resource::subscription(&subscription)?;
            session.show(&session.client().await?.get_subscription(name).await?)
        }
        Command::Update(update) => self::update(update, session).await,
        Command::Rotate(rotate) => self::rotate(rotate, session).await,
        Command::Pause(named) => pause(&named, true, session).await,
        Command::Resume(named) => pause(&named, false, session).await,
        Command::Remove(Named { subscription }) => {
            let name = resource::subscription(&subscription)?;
            session.client().await?.delete_subscription(&name).await?;
            session.say(&format!("{name} is removed"));
            Ok(())
        }
        Command::DeadLetters(Named { subscription }) => {
            let name = resource::subscription(&subscription)?;
            let letters = session.client().await?.list_dead_letters(name);
            session.list(&letters.all().await?)
        }
        Command::Replay {
            subscription,
            missing,
            span,
        } => {
            let name = resource::subscription(&subscription.subscription)?;
            let namespace = resource::namespace(&name.namespace)?;
            let request = ReplayRequest::to_subscription(namespace, &name).missing_only(missing);
            events::replayed(request, &span, session).await
        }
    }
}

async fn add(add: Add, session: &Session) -> Result<(), Problem> {
    no_secret(&add.url)?;
    let mut request = SubscriptionRequest::new(resource::namespace(&add.namespace)?, add.url)
        .filter(add.filter)
        .include_payload(add.payload)
        .display_name(add.display_name)
        .paused(add.pause)
        .preview(add.dry_run);
    if let Some(id) = add.id {
        request = request.id(id);
    }
    if let Some(id) = add.request_id {
        request = request.request_id(id);
    }
    let client = session.client().await?;
    if add.dry_run {
        session.show(&client.create_subscription(request).await?.subscription)?;
        session.say("nothing was changed");
        return Ok(());
    }
    let place = place(add.secret_file.as_deref(), session)?;
    shown(&client.create_subscription(request).await?, place, session)
}

async fn update(update: Update, session: &Session) -> Result<(), Problem> {
    let name = resource::subscription(&update.subscription.subscription)?;
    let client = session.client().await?;
    let mut subscription = client.get_subscription(name).await?;
    let mask = update.apply(&mut subscription)?;
    if mask.is_empty() {
        return Err(Problem::usage(
            "nothing to change; name a setting, see --help",
        ));
    }
    let change = Change::new(subscription, mask).preview(update.dry_run);
    session.show(&client.update_subscription(change).await?)?;
    if update.dry_run {
        session.say("nothing was changed");
    }
    Ok(())
}

impl Update {
    fn apply(&self, subscription: &mut Subscription) -> Result<Vec<&'static str>, Problem> {
        let mut mask = Vec::new();
        if let Some(url) = &self.url {
            no_secret(url)?;
            subscription.endpoint_uri.clone_from(url);
            mask.push("endpoint_uri");
        }
        if let Some(filter) = &self.filter {
            subscription.filter.clone_from(filter);
            mask.push("filter");
        }
        if let Some(payload) = self.payload {
            subscription.include_payload = payload;
            mask.push("include_payload");
        }
        if let Some(name) = &self.display_name {
            subscription.display_name.clone_from(name);
            mask.push("display_name");
        }
        Ok(mask)
    }
}

async fn rotate(rotate: Rotate, session: &Session) -> Result<(), Problem> {
    let name = resource::subscription(&rotate.subscription.subscription)?;
    let client = session.client().await?;
    let place = place(rotate.secret_file.as_deref(), session)?;
    let rotated = client.rotate_subscription_secret(name, rotate.overlap);
    shown(&rotated.await?, place, session)
}

fn place(file: Option<&Path>, session: &Session) -> Result<Place, Problem> {
    Place::reserve(file, "--secret-file", session)
}

fn shown(made: &NewSubscription, place: Place, session: &Session) -> Result<(), Problem> {
    once::show(&made.subscription, "secret", &made.secret, place, session)
}

async fn pause(named: &Named, paused: bool, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    let name = resource::subscription(&named.subscription)?;
    let mut subscription = client.get_subscription(name).await?;
    subscription.paused = paused;
    let change = Change::new(subscription, ["paused"]);
    session.show(&client.update_subscription(change).await?)
}

impl Record for Subscription {
    const MESSAGE: &'static str = "bindery.v1.Subscription";
    const COLUMNS: &'static [&'static str] = &[
        "SUBSCRIPTION",
        "URL",
        "STATE",
        "DELIVERED",
        "DEAD LETTERS",
        "LAST SUCCESS",
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            short(&self.name).into(),
            self.endpoint_uri.as_str().into(),
            state(self),
            self.delivered_sequence.to_string().into(),
            self.dead_letter_count.to_string().into(),
            moment::relative(self.last_success_time.as_ref()).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let secret = self.secret_facts.clone().unwrap_or_default();
        let payload = if self.include_payload {
            "delivered"
        } else {
            ""
        };
        vec![
            ("name", self.name.as_str().into()),
            ("display name", self.display_name.as_str().into()),
            ("url", self.endpoint_uri.as_str().into()),
            ("filter", self.filter.as_str().into()),
            ("payload", payload.into()),
            ("state", state(self)),
            ("delivered", self.delivered_sequence.to_string().into()),
            ("dead letters", self.dead_letter_count.to_string().into()),
            (
                "last success",
                moment::relative(self.last_success_time.as_ref()).into(),
            ),
            (
                "last failure",
                moment::relative(self.last_failure_time.as_ref()).into(),
            ),
            ("message", self.last_failure_message.as_str().into()),
            ("fingerprint", secret.fingerprint.into()),
            (
                "old secret ends",
                moment::relative(self.previous_secret_until_time.as_ref()).into(),
            ),
            (
                "created",
                moment::relative(self.create_time.as_ref()).into(),
            ),
        ]
    }
}

fn state(subscription: &Subscription) -> Cell {
    if subscription.paused {
        return Cell::toned("paused", Tone::Waiting);
    }
    Cell::toned("active", Tone::Good)
}

impl Record for DeadLetter {
    const MESSAGE: &'static str = "bindery.v1.DeadLetter";
    const COLUMNS: &'static [&'static str] =
        &["EVENT", "ATTEMPTS", "LAST TRIED", "STATUS", "MESSAGE"];

    fn name(&self) -> &str {
        &self.event
    }

    fn row(&self) -> Vec<Cell> {
        let status = match self.http_status {
            0 => String::new(),
            status => status.to_string(),
        };
        vec![
            short(&self.event).into(),
            self.attempts.to_string().into(),
            moment::relative(self.last_attempt_time.as_ref()).into(),
            status.into(),
            self.message.as_str().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![("event", self.event.as_str().into())]
    }
}
