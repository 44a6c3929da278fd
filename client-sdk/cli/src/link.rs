//! `bindery link`.

use std::{path::PathBuf, time::Duration};

use bindery_client::{Token, UnlinkRequest};
use bindery_proto::v1::Identity;
use clap::{Args, Subcommand};

use crate::{problem::Problem, repo, resource, secret, session::Session};

mod create;
pub(crate) mod show;
mod wait;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a link: print the page that a person opens, and wait until they have
    #[command(after_help = "Examples:\n  bindery link create acme github.com\n  \
        bindery link create acme github.com --token-file token.txt\n  \
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
    /// Confirm who agreed, with the code that the page shows
    #[command(after_help = "Example:\n  bindery link confirm acme/8c1f")]
    Confirm {
        #[command(flatten)]
        link: Named,
        /// File with the code; standard input unless given
        #[arg(
            long,
            value_name = "FILE",
            default_value = "-",
            hide_default_value = true
        )]
        code_file: PathBuf,
        /// Stable id of the identity that is expected
        #[arg(long, value_name = "ID")]
        identity: Option<String>,
    },
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
    Check(Named),
    /// List the organizations of a link, and whether it can act in them
    #[command(after_help = "Example:\n  bindery link orgs acme/8c1f")]
    Orgs(Named),
    /// End a link: revoke it at the provider, erase its secrets, and say what is left to do
    #[command(after_help = "Example:\n  bindery link unlink acme/8c1f --preview")]
    Unlink {
        #[command(flatten)]
        link: Named,
        /// Why
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Go on where other links share the grant and lose it, too
        #[arg(long)]
        accept_shared_grant: bool,
        /// Erase the secrets even where the grant can't be revoked now
        #[arg(long)]
        force: bool,
        /// Leave the webhooks at the provider
        #[arg(long)]
        keep_hooks: bool,
        /// Do nothing, and show what would be done
        #[arg(long)]
        preview: bool,
    },
    /// Show what unlinking did
    #[command(after_help = "Example:\n  bindery link receipt acme/8c1f")]
    Receipt(Named),
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
            session.show(&session.client().await?.get_link(name).await?)
        }
        Command::Wait { link, timeout } => {
            let name = resource::link(&link.link)?;
            let client = session.client().await?;
            wait::until_bound(&client, &name.to_string(), timeout, session).await
        }
        Command::Confirm {
            link,
            code_file,
            identity,
        } => confirm(&link.link, &code_file, identity.as_deref(), session).await,
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
        Command::Check(Named { link }) => {
            let name = resource::link(&link)?;
            show::check(&session.client().await?.check_link(name).await?, session)
        }
        Command::Orgs(Named { link }) => {
            let name = resource::link(&link)?;
            repo::list(session.client().await?.list_organizations(name), session).await
        }
        Command::Unlink {
            link,
            reason,
            accept_shared_grant,
            force,
            keep_hooks,
            preview,
        } => {
            let request = UnlinkRequest::new(resource::link(&link.link)?)
                .reason(reason)
                .accept_shared_grant(accept_shared_grant)
                .force(force)
                .keep_hooks(keep_hooks)
                .preview(preview);
            show::receipt(&session.client().await?.unlink(request).await?, session)
        }
        Command::Receipt(Named { link }) => {
            let name = resource::link(&link)?.receipt();
            show::receipt(&session.client().await?.get_receipt(name).await?, session)
        }
    }
}

async fn confirm(
    link: &str,
    code_file: &std::path::Path,
    identity: Option<&str>,
    session: &Session,
) -> Result<(), Problem> {
    let name = resource::link(link)?;
    let client = session.client().await?;
    let code = if code_file == std::path::Path::new("-") && session.errors.terminal {
        session.say("the code that the page shows:");
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .map_err(Problem::writing)?;
        Token::from(line.trim())
    } else {
        secret::read(code_file)?
    };
    let bound = client.confirm_link(&name, &code, identity).await?;
    if session.is_json() {
        return session.show(&bound);
    }
    wait::say_bound(&bound, session)
}

/// An identity, as people tell it from others.
pub(crate) fn who(identity: &Identity) -> String {
    format!("{} (id {})", identity.login, identity.stable_id)
}

/// A length of time with its unit: `90s`, `10m`, `2h`.
fn length(text: &str) -> Result<Duration, String> {
    let wrong = || "write it like 90s, 10m or 2h".to_owned();
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
    // Longer than a day is a slip, and no flow lives that long.
    seconds
        .filter(|seconds| *seconds <= 86_400)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::length;

    /// Lengths have a unit, and sane ones only.
    #[test]
    fn lengths_have_a_unit() {
        assert_eq!(length("10m").unwrap().as_secs(), 600);
        for wrong in ["", "10", "m", "-1s", "1d", "100h", "1é"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }
}
