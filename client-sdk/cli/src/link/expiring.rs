//! `bindery link expiring`.

use std::time::Duration;

use bindery_proto::v1::Expiring;

use crate::{
    moment,
    problem::Problem,
    record::{Record, word},
    resource,
    session::Session,
    table::Cell,
};

pub(super) async fn run(
    namespace: Option<&str>,
    within: Duration,
    session: &Session,
) -> Result<(), Problem> {
    let parent = resource::namespace(namespace.unwrap_or("-"))?;
    let client = session.client().await?;
    session.list(&client.list_expiring(parent, Some(within)).all().await?)
}

impl Record for Expiring {
    const MESSAGE: &'static str = "bindery.v1.Expiring";
    const COLUMNS: &'static [&'static str] = &["EXPIRES", "WHAT", "OF", "WHO MUST ACT", "MESSAGE"];

    fn name(&self) -> &str {
        &self.resource
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            moment::relative(self.expire_time.as_ref()).into(),
            word(self.kind().as_str_name(), "KIND_").into(),
            self.resource.as_str().into(),
            word(self.who_must_act().as_str_name(), "WHO_MUST_ACT_").into(),
            [self.message.as_str(), self.action_uri.as_str()]
                .join(" ")
                .trim()
                .into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("of", self.resource.as_str().into()),
            ("what", word(self.kind().as_str_name(), "KIND_").into()),
            (
                "expires",
                moment::relative(self.expire_time.as_ref()).into(),
            ),
            ("message", self.message.as_str().into()),
            ("see", self.action_uri.as_str().into()),
        ]
    }
}
