use bindery_core::{
    link::{Note, Observed, OpenFlow, Severity},
    name::{FlowId, LinkId, NamespaceName},
    problem::Who,
};

use bindery_engine::links::Method;
use bindery_proto::v1::create_link_request::Method as WireMethod;

use super::{ask::TOKEN, *};

fn record(stage: Stage) -> Versioned<Link> {
    let now = Timestamp::default();
    let (namespace, id, host) = (
        NamespaceName::parse("acme").expect("name"),
        LinkId::parse("l1").expect("name"),
        HostName::parse("forge").expect("name"),
    );
    let record = Link {
        display_name: "Builds".into(),
        token_kind: "oauth".into(),
        desired: Desired::Disabled(Wish {
            reason: "holiday".into(),
            actor: "uid:1".into(),
            since: now,
        }),
        observed: Observed {
            action_uri: "https://bindery.example/link/secretflow".into(),
            who: Some(Who::User),
            ..Observed::new(stage, "m", now)
        },
        identity: Some(Identity {
            stable_id: "7".into(),
            login: "octo".into(),
            display_name: String::new(),
            kind: AccountKind::User,
            web_uri: String::new(),
        }),
        requested_scopes: vec!["repo".into()],
        refreshable: true,
        generation: 2,
        created_by: "uid:1".into(),
        ..Link::new(namespace, id, host, AuthKind::OAuthCode, now)
    };
    Versioned { record, version: 5 }
}

/// O1: the page of a pending flow is in no link; the page of another stage is.
#[test]
fn o1_pending_page_is_not_shown() {
    for stage in [Stage::PendingAuthorization, Stage::PendingConfirmation] {
        let wire = link(&record(stage), None);
        assert!(!format!("{wire:?}").contains("secretflow"));
        assert!(wire.flow.is_some());
    }
    let wire = link(
        &record(Stage::NeedsReauthorization(Cause::GrantRevoked)),
        None,
    );
    assert!(
        wire.observed
            .expect("observed")
            .action_uri
            .contains("secretflow")
    );
}

/// An identity that is not confirmed is shown as pending, and nowhere else.
#[test]
fn unconfirmed_identity_is_pending() {
    let pending = link(&record(Stage::PendingConfirmation), None);
    assert!(pending.identity.is_none());
    assert_eq!(
        pending
            .flow
            .expect("flow")
            .pending_identity
            .expect("identity")
            .login,
        "octo"
    );
    let bound = link(&record(Stage::Bound), None);
    assert_eq!(bound.identity.expect("identity").stable_id, "7");
    assert_eq!(bound.etag, "5");
    assert_eq!(bound.desired.expect("desired").reason, "holiday");
}

fn request(method: Option<WireMethod>) -> wire::CreateLinkRequest {
    wire::CreateLinkRequest {
        parent: "namespaces/acme".into(),
        link: Some(wire::Link {
            host: "hosts/forge".into(),
            ..Default::default()
        }),
        method,
        ..Default::default()
    }
}

fn token(token: &str) -> Option<WireMethod> {
    Some(WireMethod::AccessToken(wire::AccessToken {
        token: token.into(),
        username: String::new(),
    }))
}

/// A request becomes what the engine asks for; its token can't be printed any more.
#[test]
fn requests_are_taken() {
    let new = new_link(request(token("BNDRYCANARY")), "uid:1").expect("link");
    assert_eq!(
        (new.host.as_str(), new.principal.as_str()),
        ("forge", "uid:1")
    );
    assert_eq!(new.permissions.len(), 3);
    assert!(!format!("{new:?}").contains("BNDRYCANARY"));
}

