//! What changed around a link since the last check: organizations that it reached, and repositories that credentials were
//! asked for. What can't be found out now is no loss.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Link, Note, SeenOrganization, SeenRepository},
    problem::{Problem, Reason, Who},
    provider::{Input, Organization, OrganizationAccess, Output, Repository},
};

use super::{Finding, Severity};
use crate::{Engine, operation::Outcome};

/// Organizations that a link remembers.
const ORGANIZATIONS: usize = 200;

/// Repositories of a link's sources that one check looks at.
const SOURCES: usize = 32;

/// What stands behind the name of what is lost.
const LOST: &str = " is not reached any more: ";

/// What a note of an earlier check says is lost: an organization or a repository, and its name.
pub(super) fn subject(note: &Note) -> Option<(Reason, &str)> {
    let mut reasons = [Reason::OrganizationLost, Reason::RepositoryLost].into_iter();
    let reason = reasons.find(|reason| reason.as_str() == note.reason)?;
    let (name, _) = note.message.split_once(LOST)?;
    Some((reason, name))
}

/// What a check saw around a link.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) organizations: Vec<SeenOrganization>,
    repositories: Vec<(SeenRepository, SeenRepository)>,
    pub(super) findings: Vec<Finding>,
    /// What an earlier check said is lost, and this one could not find out.
    pub(super) open: Vec<Note>,
}

impl Survey {
    /// It can't be found out whether what matches is still lost.
    fn leave_open(&mut self, link: &Link, matches: impl Fn((Reason, &str)) -> bool) {
        let notes = link.seen.notes.iter();
        let open = notes.filter(|note| subject(note).is_some_and(&matches));
        self.open.extend(open.cloned());
    }

    /// Gives the repositories that the link remembers the names that they have now.
    pub(super) fn note_repositories(&self, link: &mut Link) {
        for seen in &mut link.seen.repositories {
            let now = self.repositories.iter().find(|(before, _)| before == seen);
            if let Some((_, now)) = now {
                seen.clone_from(now);
            }
        }
    }
}

impl Engine {
    /// Looks at the organizations and repositories of a link.
    pub(super) async fn survey(&self, link: &Link, host: &Host) -> Survey {
        let mut survey = Survey {
            organizations: link.seen.organizations.clone(),
            ..Survey::default()
        };
        self.survey_organizations(link, host, &mut survey).await;
        for seen in self.repositories_of(link).await {
            self.survey_repository(link, host, &seen, &mut survey).await;
        }
        survey
    }

    /// Those that credentials were asked for, and those of its sources.
    async fn repositories_of(&self, link: &Link) -> Vec<SeenRepository> {
        let mut all = link.seen.repositories.clone();
        let sources = self.sources_of(&link.namespace, Some(&link.id)).await;
        for source in sources.into_iter().flatten().take(SOURCES) {
            let source = source.record;
            let known = |seen: &SeenRepository| {
                seen.stable_id == source.repository || seen.full_name == source.full_name
            };
            if !all.iter().any(known) {
                all.push(SeenRepository {
                    stable_id: source.repository,
                    full_name: source.full_name,
                });
            }
        }
        all
    }

    async fn survey_organizations(&self, link: &Link, host: &Host, survey: &mut Survey) {
        let Ok(outcome) = self
            .ask_as(link, host, Input::ListOrganizations { page_size: 100 })
            .await
        else {
            survey.leave_open(link, |(reason, _)| reason == Reason::OrganizationLost);
            return;
        };
        let (now, partial) = organizations(outcome);
        for seen in &link.seen.organizations {
            let found = now.iter().find(|one| one.stable_id == seen.stable_id);
            if let Some(finding) = lost(seen, found, partial) {
                survey.findings.push(finding);
            }
        }
        survey.organizations = remembered(&link.seen.organizations, now, partial);
    }

