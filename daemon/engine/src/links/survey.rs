//! What changed around a link since the last check: organizations that it reached, and repositories that credentials were
//! asked for. What can't be found out now is no loss.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Link, SeenOrganization, SeenRepository},
    problem::{Problem, Reason, Who},
    provider::{Input, Organization, OrganizationAccess, Output, Repository},
};

use super::{Finding, Severity};
use crate::{Engine, operation::Outcome};

/// Organizations that a link remembers.
const ORGANIZATIONS: usize = 200;

/// What a check saw around a link.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) organizations: Vec<SeenOrganization>,
    repositories: Vec<(SeenRepository, SeenRepository)>,
    pub(super) findings: Vec<Finding>,
}

impl Survey {
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
        for seen in &link.seen.repositories {
            self.survey_repository(link, host, seen, &mut survey).await;
        }
        survey
    }

    async fn survey_organizations(&self, link: &Link, host: &Host, survey: &mut Survey) {
        let Ok(outcome) = self
            .ask_as(link, host, Input::ListOrganizations { page_size: 100 })
            .await
        else {
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
            _ => {}
        }
    }

    /// Asks with the current token, once.
    async fn ask_as(&self, link: &Link, host: &Host, input: Input) -> Result<Outcome, Problem> {
        let grant = self.fresh_grant(link, host, Duration::ZERO).await?;
        let context = self.link_context(link, host, &grant.access_token).await?;
        self.run(context, input).await
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
    let message = format!("{} is not reached any more: {why}", seen.login);
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
    let name = if seen.full_name.is_empty() {
        &seen.stable_id
    } else {
        &seen.full_name
    };
    let message =
        format!("{name} is not reached any more: it was deleted, or access was taken away");
    let told = Problem::new(Reason::RepositoryLost, message);
    Finding::new(
        Severity::Error,
        told.act(problem.who.unwrap_or(Who::User), problem.action_uri),
    )
}