/// Mangled requests are refused with every wrong field, and the token is in no message.
#[test]
fn mangled_requests_are_refused() {
    let mut mangled = request(token("BNDRY CANARY\n"));
    mangled.expected_identity = "other".into();
    mangled.link = Some(wire::Link {
        host: "hosts/..".into(),
        display_name: "\0".into(),
        permissions: vec![99],
        labels: [(String::new(), "b".to_owned())].into(),
        ..Default::default()
    });
    let failure = new_link(mangled, "uid:1").expect_err("mangled");
    for field in [
        "link.host",
        "link.display_name",
        "link.permissions",
        "link.labels",
        "access_token.token",
    ] {
        assert!(failure.violations().contains(&field), "{field}");
    }
    assert!(!format!("{failure:?}").contains("CANARY"));
    assert!(new_link(request(None), "uid:1").is_err());
    assert!(new_link(request(token("")), "uid:1").is_err());
    assert!(new_link(request(token(&"x".repeat(TOKEN + 1))), "uid:1").is_err());
    let odd = WireMethod::AppInstallation(wire::AppInstallation {
        installation_id: "../1".into(),
    });
    assert!(new_link(request(Some(odd)), "uid:1").is_err());
}

/// Every way to link is taken; a headless one must say which page receives the code.
#[test]
fn every_way_is_taken() {
    let taken = |method| new_link(request(Some(method)), "uid:1").map(|new| new.method);
    let oauth = |headless, return_to: &str| {
        WireMethod::OauthCode(wire::OAuthCode {
            return_to: return_to.into(),
            headless,
        })
    };
    let installed = |id: &str| {
        WireMethod::AppInstallation(wire::AppInstallation {
            installation_id: id.into(),
        })
    };
    assert!(matches!(
        taken(oauth(false, "")),
        Ok(Method::OAuthCode { return_to: None })
    ));
    assert!(matches!(
        taken(oauth(true, "portal")),
        Ok(Method::Headless { .. })
    ));
    let failure = taken(oauth(true, "")).expect_err("no page");
    assert_eq!(failure.violations(), ["oauth_code.return_to"]);
    assert!(matches!(
        taken(WireMethod::DeviceFlow(wire::DeviceFlow {})),
        Ok(Method::Device)
    ));
    assert!(matches!(
        taken(installed("")),
        Ok(Method::Installation { id: None })
    ));
    assert!(matches!(
        taken(installed("42")),
        Ok(Method::Installation { id: Some(_) })
    ));
}

/// A flow that is under way is shown with who consented, for a link that goes on working as well, and never with its id.
#[test]
fn o1_open_flows_are_shown_without_their_id() {
    let mut entry = record(Stage::Bound);
    let now = Timestamp::default();
    entry.record.flow = Some(OpenFlow {
        id: FlowId::parse("secretflow").expect("name"),
        method: AuthKind::Device,
        started_by: "uid:2".into(),
        started: now,
        expires: now,
        requested_scopes: vec!["repo".into()],
        identity: entry.record.identity.clone(),
        reauthorization: true,
        notes: vec![Note {
            severity: Severity::Warning,
            reason: "SSO_REQUIRED".into(),
            message: "acme is not reached".into(),
            action_uri: "https://forge.example/sso".into(),
            who: Some(Who::User),
            until: Some(now),
        }],
    });
    let wire = link(&entry, None);
    assert!(!format!("{:?}", wire.flow).contains("secretflow"));
    let flow = wire.flow.expect("flow");
    assert!(flow.reauthorization);
    let finding = flow.findings.first().expect("finding");
    assert_eq!(finding.reason, "SSO_REQUIRED");
    assert_eq!(finding.severity(), wire::Severity::Warning);
    assert_eq!(finding.who_must_act(), wire::WhoMustAct::User);
    assert!(finding.until_time.is_some());
    assert_eq!(flow.pending_identity.expect("identity").login, "octo");
    assert!(wire.identity.is_some());
}

