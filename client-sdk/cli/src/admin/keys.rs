//! `bindery admin rotate`, `keys` and `compact`.

use bindery_proto::admin::v1::{Epoch, epoch::State, rotate_keys_request::Target};
use serde_json::json;

use super::Which;
use crate::{
    json, moment,
    problem::Problem,
    record::{Record, word},
    session::Session,
    style::Tone,
    table::Cell,
};

pub(crate) async fn rotate(which: Which, session: &Session) -> Result<(), Problem> {
    let target = match which {
        Which::Epoch => Target::Epoch,
        Which::RootKey => Target::RootKey,
    };
    let rotated = session.admin().await?.rotate_keys(target).await?;
    if session.is_json() {
        return session.json(&json::value(
            "bindery.admin.v1.RotateKeysResponse",
            &rotated,
        )?);
    }
    session.list(&rotated.epochs)?;
    for slot in &rotated.lost_slots {
        session.say(&format!(
            "slot {} ({}) does not open the new root key and is gone; add it anew with `bindery admin slot add`",
            slot.id,
            word(slot.kind().as_str_name(), "SLOT_KIND_")
        ));
    }
    Ok(())
}

pub(crate) async fn list(session: &Session) -> Result<(), Problem> {
    session.list(&session.admin().await?.daemon_status().await?.epochs)
}

pub(crate) async fn compact(session: &Session) -> Result<(), Problem> {
    let done = session.admin().await?.compact_store().await?;
    if session.is_json() {
        return session
            .json(&json!({ "beforeBytes": done.before_bytes, "afterBytes": done.after_bytes }));
    }
    session.line(&format!(
        "the store took {} bytes and takes {} now",
        done.before_bytes, done.after_bytes
    ))
}

impl Record for Epoch {
    const MESSAGE: &'static str = "bindery.admin.v1.Epoch";
    const COLUMNS: &'static [&'static str] = &["EPOCH", "STATE", "BEGAN", "RECORDS"];

    /// An epoch has a number and no name.
    fn name(&self) -> &str {
        ""
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            state(self),
            moment::relative(self.create_time.as_ref()).into(),
            self.record_count.to_string().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("epoch", self.id.to_string().into()),
            ("state", state(self)),
            ("began", moment::exact(self.create_time.as_ref()).into()),
            ("records", self.record_count.to_string().into()),
        ]
    }
}

fn state(epoch: &Epoch) -> Cell {
    let text = word(epoch.state().as_str_name(), "STATE_");
    match epoch.state() {
        State::Active => Cell::toned(text, Tone::Good),
        _ => Cell::toned(text, Tone::Waiting),
    }
}
