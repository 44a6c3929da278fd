//! Links, checks, organizations and receipts as they are printed.

use bindery_proto::v1::{
    CheckLinkResponse, CleanupStep, Finding, Link, Organization, Receipt, Severity,
    cleanup_step::Outcome, desired_state, observed_state::Stage, organization::AccessState,
};

use super::who;
use crate::{
    args::Output,
    json, moment,
    problem::Problem,
    record::{Record, id, word},
    resource::short,
    session::Session,
    style::Tone,
    table::{self, Cell},
};

impl Record for Link {
    const MESSAGE: &'static str = "bindery.v1.Link";
    const COLUMNS: &'static [&'static str] =
        &["LINK", "HOST", "IDENTITY", "STATE", "TOKEN EXPIRES"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        let expires = self
            .token
            .as_ref()
            .and_then(|token| token.expire_time.as_ref());
        vec![
            short(&self.name).into(),
            id(&self.host).into(),
            self.identity
                .as_ref()
                .map_or("", |identity| &identity.login)
                .into(),
            state(self),
            moment::relative(expires).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let observed = self.observed.clone().unwrap_or_default();
        let desired = self.desired.clone().unwrap_or_default();
        let token = self.token.clone().unwrap_or_default();
        let permissions = self
            .permissions()
            .map(|one| word(one.as_str_name(), "PERMISSION_"));
        vec![
            ("name", self.name.as_str().into()),
            ("host", self.host.as_str().into()),
            ("display name", self.display_name.as_str().into()),
            ("state", state(self)),
            (
                "cause",
                word(observed.cause().as_str_name(), "CAUSE_").into(),
            ),
            ("message", observed.message.as_str().into()),
            ("see", observed.action_uri.as_str().into()),
            (
                "who must act",
                word(observed.who_must_act().as_str_name(), "WHO_MUST_ACT_").into(),
            ),
            (
                "until",
                moment::relative(observed.until_time.as_ref()).into(),
            ),
            (
                "since",
                moment::relative(observed.since_time.as_ref()).into(),
            ),
            ("wanted by", desired.actor.unwrap_or_default().id.into()),
            (
                "wanted since",
                moment::relative(desired.set_time.as_ref()).into(),
            ),
            ("reason", desired.reason.into()),
            (
                "identity",
                self.identity.as_ref().map(who).unwrap_or_default().into(),
            ),
            (
                "method",
                word(self.method().as_str_name(), "AUTH_METHOD_KIND_").into(),
            ),
            (
                "permissions",
                permissions.collect::<Vec<_>>().join(", ").into(),
            ),
            ("missing scopes", self.missing_scopes.join(", ").into()),
            (
                "token expires",
                moment::relative(token.expire_time.as_ref()).into(),
            ),
            (
                "last used",
                moment::relative(token.last_fetch_time.as_ref()).into(),
            ),
            (
                "created",
                moment::relative(self.create_time.as_ref()).into(),
            ),
        ]
    }
}

/// Both axes in one entry: what is wanted goes first where it hides the other.
pub(crate) fn state(link: &Link) -> Cell {
    let stage = link
        .observed
        .as_ref()
        .map_or(Stage::Unspecified, |observed| observed.stage());
    let words = word(stage.as_str_name(), "STAGE_");
    let desired = link.desired.as_ref().map(|desired| desired.state());
    if desired == Some(desired_state::State::Disabled) {
        return Cell::toned(format!("disabled, {words}"), Tone::Waiting);
    }
    match stage {
        Stage::Bound => Cell::toned(words, Tone::Good),
        Stage::NeedsReauthorization | Stage::Unspecified => Cell::toned(words, Tone::Bad),
        _ => Cell::toned(words, Tone::Waiting),
    }
}

impl Record for Organization {
    const MESSAGE: &'static str = "bindery.v1.Organization";
    const COLUMNS: &'static [&'static str] = &["ORGANIZATION", "ACCESS", "ROLE", "MESSAGE"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        let access = word(self.access().as_str_name(), "ACCESS_STATE_");
        let tone = if self.access() == AccessState::Granted {
            Tone::Good
        } else {
            Tone::Bad
        };
        vec![
            self.login.as_str().into(),
            Cell::toned(access, tone),
            self.role.as_str().into(),
            [self.message.as_str(), self.action_uri.as_str()]
                .join(" ")
                .trim()
                .into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("login", self.login.as_str().into()),
        ]
    }
}

