//! A line that shows how far a wait is.

use std::{
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bindery_proto::v1::{Link, observed_state::Stage};
use tokio::task::JoinHandle;

use crate::{link::who, moment, record::word, session::Session};

/// Shows how a link waits for a person: on a terminal one line that is redrawn, elsewhere a line for each
/// stage.
#[derive(Debug)]
pub(crate) struct Progress {
    link: Arc<Mutex<Option<Link>>>,
    redraw: Option<JoinHandle<()>>,
    quiet: bool,
    last: Option<Stage>,
}

impl Progress {
    pub(crate) fn start(session: &Session) -> Self {
        let link: Arc<Mutex<Option<Link>>> = Arc::default();
        let redraw = (session.errors.terminal && !session.quiet).then(|| {
            let link = link.clone();
            tokio::spawn(async move {
                let mut second = tokio::time::interval(Duration::from_secs(1));
                loop {
                    second.tick().await;
                    draw(link.lock().unwrap_or_else(PoisonError::into_inner).as_ref());
                }
            })
        });
        Self {
            link,
            redraw,
            quiet: session.quiet,
            last: None,
        }
    }

    /// Takes note of a link's state.
    pub(crate) fn update(&mut self, link: &Link) {
        if self.redraw.is_some() {
            draw(Some(link));
        } else if !self.quiet && self.last != Some(stage(link)) {
            // Nobody there to read it is no reason to fail.
            let _ = writeln!(io::stderr(), "{}", words(link));
        }
        self.last = Some(stage(link));
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
    }

    /// Takes the line away.
    pub(crate) fn end(self) {
        if let Some(redraw) = &self.redraw {
            redraw.abort();
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

fn draw(link: Option<&Link>) {
    if let Some(link) = link {
        let left = link
            .flow
            .as_ref()
            .and_then(|flow| moment::until(flow.expire_time.as_ref()));
        let left = left
            .map(|left| format!(" ({} left)", moment::span(left)))
            .unwrap_or_default();
        let _ = write!(io::stderr(), "\r\x1b[2K{}{left}", words(link));
        let _ = io::stderr().flush();
    }
}

fn stage(link: &Link) -> Stage {
    link.observed
        .as_ref()
        .map_or(Stage::Unspecified, |observed| observed.stage())
}

fn words(link: &Link) -> String {
    match stage(link) {
        Stage::PendingAuthorization => "waiting for somebody to open the page and agree".to_owned(),
        Stage::PendingConfirmation => {
            let flow = link.flow.as_ref();
            match flow.and_then(|flow| flow.pending_identity.as_ref()) {
                Some(identity) => {
                    format!(
                        "{} agreed; waiting for the confirmation on the page",
                        who(identity)
                    )
                }
                None => "somebody agreed; waiting for the confirmation on the page".to_owned(),
            }
        }
        other => format!("the link is {}", word(other.as_str_name(), "STAGE_")),
    }
}

#[cfg(test)]
mod tests {
    use bindery_proto::v1::{Flow, Identity, Link, ObservedState, observed_state::Stage};

    use super::words;

    /// The line names who agreed, before anybody confirms it.
    #[test]
    fn the_line_names_the_identity() {
        let identity = Identity {
            login: "octo".to_owned(),
            stable_id: "583231".to_owned(),
            ..Identity::default()
        };
        let link = Link {
            observed: Some(ObservedState {
                stage: Stage::PendingConfirmation.into(),
                ..ObservedState::default()
            }),
            flow: Some(Flow {
                pending_identity: Some(identity),
                ..Flow::default()
            }),
            ..Link::default()
        };
        assert!(words(&link).starts_with("octo (id 583231) agreed"));
    }
}
