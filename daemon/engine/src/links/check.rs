//! A live look at a link, and what it says about the grant.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Cause, Link, Note, Stage},
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description},
    refresh::BETWEEN_VERDICTS,
    time::Timestamp,
};

use super::{
    Finding, Found, Severity, missing, personal, scope_problem,
    survey::subject,
    trouble::{recovered, who},
};
use crate::{Engine, Versioned};

/// A token that ends sooner is worth a warning.
const SOON: Duration = Duration::from_secs(7 * 86_400);

/// Findings that a link keeps until the next check.
pub(crate) const NOTES: usize = 16;

/// What a live check found.
#[derive(Debug)]
pub struct Checked {
    /// The link afterwards.
    pub link: Versioned<Link>,
    /// What was found, the most severe first; empty where all is well.
    pub findings: Vec<Finding>,
}

impl Engine {
    /// Asks the provider about a link now, and notes what it says.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `LINK_DISABLED`, `LINK_NOT_BOUND`, `LINK_UNLINKED`, and what the vault says. What is wrong with the
    /// link itself is in the answer.
    pub async fn check_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        force: bool,
    ) -> Result<Checked, Problem> {
        let mut link = self.link(namespace, id).await?.record;
        match link.usable() {
            Err(problem) if problem.reason != Reason::LinkNeedsReauthorization => {
                return Err(problem);
            }
            _ => {}
        }
        let host = self.host(&link.host).await?.record;
        let (mut findings, open) = match host.usable() {
            Err(problem) => (
                vec![self.note_unclear(&link, problem).await?],
                losses(&link),
            ),
            Ok(()) => {
                let (generation, seen) = self.look(&link, &host, force).await;
                // What was seen is noted only while the link has the grant that was looked at.
                link.generation = generation;
                self.note_seen(&link, &host, seen).await?
            }
        };
        findings.extend(self.standing(namespace, id).await?);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let link = self.note_checked(&link, &findings, open).await?;
        Ok(Checked { link, findings })
    }

    /// What comes of it, and what was lost before and could not be looked at.
    async fn note_seen(
        &self,
        link: &Link,
        host: &Host,
        seen: Seen,
    ) -> Result<(Vec<Finding>, Vec<Note>), Problem> {
        let finding = match seen {
            Seen::Found(found) => return self.note_found(link, host, found).await,
            Seen::Refused(problem) => self.note_refusal(link, problem).await?,
            Seen::TooNew(problem) => self.note_too_new(link, problem).await?,
            Seen::Unclear(problem) => self.note_unclear(link, problem).await?,
        };
        Ok((vec![finding], losses(link)))
    }

    /// What can be said of a link without asking anybody: scopes, what ends soon, whose account it is.
    async fn standing(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Vec<Finding>, Problem> {
        let link = self.link(namespace, id).await?.record;
        let host = self.host(&link.host).await?.record;
        let (description, now) = (self.description(&host)?, self.now());
        let mut all: Vec<_> = lacking(&description, &link, &host).into_iter().collect();
        all.extend(ends_soon(&link, now));
        if let (Some(identity), Some(namespace)) =
            (&link.identity, self.find_namespace(namespace).await?)
        {
            all.extend(personal(&namespace.record, &link, identity));
        }
        Ok(all)
    }

    /// When it was checked, and what was wrong, kept until the next check. What is lost stays lost until it is found.
    async fn note_checked(
        &self,
        looked: &Link,
        findings: &[Finding],
        open: Vec<Note>,
    ) -> Result<Versioned<Link>, Problem> {
        let now = self.now();
        self.change_grant_of(looked, |link| {
            link.seen.at = Some(now);
            let mut notes: Vec<_> = findings.iter().map(note).collect();
            notes.extend(open.iter().cloned());
            notes.sort_by_key(|note| std::cmp::Reverse(note.severity));
            notes.truncate(NOTES);
            link.seen.notes = notes;
        })
        .await
    }

    /// It could not be found out: a bound link stays bound, and says what is in the way.
    async fn note_unclear(&self, link: &Link, problem: Problem) -> Result<Finding, Problem> {
        let problem = self.use_failed(link, problem).await;
        let passes = matches!(
            problem.reason,
            Reason::ProviderRateLimited | Reason::RefreshOutcomeUnknown
        );
        let severity = if passes {
            Severity::Warning
        } else {
            Severity::Error
        };
        Ok(Finding::new(severity, problem))
    }

    /// Looks at a link, and says which generation of its grant that was with.
    async fn look(&self, link: &Link, host: &Host, force: bool) -> (u64, Seen) {
        if force && (link.refreshable || link.upkeep.rotate_token) {
            return match self.replace(link, link.generation).await {
                Ok(()) => {
                    let (token, seen) = self.look_once(link, host).await;
                    (token.generation, too_new(seen))
                }
                Err(problem) => (link.generation, Seen::Unclear(problem)),
            };
        }
        let (token, seen) = self.look_once(link, host).await;
        if !matches!(seen, Seen::Refused(_)) || !link.refreshable {
            return (token.generation, seen);
        }
        if self.now().since(token.obtained) < BETWEEN_VERDICTS {
            return (token.generation, too_new(seen));
        }
        // The provider may have ended the token early, or a refresh has replaced it: a newer one tells. Where none can be
        // had, that is no verdict on the grant: refreshes have rules of their own.
        match self.replace(link, token.generation).await {
            Ok(()) => self.look_with_newer(link, host).await,
            Err(problem) => (token.generation, Seen::Unclear(problem)),
        }
    }

    /// Looks with a token that the provider has given in the place of one that it refused. That it gives one says that the
    /// grant lives, whatever its replicas know of the new one: only a refresh tells that a grant is dead (THREATS R5).
    async fn look_with_newer(&self, link: &Link, host: &Host) -> (u64, Seen) {
        let (token, seen) = self.look_once(link, host).await;
        (token.generation, too_new(seen))
    }

    /// Asks the provider with the current token, and says which one that was.
    async fn look_once(&self, link: &Link, host: &Host) -> (Token, Seen) {
        let grant = match self.fresh_grant(link, host, Duration::ZERO).await {
            Ok(grant) => grant,
            Err(problem) => return (Token::of(link), Seen::Unclear(problem)),
        };
        let seen = match self.preflight(link, host, &grant.access_token).await {
            Ok(found) => Seen::Found(found),
            Err(problem) if problem.reason == Reason::TokenRefused => Seen::Refused(problem),
            Err(problem) => Seen::Unclear(problem),
        };
        let token = Token {
            generation: grant.generation,
            obtained: grant.obtained,
        };
        (token, seen)
    }

    async fn note_found(
        &self,
        link: &Link,
        host: &Host,
        found: Found,
    ) -> Result<(Vec<Finding>, Vec<Note>), Problem> {
        let known = link.identity.as_ref();
        if let Some(known) = known.filter(|known| known.stable_id != found.identity.stable_id) {
            let message = format!(
                "the token now belongs to {}, and the link is bound to {}; authorize it again",
                found.identity.login, known.login
            );
            self.mark_dead(link, Cause::IdentityChanged, "").await?;
            let problem = Problem::new(Reason::IdentityMismatch, message).act(Who::User, "");
            let finding = Finding::new(Severity::Error, problem);
            return Ok((vec![finding], losses(link)));
        }
        let survey = self.survey(link, host).await;
        let now = self.now();
        self.change_grant_of(link, |link| {
            link.identity = Some(found.identity.clone());
            link.granted_scopes = found
                .facts
                .scopes
                .clone()
                .or_else(|| link.granted_scopes.clone());
            if link.auth_kind == AuthKind::AccessToken && found.facts.expires.is_some() {
                link.token_expires = found.facts.expires;
            }
            link.seen.organizations.clone_from(&survey.organizations);
            survey.note_repositories(link);
            recovered(link);
            if matches!(link.observed.stage, Stage::NeedsReauthorization(_)) {
                link.observe(Stage::Bound, "", now);
            }
        })
        .await?;
        Ok((survey.findings, survey.open))
    }

    /// The link stays bound, says what is in its way, and is looked at again soon.
    async fn note_too_new(&self, link: &Link, problem: Problem) -> Result<Finding, Problem> {
        let message = "the provider refuses a token that it has just given; it is asked again soon";
        self.change_grant_of(link, |link| {
            if link.observed.stage == Stage::Bound {
                link.observed.trouble = Some(Cause::TokenRefused);
                message.clone_into(&mut link.observed.message);
            }
        })
        .await?;
        let problem = Problem {
            message: message.to_owned(),
            ..problem
        };
        Ok(Finding::new(Severity::Warning, problem))
    }

    async fn note_refusal(&self, link: &Link, problem: Problem) -> Result<Finding, Problem> {
        self.mark_dead(link, Cause::TokenRefused, &problem.action_uri)
            .await?;
        Ok(Finding::new(Severity::Error, problem))
    }

    /// Notes that a person must authorize a link again, unless it has got another grant than that of `looked` meanwhile.
    /// `action_uri` is the page where they see to it, if there is one.
    pub(crate) async fn mark_dead(
        &self,
        looked: &Link,
        cause: Cause,
        action_uri: &str,
    ) -> Result<Versioned<Link>, Problem> {
        let now = self.now();
        self.change_grant_of(looked, |link| {
            if link.observed.stage == Stage::Bound {
                link.observe(Stage::NeedsReauthorization(cause), explain(cause), now);
                link.observed.who = who(cause);
                action_uri.clone_into(&mut link.observed.action_uri);
            }
            link.refresh_failed = Some(now);
        })
        .await
    }

    /// Changes a link by what was learnt about the grant of `looked`. A link that was authorized or refreshed meanwhile stays
    /// as it is: what is true of the old grant says nothing about the new one.
    async fn change_grant_of(
        &self,
        looked: &Link,
        mut change: impl FnMut(&mut Link),
    ) -> Result<Versioned<Link>, Problem> {
        self.change_link(&looked.namespace, &looked.id, |link| {
            if link.generation == looked.generation {
                change(link);
            }
            Ok(())
        })
        .await
    }
}