/// A link, and what the last check found.
pub(super) fn link(link: &Link, session: &Session) -> Result<(), Problem> {
    session.show(link)?;
    if session.output != Output::Table || link.findings.is_empty() {
        return Ok(());
    }
    session.line("")?;
    findings(&link.findings, session)
}

pub(super) fn check(checked: &CheckLinkResponse, session: &Session) -> Result<(), Problem> {
    if session.is_json() {
        return session.json(&json::value("bindery.v1.CheckLinkResponse", checked)?);
    }
    session.show(&checked.link.clone().unwrap_or_default())?;
    if session.output == Output::Name {
        return Ok(());
    }
    if checked.findings.is_empty() {
        return session.line("nothing is wrong");
    }
    findings(&checked.findings, session)
}

fn findings(findings: &[Finding], session: &Session) -> Result<(), Problem> {
    let rows: Vec<_> = findings.iter().map(finding).collect();
    let header = ["SEVERITY", "REASON", "WHO MUST ACT", "UNTIL", "MESSAGE"];
    session.text(&table::render(&header, &rows, session.answers))
}

fn finding(finding: &Finding) -> Vec<Cell> {
    let severity = word(finding.severity().as_str_name(), "SEVERITY_");
    let tone = match finding.severity() {
        Severity::Info => Tone::Good,
        Severity::Error => Tone::Bad,
        _ => Tone::Waiting,
    };
    vec![
        Cell::toned(severity, tone),
        finding.reason.as_str().into(),
        word(finding.who_must_act().as_str_name(), "WHO_MUST_ACT_").into(),
        moment::relative(finding.until_time.as_ref()).into(),
        [finding.message.as_str(), finding.action_uri.as_str()]
            .join(" ")
            .trim()
            .into(),
    ]
}

impl Record for Receipt {
    const MESSAGE: &'static str = "bindery.v1.Receipt";
    const COLUMNS: &'static [&'static str] = &["RECEIPT", "HOST", "LOGIN", "COMPLETE"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.as_str().into(),
            id(&self.host).into(),
            self.login.as_str().into(),
            yes_or_no(self.complete).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("receipt", self.name.as_str().into()),
            ("host", self.host.as_str().into()),
            ("login", self.login.as_str().into()),
            (
                "preview",
                if self.preview {
                    "yes: nothing was done"
                } else {
                    ""
                }
                .into(),
            ),
            (
                "finished",
                moment::relative(self.finish_time.as_ref()).into(),
            ),
            ("nothing left behind", yes_or_no(self.complete).into()),
            ("affected links", self.affected_links.join(", ").into()),
            (
                "affected, not shown",
                if self.hidden_affected_link_count > 0 {
                    format!(
                        "{} in namespaces that you may not read",
                        self.hidden_affected_link_count
                    )
                } else {
                    String::new()
                }
                .into(),
            ),
        ]
    }
}

pub(super) fn receipt(receipt: &Receipt, session: &Session) -> Result<(), Problem> {
    session.show(receipt)?;
    if session.output != Output::Table {
        return Ok(());
    }
    steps(&receipt.steps, session)
}

/// What was done at a provider, and the pages where a person does the rest.
pub(crate) fn steps(steps: &[CleanupStep], session: &Session) -> Result<(), Problem> {
    let rows: Vec<_> = steps.iter().map(step).collect();
    session.text(&table::render(
        &["STEP", "OUTCOME", "MESSAGE"],
        &rows,
        session.answers,
    ))?;
    let by_hand = steps
        .iter()
        .filter(|step| step.outcome() == Outcome::Impossible);
    for step in by_hand.filter(|step| !step.action_uri.is_empty()) {
        session.say(&format!("left for a person: {}", step.action_uri));
    }
    Ok(())
}

fn step(step: &CleanupStep) -> Vec<Cell> {
    let outcome = match step.outcome() {
        Outcome::Unspecified => Cell::toned("not yet", Tone::Waiting),
        Outcome::Done | Outcome::AlreadyAbsent => {
            Cell::toned(word(step.outcome().as_str_name(), "OUTCOME_"), Tone::Good)
        }
        other => Cell::toned(word(other.as_str_name(), "OUTCOME_"), Tone::Bad),
    };
    let kind = word(step.kind().as_str_name(), "KIND_");
    vec![
        [kind.as_str(), step.subject.as_str()]
            .join(" ")
            .trim()
            .into(),
        outcome,
        [step.reason.as_str(), step.message.as_str()]
            .join(" ")
            .trim()
            .into(),
    ]
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
