//! Every reason of the schema has its case.

use std::{collections::BTreeMap, time::Duration};

use bindery_client::{
    Code, CredentialRequest, Error, Status,
    proto::{self, v1::ErrorReason},
    testing::{FakeBindery, Refusal},
};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// What the comments of the schema promise about a reason.
struct Promise {
    code: Code,
    retry: bool,
}

fn promises() -> BTreeMap<String, Promise> {
    let set = FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let file = set
        .file
        .iter()
        .find(|file| file.name() == "bindery/v1/errors.proto")
        .unwrap();
    let values = &file.enum_type[0].value;
    let locations = &file.source_code_info.as_ref().unwrap().location;
    let comment = |index: usize| {
        // Path of a value: enum_type (5), the first, value (2), its index.
        let path = [5, 0, 2, i32::try_from(index).unwrap()];
        let location = locations
            .iter()
            .find(|location| location.path == path)
            .unwrap();
        location
            .leading_comments()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let promise = |(index, value): (usize, &prost_types::EnumValueDescriptorProto)| {
        let comment = comment(index);
        let code = between(&comment, "Code: `", "`");
        let retry = between(&comment, "Retry: ", ".").starts_with("yes");
        (
            value.name().to_owned(),
            Promise {
                code: code_of(code),
                retry,
            },
        )
    };
    values.iter().enumerate().map(promise).collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start)
        .unwrap()
        .1
        .split_once(end)
        .map_or(text, |(found, _)| found)
}

fn code_of(name: &str) -> Code {
    let spelled = |code: &Code| {
        let words = format!("{code:?}");
        let mut text = String::new();
        for letter in words.chars() {
            if letter.is_uppercase() && !text.is_empty() {
                text.push('_');
            }
            text.push(letter.to_ascii_uppercase());
        }
        text == name
    };
    (0..17).map(Code::from_i32).find(spelled).unwrap()
}

/// The cases that reasons have of their own; all others follow from the code.
fn own_case(error: &Error) -> Option<&'static str> {
    match error {
        Error::LinkDisabled(_) => Some("LinkDisabled"),
        Error::NotBound { .. } => Some("NotBound"),
        Error::NeedsReauthorization { .. } => Some("NeedsReauthorization"),
        Error::ScopeMissing { .. } => Some("ScopeMissing"),
        Error::OrganizationNotGranted { .. } => Some("OrganizationNotGranted"),
        Error::Sealed(_) => Some("Sealed"),
        _ => None,
    }
}

fn expected_case(reason: &str) -> Option<&'static str> {
    match reason {
        "LINK_DISABLED" | "HOST_DISABLED" => Some("LinkDisabled"),
        "LINK_NOT_BOUND" => Some("NotBound"),
        "LINK_NEEDS_REAUTHORIZATION" => Some("NeedsReauthorization"),
        "SCOPE_MISSING" => Some("ScopeMissing"),
        "ORGANIZATION_RESTRICTED" | "SSO_REQUIRED" | "APP_NOT_INSTALLED" => {
            Some("OrganizationNotGranted")
        }
        "SEALED" => Some("Sealed"),
        _ => None,
    }
}

fn fits_code(error: &Error, code: Code) -> bool {
    match code {
        Code::NotFound => matches!(error, Error::NotFound(_)),
        Code::AlreadyExists => matches!(error, Error::AlreadyExists(_)),
        Code::Aborted => matches!(error, Error::Conflict(_)),
        Code::InvalidArgument | Code::OutOfRange => matches!(error, Error::InvalidArgument(_)),
        Code::Unauthenticated => matches!(error, Error::Unauthenticated(_)),
        Code::PermissionDenied => matches!(error, Error::PermissionDenied(_)),
        Code::FailedPrecondition => matches!(error, Error::Precondition(_)),
        Code::ResourceExhausted => {
            matches!(error, Error::RateLimited { .. }) || error.reason() == "STORE_LOW_SPACE"
        }
        Code::Unavailable => matches!(error, Error::Unavailable(_)),
        Code::DeadlineExceeded => matches!(error, Error::DeadlineExceeded(_)),
        Code::Unimplemented => matches!(error, Error::Unsupported(_)),
        _ => matches!(error, Error::Other(_)),
    }
}

/// Each reason of the schema, with the code that its comment promises, becomes its case, and keeps reason
/// and message.
#[test]
fn every_reason_has_its_case() {
    let promises = promises();
    assert!(promises.len() > 80);
    for (reason, promise) in promises {
        assert!(ErrorReason::from_str_name(&reason).is_some());
        let status: Status = Refusal::new(promise.code, reason.as_str(), "what to do").into();
        let error = Error::from_status(&status);
        assert_eq!(error.reason(), reason);
        assert_eq!(
            (error.to_string().as_str(), error.code()),
            ("what to do", promise.code)
        );
        let expected = expected_case(&reason);
        assert_eq!(own_case(&error), expected, "{reason}");
        assert!(
            expected.is_some() || fits_code(&error, promise.code),
            "{reason}: {error:?}"
        );
    }
}