/// What the last check said is lost.
fn losses(link: &Link) -> Vec<Note> {
    let notes = link.seen.notes.iter();
    notes
        .filter(|note| subject(note).is_some())
        .cloned()
        .collect()
}

/// Scopes that the link's permissions need and that were not granted.
fn lacking(description: &Description, link: &Link, host: &Host) -> Option<Finding> {
    if link.auth_kind == AuthKind::AppInstallation {
        return None;
    }
    let missing = missing(description, link);
    let problem = || scope_problem(&missing, description, host);
    (!missing.is_empty()).then(|| Finding::new(Severity::Warning, problem()))
}

/// Only a token that nobody renews is worth a word.
fn ends_soon(link: &Link, now: Timestamp) -> Option<Finding> {
    let ends = link.ends()?;
    let left = ends.since(now);
    (left < SOON).then(|| {
        let message = format!(
            "the token ends in {} hours; make a new one and authorize the link again before",
            left.as_secs() / 3600
        );
        let problem = Problem::new(Reason::ExpiresSoon, message).act(Who::User, "");
        Finding {
            until: Some(ends),
            ..Finding::new(Severity::Warning, problem)
        }
    })
}

/// The token that a look was with.
#[derive(Clone, Copy)]
struct Token {
    generation: u64,
    obtained: Timestamp,
}