    async fn survey_repository(
        &self,
        link: &Link,
        host: &Host,
        seen: &SeenRepository,
        survey: &mut Survey,
    ) {
        let repository = if seen.stable_id.is_empty() {
            seen.full_name.clone()
        } else {
            format!("id:{}", seen.stable_id)
        };
        match self
            .ask_as(link, host, Input::GetRepository { repository })
            .await
            .map(|outcome| outcome.last)
        {
            Ok(Output::Repository(found)) => {
                survey.findings.extend(renamed(seen, &found));
                let now = SeenRepository {
                    stable_id: found.stable_id,
                    full_name: found.full_name,
                };
                survey.repositories.push((seen.clone(), now));
            }
            Err(problem) if problem.reason == Reason::ProviderNotFound => {
                survey.findings.push(gone(seen, problem));
            }
            _ => survey.leave_open(link, |about| about == (Reason::RepositoryLost, named(seen))),
        }
    }

    /// Asks with the current token, once.
    async fn ask_as(&self, link: &Link, host: &Host, input: Input) -> Result<Outcome, Problem> {
        let grant = self.fresh_grant(link, host, Duration::ZERO).await?;
        self.ask_once(link, host, &grant.access_token, input, None)
            .await
    }
}

fn organizations(outcome: Outcome) -> (Vec<Organization>, bool) {
    let (mut all, mut any_partial) = (Vec::new(), false);
    for page in outcome.pages.into_iter().chain([outcome.last]) {
        if let Output::Organizations { items, partial, .. } = page {
            all.extend(items);
            any_partial |= partial;
        }
    }
    (all, any_partial)
}

/// An organization in which the link could act, and can't any more. One that a partial list leaves out is not lost.
fn lost(seen: &SeenOrganization, now: Option<&Organization>, partial: bool) -> Option<Finding> {
    if seen.access != OrganizationAccess::Granted || (now.is_none() && partial) {
        return None;
    }
    let (why, who, action_uri) = match now {
        Some(now) => match now.access {
            OrganizationAccess::Granted | OrganizationAccess::Unknown => return None,
            _ => (now.reason.as_str(), now.who, now.action_uri.as_str()),
        },
        None => ("the identity is no member any more", None, ""),
    };
    let message = format!("{}{LOST}{why}", seen.login);
    let problem = Problem::new(Reason::OrganizationLost, message);
    let problem = problem.act(who.unwrap_or(Who::OrganizationOwner), action_uri);
    Some(Finding::new(Severity::Error, problem))
}

/// What is remembered: what there is now, and what was lost, so that every check says so until the link is authorized anew.
fn remembered(
    before: &[SeenOrganization],
    now: Vec<Organization>,
    partial: bool,
) -> Vec<SeenOrganization> {
    let kept = before.iter().filter(|seen| {
        let found = now.iter().find(|one| one.stable_id == seen.stable_id);
        lost(seen, found, partial).is_some() || (partial && found.is_none())
    });
    let mut all: Vec<_> = kept.cloned().collect();
    for organization in now {
        if !all
            .iter()
            .any(|seen| seen.stable_id == organization.stable_id)
        {
            all.push(SeenOrganization {
                stable_id: organization.stable_id,
                login: organization.login,
                access: organization.access,
            });
        }
    }
    all.truncate(ORGANIZATIONS);
    all
}

fn renamed(seen: &SeenRepository, now: &Repository) -> Option<Finding> {
    let known = !seen.stable_id.is_empty() && !seen.full_name.is_empty();
    let same_name = seen.full_name == now.full_name;
    (known && !same_name).then(|| {
        let message = format!(
            "{} is called {} now; change what names it",
            seen.full_name, now.full_name
        );
        let problem = Problem::new(Reason::RepositoryRenamed, message);
        Finding::new(
            Severity::Warning,
            problem.act(Who::User, now.web_uri.as_str()),
        )
    })
}

fn gone(seen: &SeenRepository, problem: Problem) -> Finding {
    let message = format!(
        "{}{LOST}it was deleted, or access was taken away",
        named(seen)
    );
    let told = Problem::new(Reason::RepositoryLost, message);
    Finding::new(
        Severity::Error,
        told.act(problem.who.unwrap_or(Who::User), problem.action_uri),
    )
}

/// What people know a repository by.
fn named(seen: &SeenRepository) -> &str {
    if seen.full_name.is_empty() {
        &seen.stable_id
    } else {
        &seen.full_name
    }
}
