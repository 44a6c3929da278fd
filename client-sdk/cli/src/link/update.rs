//! `bindery link update`.

use bindery_proto::v1::Link;
use clap::Args;

use crate::{problem::Problem, resource, session::Session};

#[derive(Args, Debug)]
pub(crate) struct Update {
    /// The link, as namespace/link
    link: String,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Label, for selection; an empty value takes it away
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Annotation, for other programs; an empty value takes it away
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    annotation: Vec<(String, String)>,
    /// Whether the identity is a service account, not a person's
    #[arg(long, value_name = "YES")]
    service_account: Option<bool>,
}

pub(super) async fn run(update: Update, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    let mut link = client.get_link(resource::link(&update.link)?).await?;
    let mask = update.apply(&mut link);
    if mask.is_empty() {
        return Err(Problem::usage(
            "nothing to change; name a setting, see --help",
        ));
    }
    session.show(&client.update_link(link, mask).await?)
}

impl Update {
    fn apply(&self, link: &mut Link) -> Vec<&'static str> {
        let mut mask = Vec::new();
        if let Some(name) = &self.display_name {
            link.display_name.clone_from(name);
            mask.push("display_name");
        }
        if !self.label.is_empty() {
            link.labels.extend(self.label.iter().cloned());
            link.labels.retain(|_, value| !value.is_empty());
            mask.push("labels");
        }
        if !self.annotation.is_empty() {
            link.annotations.extend(self.annotation.iter().cloned());
            link.annotations.retain(|_, value| !value.is_empty());
            mask.push("annotations");
        }
        if let Some(service) = self.service_account {
            link.service_account = service;
            mask.push("service_account");
        }
        mask
    }
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it like key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}