/// What the last check found is in a link that works, as the check itself tells it.
#[test]
fn what_a_check_found_stays_visible() {
    let mut entry = record(Stage::Bound);
    let note = |severity, reason: &str| Note {
        severity,
        reason: reason.into(),
        message: "acme is not reached any more".into(),
        action_uri: "https://forge.example/acme".into(),
        who: Some(Who::OrganizationOwner),
        until: Some(Timestamp::default()),
    };
    entry.record.seen.notes = vec![
        note(Severity::Error, "ORGANIZATION_LOST"),
        note(Severity::Warning, "EXPIRES_SOON"),
        note(Severity::Info, "PERSONAL_ACCOUNT"),
    ];
    let shown = link(&entry, None).findings;
    let told: Vec<_> = shown
        .iter()
        .map(|finding| (finding.severity(), finding.reason.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (wire::Severity::Error, "ORGANIZATION_LOST"),
            (wire::Severity::Warning, "EXPIRES_SOON"),
            (wire::Severity::Info, "PERSONAL_ACCOUNT"),
        ]
    );
    assert_eq!(shown[0].who_must_act(), wire::WhoMustAct::OrganizationOwner);
    assert_eq!(shown[0].action_uri, "https://forge.example/acme");
    assert!(shown[0].until_time.is_some());
}

/// A token that ends and that nobody renews is a deadline for the person; one that is renewed is none, and neither is one of
/// a link that something else is in the way of.
#[test]
fn a_token_that_ends_is_a_deadline() {
    let ends = Timestamp::from_unix_ms(7_000);
    let mut entry = record(Stage::Bound);
    entry.record.token_expires = Some(ends);
    let shown = |entry: &Versioned<Link>| link(entry, None).observed.expect("observed");
    assert_eq!(shown(&entry).until_time, None);
    entry.record.refreshable = false;
    entry.record.observed.who = None;
    let told = shown(&entry);
    assert_eq!(told.until_time, Some(time(ends)));
    assert_eq!(told.who_must_act(), wire::WhoMustAct::User);
    assert_eq!(told.message, ENDS);
    entry.record.observed.trouble = Some(Cause::RateLimited);
    assert_eq!(shown(&entry).until_time, None);
    entry.record.observed.stage = Stage::NeedsReauthorization(Cause::TokenExpired);
    assert_eq!(shown(&entry).until_time, None);
}

/// A bound link that lacks scopes says so as a cause, with who grants them; what is worse is said instead, and of an
/// installation nobody grants scopes.
#[test]
fn missing_scopes_are_a_cause() {
    let missing = ["admin:repo_hook".to_owned()];
    let mut bound = record(Stage::Bound).record;
    let told = observed(&bound, &missing);
    assert_eq!(told.stage(), observed_state::Stage::Bound);
    assert_eq!(told.cause(), observed_state::Cause::ScopeMissing);
    assert_eq!(told.who_must_act(), wire::WhoMustAct::User);
    assert!(told.message.contains("admin:repo_hook"));
    let none = observed_state::Cause::Unspecified;
    assert_eq!(observed(&bound, &[]).cause(), none);
    bound.observed.trouble = Some(Cause::RateLimited);
    let limited = observed_state::Cause::RateLimited;
    assert_eq!(observed(&bound, &missing).cause(), limited);
    bound.observed.trouble = None;
    bound.auth_kind = AuthKind::AppInstallation;
    assert_eq!(observed(&bound, &missing).cause(), none);
    let pending = record(Stage::PendingAuthorization).record;
    assert_eq!(observed(&pending, &missing).cause(), none);
}

/// Stages and causes in errors have the names that they have in a link.
#[test]
fn stages_and_causes_have_one_name() {
    for known in Cause::ALL {
        let name = cause(known).as_str_name();
        assert_eq!(name.strip_prefix("CAUSE_"), Some(known.as_str()));
    }
    for stage in [
        Stage::PendingAuthorization,
        Stage::PendingConfirmation,
        Stage::Bound,
        Stage::NeedsReauthorization(Cause::RotationLost),
        Stage::Unlinking,
        Stage::Unlinked,
    ] {
        let shown = link(&record(stage), None).observed.expect("observed");
        let name = shown.stage().as_str_name();
        assert_eq!(name.strip_prefix("STAGE_"), Some(stage.as_str()));
    }
}
