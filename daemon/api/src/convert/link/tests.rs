use bindery_core::{
    link::{Note, Observed, OpenFlow},
    name::{FlowId, LinkId, NamespaceName},
    problem::Who,
    provider::AuthKind,
    time::Timestamp,
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
