use bindery_core::problem::Reason;
use prost::Message;
use prost_types::FileDescriptorSet;

use super::*;

/// The comment of every value of `ErrorReason` in the published schema.
fn documented() -> Vec<(ErrorReason, String)> {
    let set = FileDescriptorSet::decode(bindery_proto::FILE_DESCRIPTOR_SET).expect("descriptor");
    let file = set
        .file
        .iter()
        .find(|file| file.name().ends_with("v1/errors.proto"))
        .expect("errors.proto");
    let values = &file.enum_type[0].value;
    let locations = &file.source_code_info.as_ref().expect("comments").location;
    // Path of value N of the first enum: field 5 of the file, 0, field 2 of the enum, N.
    let comment = |index: usize| {
        let path = [5, 0, 2, i32::try_from(index).expect("few")];
        let found = locations.iter().find(|location| location.path == path);
        found
            .expect("comment")
            .leading_comments()
            .replace('\n', " ")
    };
    let reason = |name: &str| ErrorReason::from_str_name(name).expect("value");
    values
        .iter()
        .enumerate()
        .map(|(index, value)| (reason(value.name()), comment(index)))
        .collect()
}

fn spelled(code: Code) -> String {
    let mut text = String::new();
    for (index, c) in format!("{code:?}").char_indices() {
        if c.is_ascii_uppercase() && index > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
    }
    text
}

/// Every reason comes with the code that the schema promises.
#[test]
fn codes_are_the_documented_ones() {
    let documented = documented();
    assert!(documented.len() > 80);
    for (reason, comment) in documented {
        let promise = format!("Code: `{}`", spelled(code(reason)));
        assert!(
            comment.contains(&promise),
            "{reason:?}: {promise}, but: {comment}"
        );
    }
}

/// Every reason of the domain has the same name on the wire.
#[test]
fn domain_reasons_are_published() {
    for reason in Reason::ALL {
        let wire = ErrorReason::from_str_name(reason.as_str());
        assert!(wire.is_some(), "{} is not in ErrorReason", reason.as_str());
    }
}

/// Details survive the way over the wire: reason, field, retry, help, resource.
#[test]
fn details_round_trip() {
    let problem = Problem::new(Reason::ScopeMissing, "the token lacks repo")
        .act(Who::User, "https://forge.example/settings")
        .retry(Some(Duration::from_secs(7)))
        .with("missing_scope", "repo")
        .with("missing_scope", "hook");
    let status = Failure::from(problem).into_status("id");
    assert_eq!(status.code(), Code::FailedPrecondition);
    let details = status.get_error_details();
    let info = details.error_info().expect("info");
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("SCOPE_MISSING", "bindery")
    );
    assert_eq!(info.metadata["missing"], "repo,hook");
    assert_eq!(info.metadata["who_must_act"], "USER");
    assert_eq!(
        details.help().expect("help").links[0].url,
        "https://forge.example/settings"
    );
    assert_eq!(
        details.retry_info().expect("retry").retry_delay,
        Some(Duration::from_secs(7))
    );
    let status = Failure::from(Problem::not_found("namespaces/a/links/b")).into_status("id");
    let details = status.get_error_details();
    assert_eq!(
        details.resource_info().expect("resource").resource_type,
        "bindery/Link"
    );
    let status = Failure::from(Problem::invalid("host_id", "is empty")).into_status("id");
    let details = status.get_error_details();
    assert_eq!(
        details.bad_request().expect("fields").field_violations[0].field,
        "host_id"
    );
}

/// A defect names its request, and nothing else does.
#[test]
fn defects_name_the_request() {
    let status = Failure::new(ErrorReason::Internal, "x").into_status("abc");
    assert_eq!(
        status
            .get_error_details()
            .error_info()
            .expect("info")
            .metadata["request_id"],
        "abc"
    );
    let status = Failure::new(ErrorReason::Sealed, "x").into_status("abc");
    assert!(
        status
            .get_error_details()
            .error_info()
            .expect("info")
            .metadata
            .is_empty()
    );
}

/// A long message is cut between characters.
#[test]
fn messages_are_short() {
    let status = Failure::new(ErrorReason::Sealed, "é".repeat(2000)).into_status("");
    assert!(status.message().len() <= LONGEST);
}