/// A read is sent again for exactly those passing reasons of which the schema says so.
#[tokio::test(start_paused = true)]
async fn retries_follow_the_schema() {
    let bindery = FakeBindery::start().await.unwrap();
    let client = bindery.client().await.unwrap();
    for (reason, promise) in promises() {
        if promise.code != Code::Unavailable {
            continue;
        }
        let before = bindery.calls("GetLink").len();
        bindery.fail_next("GetLink", Refusal::new(promise.code, reason.as_str(), "no"));
        let _ = client.get_link("namespaces/a/links/b").await;
        let sent = bindery.calls("GetLink").len() - before;
        assert_eq!(sent == 2, promise.retry, "{reason}");
    }
}

/// A reason that this client does not know is treated like its code, and is kept with its facts.
#[test]
fn an_unknown_reason_is_kept() {
    let refusal = Refusal::new(
        Code::FailedPrecondition,
        "MOON_IS_FULL",
        "wait for the new moon",
    )
    .fact("phase", "full")
    .help("https://moon.example");
    let error = Error::from_status(&refusal.into());
    assert!(matches!(error, Error::Precondition(_)));
    assert_eq!(
        (error.reason(), error.url()),
        ("MOON_IS_FULL", Some("https://moon.example"))
    );
    assert_eq!(error.failure().unwrap().metadata["phase"], "full");
}

/// A reason of another domain is not taken for one of Bindery's.
#[test]
fn a_foreign_domain_has_no_say() {
    use tonic_types::{ErrorDetails, StatusExt as _};
    let details = ErrorDetails::with_error_info(
        "LINK_DISABLED",
        "example.org",
        std::collections::HashMap::new(),
    );
    let status = Status::with_error_details(Code::FailedPrecondition, "no", details);
    let error = Error::from_status(&status);
    assert!(matches!(error, Error::Precondition(_)));
    assert_eq!(error.reason(), "");
}

/// The cases carry what their reasons document: page, cause, scopes, stage, time, fields.
#[test]
fn cases_carry_their_facts() {
    let precondition = |reason: &str| Refusal::new(Code::FailedPrecondition, reason, "no");
    let read = |refusal: Refusal| Error::from_status(&refusal.into());
    let page = "https://forge.example/authorize";
    let dead = precondition("LINK_NEEDS_REAUTHORIZATION")
        .fact("cause", "GRANT_REVOKED")
        .help(page);
    let Error::NeedsReauthorization { url, cause, .. } = read(dead) else {
        panic!()
    };
    assert_eq!(
        (url.as_deref(), cause.as_str()),
        (Some(page), "GRANT_REVOKED")
    );
    let small = precondition("SCOPE_MISSING")
        .fact("missing", "repo, read:org")
        .help(page);
    let Error::ScopeMissing { scopes, url, .. } = read(small) else {
        panic!()
    };
    assert_eq!(
        (scopes, url.as_deref()),
        (vec!["repo".to_owned(), "read:org".to_owned()], Some(page))
    );
    let early = precondition("LINK_NOT_BOUND").fact("stage", "PENDING_CONFIRMATION");
    assert!(
        matches!(read(early), Error::NotBound { stage, .. } if stage == "PENDING_CONFIRMATION")
    );
    let wrong = Refusal::new(Code::InvalidArgument, "INVALID_ARGUMENT", "no")
        .violation("host.provider", "is missing");
    assert_eq!(
        read(wrong).failure().unwrap().violations[0].field,
        "host.provider"
    );
    let slow = Refusal::new(Code::ResourceExhausted, "OVERLOADED", "no");
    let pause = Duration::from_secs(7);
    let slow = read(slow.retry_after(pause));
    assert!(matches!(slow, Error::RateLimited { retry_after: Some(found), .. } if found == pause));
}

/// A token prints nowhere: not itself, not in a credential, not in what asks for it.
#[tokio::test]
async fn tokens_do_not_print() {
    let bindery = FakeBindery::start().await.unwrap();
    bindery.add_host("github.com", "github", "https://github.com");
    bindery.add_namespace("acme");
    let link = bindery.add_bound_link("acme", "github.com", "octo");
    let client = bindery.client().await.unwrap();
    let credential = client
        .read_credential(&CredentialRequest::new(&link))
        .await
        .unwrap();
    let secret = credential.token.expose().to_owned();
    assert!(secret.starts_with("fake-token-"));
    let request =
        bindery_client::LinkRequest::token("namespaces/acme", "hosts/h", &credential.token);
    for printed in [
        format!("{credential:?}"),
        format!("{request:?}"),
        format!("{client:?}"),
    ] {
        assert!(!printed.contains(&secret), "{printed}");
    }
}
