//! `bindery link`.

use std::time::Duration;

use bindery_proto::v1::Identity;
use clap::{Args, Subcommand};

use crate::{problem::Problem, repo, resource, session::Session};

mod confirm;
mod create;
mod expiring;
mod reauthorize;
pub(crate) mod show;
mod unlink;
mod update;
mod wait;

pub(crate) use update::pair;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a link: print the page that a person opens, and wait until they have
    #[command(after_help = "Examples:\n  bindery link create acme github.com\n  \
        bindery link create acme github.com --token-file token.txt\n  \
        bindery link create acme github.com --device\n  \
        bindery link create acme github.com --no-wait -o json")]
    Create(Box<create::Create>),
    /// List links
    #[command(after_help = "Example:\n  bindery link list acme")]
    List {
        /// The namespace; all of them unless given
        namespace: Option<String>,
        /// Which ones, such as 'stage = "BOUND"'
        #[arg(long, default_value = "", hide_default_value = true)]
        filter: String,
    },
    /// Show one link
    #[command(after_help = "Example:\n  bindery link get acme/8c1f")]
    Get(Named),
    /// Wait until a person has agreed and confirmed
    #[command(after_help = "Example:\n  bindery link wait acme/8c1f --timeout 5m")]
    Wait {
        #[command(flatten)]
        link: Named,
        /// How long to wait
        #[arg(long, default_value = "10m", value_parser = length)]
        timeout: Duration,
    },
    /// Hand in what the provider sent to a callback page of your own
    #[command(
        after_help = "Example:\n  bindery link complete acme/8c1f --code-file code --state-file state"
    )]
    Complete(confirm::Complete),
    /// Confirm who agreed, with the code that the page shows
    #[command(after_help = "Examples:\n  bindery link confirm acme/8c1f\n  \
        bindery link confirm acme/8c1f --no-code --namespace acme --region eu-1")]
    Confirm(Box<confirm::Confirm>),
    /// Authorize a link anew, or for more; it keeps its id, sources and hooks
    #[command(after_help = "Examples:\n  bindery link reauthorize acme/8c1f\n  \
        bindery link reauthorize acme/8c1f --add-permission webhooks")]
    Reauthorize(Box<reauthorize::Reauthorize>),
    /// Change name, labels, annotations or the service-account mark; what is not named stays
    #[command(after_help = "Example:\n  bindery link update acme/8c1f --label team=build")]
    Update(update::Update),
    /// End an authorization that is under way
    #[command(after_help = "Example:\n  bindery link cancel acme/8c1f")]
    Cancel(Named),
    /// Use a link again; takes effect at once
    #[command(after_help = "Example:\n  bindery link enable acme/8c1f")]
    Enable(Wished),
    /// Keep a link, but hand nothing out; nothing is revoked
    #[command(after_help = "Example:\n  bindery link disable acme/8c1f --reason 'laptop lost'")]
    Disable(Wished),
    /// Check a link at the provider now
    #[command(after_help = "Example:\n  bindery link check acme/8c1f")]
    Check {
        #[command(flatten)]
        link: Named,
        /// Refresh the token even where the daemon would wait after failures
        #[arg(long)]
        refresh: bool,
    },
    /// List the organizations of a link, and whether it can act in them
    #[command(after_help = "Example:\n  bindery link orgs acme/8c1f")]
    Orgs(Named),
    /// End a link: revoke it at the provider, erase its secrets, and say what is left to do
    #[command(after_help = "Example:\n  bindery link unlink acme/8c1f --preview")]
    Unlink(unlink::Unlink),
    /// Show what unlinking did
    #[command(after_help = "Example:\n  bindery link receipt acme/8c1f")]
    Receipt(Named),
    /// List what expires soon, the soonest first: tokens, keys, client secrets, certificates
    #[command(after_help = "Example:\n  bindery link expiring acme --within 14d")]
    Expiring {
        /// The namespace; all of them, and the hosts, unless given
        namespace: Option<String>,
        /// How far to look ahead
        #[arg(long, default_value = "30d", value_parser = ahead)]
        within: Duration,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The link, as namespace/link
    link: String,
}