impl Token {
    /// That of a link whose grant could not be had.
    fn of(link: &Link) -> Self {
        Self {
            generation: link.generation,
            obtained: Timestamp::default(),
        }
    }
}

/// A refusal of a token that the provider has given just now says nothing yet: its replicas may not know that one.
fn too_new(seen: Seen) -> Seen {
    match seen {
        Seen::Refused(problem) => Seen::TooNew(problem),
        seen => seen,
    }
}

/// A finding as it is kept.
pub(crate) fn note(finding: &Finding) -> Note {
    Note {
        severity: finding.severity,
        reason: finding.problem.reason.as_str().to_owned(),
        message: finding.problem.message.clone(),
        action_uri: finding.problem.action_uri.clone(),
        who: finding.problem.who,
        until: finding.until,
    }
}

/// What a live look at a link brought.
enum Seen {
    /// The provider takes its token.
    Found(Found),
    /// The provider refuses its token, and gives no newer one.
    Refused(Problem),
    /// The provider refuses a token that it has given just now.
    TooNew(Problem),
    /// That could not be found out.
    Unclear(Problem),
}

/// Why a link must be authorized again, in words.
pub(crate) const fn explain(cause: Cause) -> &'static str {
    match cause {
        Cause::GrantRevoked => "the provider says that the grant was revoked",
        Cause::TokenExpired => "its token has expired and can't be refreshed",
        Cause::RotationLost => {
            "the answer to a token refresh was lost, and the provider has dropped the old token"
        }
        Cause::TokenRefused => "the provider refuses its token",
        Cause::NotConfirmed => "its authorization was not confirmed in time",
        Cause::RefreshTokenExpired => "its refresh token has expired",
        Cause::RefreshOutcomeUnknown => "the answer to a token refresh was lost",
        Cause::ScopeMissing => "its token lacks a scope",
        Cause::IdentitySuspended => "its identity is suspended at the provider",
        Cause::AppUninstalled => "the app is not installed any more",
        Cause::AppSuspended => "the installation of the app is suspended",
        Cause::IdentityChanged => "its token belongs to another identity now",
        Cause::ClientRefused => "the provider refuses the OAuth client of the host",
        Cause::HostOriginChanged => "the URLs of its host have changed",
        Cause::HostUnreachable => "its host can't be reached",
        Cause::RateLimited => "the provider limits the rate of calls",
        Cause::ProviderUnavailable => "the provider answers with errors of its own",
        Cause::PluginFailed => "the plugin of its provider does not work",
        Cause::HostDisabled => "its host is switched off by the operator",
        Cause::ConsentDenied => "consent was refused",
        Cause::FlowExpired => "its authorization was not finished in time",
        Cause::FlowCancelled => "its authorization was cancelled",
    }
}
