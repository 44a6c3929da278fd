//! `bindery link unlink`: whose links end as well is said before it is done.

use std::io;

use bindery_client::{Client, UnlinkRequest};
use clap::Args;

use super::show;
use crate::{
    problem::{Exit, Problem},
    resource,
    session::Session,
};

#[derive(Args, Debug)]
pub(crate) struct Unlink {
    /// The link, as namespace/link
    link: String,
    /// Why
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Go on where other links share the grant and lose it, too
    #[arg(long)]
    accept_shared_grant: bool,
    /// Where other links share the grant, end only this link's own token and leave the grant to them
    #[arg(long, conflicts_with = "accept_shared_grant")]
    keep_shared_grant: bool,
    /// Erase the secrets even where the grant can't be revoked now
    #[arg(long)]
    force: bool,
    /// Leave the webhooks at the provider
    #[arg(long)]
    keep_hooks: bool,
    /// Do nothing, and show what would be done
    #[arg(long, visible_alias = "dry-run")]
    preview: bool,
}

pub(super) async fn run(unlink: Unlink, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    let mut accepted = unlink.accept_shared_grant;
    if !unlink.preview && !unlink.keep_shared_grant && !accepted {
        accepted = unlink.agree(&client, session).await?;
    }
    let request = unlink.request(accepted)?.preview(unlink.preview);
    show::receipt(&client.unlink(request).await?, session)
}

impl Unlink {
    fn request(&self, accepted: bool) -> Result<UnlinkRequest, Problem> {
        let request = UnlinkRequest::new(resource::link(&self.link)?)
            .reason(&self.reason)
            .accept_shared_grant(accepted)
            .keep_shared_grant(self.keep_shared_grant)
            .force(self.force)
            .keep_hooks(self.keep_hooks);
        Ok(request)
    }

    /// Lists the links that end as well, and asks; true where there are some and that is meant.
    async fn agree(&self, client: &Client, session: &Session) -> Result<bool, Problem> {
        let preview = client.unlink(self.request(false)?.preview(true)).await?;
        let hidden = preview.hidden_affected_link_count;
        if preview.affected_links.is_empty() && hidden == 0 {
            return Ok(false);
        }
        session.say("every token of this identity dies with the grant; these links end as well:");
        for link in &preview.affected_links {
            session.say(&format!("  {link}"));
        }
        if hidden > 0 {
            session.say(&format!("  {hidden} in namespaces that you may not read"));
        }
        if session.errors.terminal && answered_yes(session)? {
            return Ok(true);
        }
        let message = "other links live on the same grant, so nothing was done; add --accept-shared-grant to end them \
                       too, or --keep-shared-grant to leave the grant to them";
        Err(Problem::new(Exit::Conflict, message))
    }
}

fn answered_yes(session: &Session) -> Result<bool, Problem> {
    session.say("go on? [y/N]");
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(Problem::writing)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