#[derive(Args, Debug)]
pub(crate) struct Wished {
    /// The link, as namespace/link
    link: String,
    /// Why
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Create(create) => create::run(*create, session).await,
        Command::List { namespace, filter } => {
            let parent = resource::namespace(namespace.as_deref().unwrap_or("-"))?;
            session.list(
                &session
                    .client()
                    .await?
                    .list_links(parent, filter)
                    .all()
                    .await?,
            )
        }
        Command::Get(Named { link }) => {
            let name = resource::link(&link)?;
            show::link(&session.client().await?.get_link(name).await?, session)
        }
        Command::Wait { link, timeout } => {
            let name = resource::link(&link.link)?;
            let client = session.client().await?;
            wait::until_bound(&client, &name.to_string(), timeout, session).await
        }
        Command::Complete(complete) => confirm::complete(complete, session).await,
        Command::Confirm(confirm) => confirm::run(*confirm, session).await,
        Command::Reauthorize(again) => reauthorize::run(*again, session).await,
        Command::Update(update) => update::run(update, session).await,
        Command::Cancel(Named { link }) => {
            let name = resource::link(&link)?;
            session.show(&session.client().await?.cancel_link(name).await?)
        }
        Command::Enable(Wished { link, reason }) => {
            let name = resource::link(&link)?;
            session.show(&session.client().await?.enable_link(name, reason).await?)
        }
        Command::Disable(Wished { link, reason }) => {
            let name = resource::link(&link)?;
            session.show(&session.client().await?.disable_link(name, reason).await?)
        }
        Command::Check { link, refresh } => {
            let (name, client) = (resource::link(&link.link)?, session.client().await?);
            let checked = if refresh {
                client.check_link_refreshed(name).await?
            } else {
                client.check_link(name).await?
            };
            show::check(&checked, session)
        }
        Command::Orgs(Named { link }) => {
            let name = resource::link(&link)?;
            repo::list(session.client().await?.list_organizations(name), session).await
        }
        Command::Unlink(unlink) => unlink::run(unlink, session).await,
        Command::Receipt(Named { link }) => {
            let name = resource::link(&link)?.receipt();
            show::receipt(&session.client().await?.get_receipt(name).await?, session)
        }
        Command::Expiring { namespace, within } => {
            expiring::run(namespace.as_deref(), within, session).await
        }
    }
}

/// An identity, as people tell it from others.
pub(crate) fn who(identity: &Identity) -> String {
    format!("{} (id {})", identity.login, identity.stable_id)
}

/// A length of time with its unit that somebody waits: `90s`, `10m`, `2h`.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    // Longer than a day is a slip, and no flow lives that long.
    let short = |length: &Duration| length.as_secs() <= 86_400;
    span(text, "write it like 90s, 10m or 2h").and_then(|length| {
        let kept = Some(length).filter(short);
        kept.ok_or_else(|| "is longer than a day; write it like 90s, 10m or 2h".to_owned())
    })
}

/// A length of time, also in days: `12h`, `30d`.
pub(crate) fn ahead(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('d') {
        Some(days) => span(&format!("{days}h"), "write it like 12h or 30d").map(|time| time * 24),
        None => span(text, "write it like 12h or 30d"),
    }
}

fn span(text: &str, how: &str) -> Result<Duration, String> {
    let wrong = || how.to_owned();
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit));
    // A century is for ever.
    seconds
        .filter(|seconds| *seconds <= 3_155_760_000)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::{ahead, length};

    /// Lengths have a unit, and sane ones only.
    #[test]
    fn lengths_have_a_unit() {
        assert_eq!(length("10m").unwrap().as_secs(), 600);
        for wrong in ["", "10", "m", "-1s", "1d", "100h", "1é"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ahead("30d").unwrap().as_secs(), 30 * 86_400);
        assert_eq!(ahead("12h").unwrap().as_secs(), 12 * 3600);
        assert!(ahead("d").is_err());
    }
}
