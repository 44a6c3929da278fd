use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;

use super::*;

/// Full names of all calls in the published schema.
fn published() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(bindery_proto::FILE_DESCRIPTOR_SET).expect("descriptor");
    let services = set
        .file
        .iter()
        .filter(|file| file.package() == "bindery.v1");
    services
        .flat_map(|file| &file.service)
        .flat_map(|service| {
            let path = |method: &prost_types::MethodDescriptorProto| {
                format!("/bindery.v1.{}/{}", service.name(), method.name())
            };
            service.method.iter().map(path).collect::<Vec<_>>()
        })
        .collect()
}

/// G1: every call of the schema has exactly one row, and no row is left over.
#[test]
fn g1_every_call_has_a_row() {
    let rows = SERVED.iter().map(|row| row.method.to_owned());
    let rows: Vec<String> = rows.collect();
    let unique: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!(unique.len(), rows.len(), "a call has two rows");
    assert_eq!(unique, published());
}

/// G2: a name that plays tricks has no namespace, so no rule can match it.
#[test]
fn g2_odd_names_have_no_namespace() {
    for odd in [
        "",
        "acme",
        "namespaces/",
        "namespaces//links/x",
        "namespaces/ACME",
        "namespaces/a..b/links/l",
        "/namespaces/acme",
        "namespaces/acme%2f/links/l",
        "namespaces/-",
        "namespaces/*/links/l",
    ] {
        assert!(namespace_of(odd).is_err(), "{odd}");
    }
    assert_eq!(
        namespace_of("namespaces/acme/links/l").expect("name"),
        "acme"
    );
    assert_eq!(namespace_of("namespaces/acme").expect("name"), "acme");
}

/// A call may ask to be checked only exactly where its request says so: nothing else is left out of the audit log.
#[test]
fn checkable_calls_say_so() {
    let set = FileDescriptorSet::decode(bindery_proto::FILE_DESCRIPTOR_SET);
    let set = set.expect("schema");
    let messages = set.file.iter().flat_map(|file| &file.message_type);
    let asks = |message: &prost_types::DescriptorProto| {
        let mut fields = message.field.iter();
        fields.any(|field| field.name() == "validate_only")
    };
    let asking: Vec<_> = messages
        .filter(|message| asks(message))
        .map(|message| message.name().trim_end_matches("Request").to_owned())
        .collect();
    for row in served() {
        let method = row.method.rsplit('/').next().unwrap_or_default();
        let known = asking.iter().any(|name| name == method);
        assert_eq!(row.checkable, known, "{method}");
    }
}
