//! `bindery hooks rotate` and `bindery hooks rotation`.

use std::time::Duration;

use bindery_client::{Client, RotationRequest};
use bindery_proto::v1::{HookRotation, HookRotationReport, hook_rotation::State};
use clap::Args;
use tokio::time::sleep;

use crate::{
    args::Output,
    json,
    link::ahead,
    moment,
    problem::{Exit, Problem},
    record::{Record, word},
    resource::{self, short},
    session::Session,
    style::Tone,
    table::Cell,
};

/// First and longest pause between two looks at a rotation.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    /// The namespace; all of them unless given
    namespace: Option<String>,
    /// Only hooks of some sources, such as 'labels.team = "build"'
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// How long old and new secrets are both accepted, such as 1d; 1h unless given, at most 7d
    #[arg(long, value_name = "TIME", value_parser = ahead)]
    overlap: Option<Duration>,
    /// Wait until it is done, and exit with 1 where hooks could not be changed
    #[arg(long)]
    wait: bool,
    /// Count the hooks, and change nothing
    #[arg(long, visible_alias = "preview", conflicts_with = "wait")]
    dry_run: bool,
    /// A UUID of your own: repeating the command with it within an hour starts no second rotation
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Rotation {
    /// The rotation, as namespace/rotation
    rotation: String,
    /// Wait until it is done, and exit with 1 where hooks could not be changed
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(rotate: Rotate, session: &Session) -> Result<(), Problem> {
    let parent = resource::namespace(rotate.namespace.as_deref().unwrap_or("-"))?;
    let mut request = RotationRequest::new(parent)
        .filter(rotate.filter)
        .preview(rotate.dry_run);
    if let Some(overlap) = rotate.overlap {
        request = request.overlap(overlap);
    }
    if let Some(id) = rotate.request_id {
        request = request.request_id(id);
    }
    let client = session.client().await?;
    let started = client.rotate_hook_secrets(request).await?;
    if rotate.dry_run {
        session.show(&started)?;
        session.say("nothing was changed");
        return Ok(());
    }
    if rotate.wait {
        return ended(&client, &started.name, session).await;
    }
    session.show(&started)?;
    let short = short(&started.name);
    session.say(&format!(
        "see how far it is with: bindery hooks rotation {short}"
    ));
    Ok(())
}

pub(super) async fn show(rotation: Rotation, session: &Session) -> Result<(), Problem> {
    let name = resource::rotation(&rotation.rotation)?.to_string();
    let client = session.client().await?;
    if rotation.wait {
        return ended(&client, &name, session).await;
    }
    let known = client.get_hook_rotation(&name).await?;
    reported(&client, &known, session).await
}

/// Waits for the end, or for somebody who does not want to wait any more: the daemon goes on by itself.
async fn ended(client: &Client, name: &str, session: &Session) -> Result<(), Problem> {
    let rotation = tokio::select! {
        rotation = until_done(client, name, session) => rotation?,
        _ = tokio::signal::ctrl_c() => {
            session.say(&format!("go on with: bindery hooks rotation {} --wait", short(name)));
            let message = format!("interrupted; {name} goes on by itself");
            return Err(Problem::new(Exit::Interrupted, message));
        }
    };
    reported(client, &rotation, session).await?;
    if rotation.failed_count > 0 {
        let message = format!(
            "{} of {} hooks could not be changed, and keep their old secret; look at the reports",
            rotation.failed_count, rotation.total_count
        );
        return Err(Problem::new(Exit::Failure, message));
    }
    Ok(())
}

async fn until_done(
    client: &Client,
    name: &str,
    session: &Session,
) -> Result<HookRotation, Problem> {
    let (mut pause, longest) = PAUSES;
    let mut said = None;
    loop {
        let rotation = client.get_hook_rotation(name).await?;
        if rotation.state() != State::Running {
            return Ok(rotation);
        }
        let dealt_with = rotation.done_count + rotation.failed_count + rotation.skipped_count;
        if said != Some(dealt_with) {
            session.say(&format!("{dealt_with} of {} hooks", rotation.total_count));
            said = Some(dealt_with);
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// The rotation, and what it did to each hook.
async fn reported(
    client: &Client,
    rotation: &HookRotation,
    session: &Session,
) -> Result<(), Problem> {
    if session.output == Output::Name {
        return session.show(rotation);
    }
    let reports = client.list_hook_rotation_reports(&rotation.name);
    let reports = reports.all().await?;
    if session.is_json() {
        let mut value = json::value(HookRotation::MESSAGE, rotation)?;
        value["reports"] = json::list(HookRotationReport::MESSAGE, &reports)?;
        return session.json(&value);
    }
    session.show(rotation)?;
    session.list(&reports)
}

impl Record for HookRotation {
    const MESSAGE: &'static str = "bindery.v1.HookRotation";
    const COLUMNS: &'static [&'static str] =
        &["ROTATION", "STATE", "HOOKS", "DONE", "SKIPPED", "FAILED"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            short(&self.name).into(),
            state(self.state()),
            self.total_count.to_string().into(),
            self.done_count.to_string().into(),
            self.skipped_count.to_string().into(),
            self.failed_count.to_string().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let overlap = self.overlap.map(|time| time.seconds);
        let overlap = overlap.map(|seconds| moment::span(jiff::SignedDuration::from_secs(seconds)));
        vec![
            ("name", self.name.as_str().into()),
            ("state", state(self.state())),
            ("hooks", self.total_count.to_string().into()),
            ("done", self.done_count.to_string().into()),
            ("failed", self.failed_count.to_string().into()),
            ("overlap", overlap.unwrap_or_default().into()),
            (
                "started",
                moment::relative(self.create_time.as_ref()).into(),
            ),
            (
                "finished",
                moment::relative(self.finish_time.as_ref()).into(),
            ),
        ]
    }
}

impl Record for HookRotationReport {
    const MESSAGE: &'static str = "bindery.v1.HookRotationReport";
    const COLUMNS: &'static [&'static str] = &["SOURCE", "STATE", "OLD SECRET ENDS", "MESSAGE"];

    fn name(&self) -> &str {
        &self.source
    }

    fn row(&self) -> Vec<Cell> {
        let message = format!("{} {}", self.reason, self.message);
        let state = match self.state() {
            State::DoneWithFailures => Cell::toned("failed", Tone::Bad),
            other => state(other),
        };
        vec![
            short(&self.source).into(),
            state,
            moment::relative(self.previous_secret_until_time.as_ref()).into(),
            message.trim().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![("source", self.source.as_str().into())]
    }
}

fn state(state: State) -> Cell {
    let words = word(state.as_str_name(), "STATE_");
    match state {
        State::Done => Cell::toned(words, Tone::Good),
        State::DoneWithFailures => Cell::toned(words, Tone::Bad),
        _ => Cell::toned(words, Tone::Waiting),
    }
}
