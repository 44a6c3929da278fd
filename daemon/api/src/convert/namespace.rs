//! Namespaces.

use bindery_core::{
    name::NamespaceName,
    namespace::{Namespace, NamespaceKind},
};
use bindery_engine::{Versioned, namespaces::NewNamespace};
use bindery_proto::v1::{self as wire, namespace::Kind};

use super::common::time;
use crate::{fields::Fields, status::Failure};

/// `links` is how many links it holds.
pub(crate) fn namespace(entry: Versioned<Namespace>, links: usize) -> wire::Namespace {
    let record = entry.record;
    let (kind, instance_type, region) = match record.kind {
        NamespaceKind::User => (Kind::User, String::new(), String::new()),
        NamespaceKind::Organization => (Kind::Organization, String::new(), String::new()),
        NamespaceKind::Instance {
            instance_type,
            region,
        } => (Kind::Instance, instance_type, region),
    };
    wire::Namespace {
        name: format!("namespaces/{}", record.name),
        kind: kind.into(),
        display_name: record.display_name,
        instance_type,
        region,
        require_service_account: record.require_service_account,
        labels: record.labels,
        annotations: record.annotations,
        update_time: Some(time(record.updated)),
        link_count: i32::try_from(links).unwrap_or(i32::MAX),
        create_time: Some(time(record.created)),
        etag: entry.version.to_string(),
    }
}

/// Checks a new namespace, all fields at once.
pub(crate) fn new_namespace(
    id: &str,
    wire: Option<wire::Namespace>,
) -> Result<NewNamespace, Failure> {
    let mut fields = Fields::default();
    let wire = wire.unwrap_or_default();
    let name = fields.take("namespace_id", NamespaceName::parse(id));
    fields.text("namespace.display_name", &wire.display_name, 200);
    fields.text("namespace.instance_type", &wire.instance_type, 63);
    fields.text("namespace.region", &wire.region, 63);
    pairs(&mut fields, &wire);
    let plain = wire.instance_type.is_empty() && wire.region.is_empty();
    let kind = match wire.kind() {
        Kind::User => Some(NamespaceKind::User),
        Kind::Organization => Some(NamespaceKind::Organization),
        Kind::Instance => Some(NamespaceKind::Instance {
            instance_type: wire.instance_type,
            region: wire.region,
        }),
        Kind::Unspecified => None,
    };
    fields.check(
        kind.is_some(),
        "namespace.kind",
        "is missing; name USER, ORGANIZATION or INSTANCE",
    );
    let instance = matches!(kind, Some(NamespaceKind::Instance { .. }));
    let why = "has a type or region, which only an INSTANCE has; leave them out";
    fields.check(plain || instance, "namespace.kind", why);
    fields.finish()?;
    match (name, kind) {
        (Some(name), Some(kind)) => Ok(NewNamespace {
            name,
            kind,
            display_name: wire.display_name,
            require_service_account: wire.require_service_account,
            labels: wire.labels,
            annotations: wire.annotations,
        }),
        // The fields are in order, so both are there.
        _ => Err(crate::fields::wrong("namespace", "is incomplete")),
    }
}

/// Checks the key-value pairs of a namespace.
pub(crate) fn pairs(fields: &mut Fields, wire: &wire::Namespace) {
    fields.labels("namespace.labels", &wire.labels);
    fields.annotations("namespace.annotations", &wire.annotations);
}

#[cfg(test)]
mod tests {
    use bindery_core::time::Timestamp;

    use super::*;

    /// A namespace comes back as it was made, and a mangled one is refused with every wrong field.
    #[test]
    fn namespaces_round_trip() {
        let given = wire::Namespace {
            kind: Kind::Instance.into(),
            display_name: "Registry".into(),
            instance_type: "enterprise".into(),
            region: "eu".into(),
            require_service_account: true,
            labels: [("team".to_owned(), "web".to_owned())].into(),
            annotations: [("note".to_owned(), "x".to_owned())].into(),
            ..wire::Namespace::default()
        };
        let new = new_namespace("acme", Some(given.clone())).expect("namespace");
        let record = Namespace {
            display_name: new.display_name,
            require_service_account: new.require_service_account,
            labels: new.labels,
            annotations: new.annotations,
            ..Namespace::new(new.name, new.kind, Timestamp::default())
        };
        let back = namespace(Versioned { record, version: 3 }, 2);
        assert_eq!(
            (back.kind, &back.instance_type, &back.region),
            (given.kind, &given.instance_type, &given.region)
        );
        assert!(back.require_service_account);
        assert_eq!(
            (back.labels, back.annotations),
            (given.labels, given.annotations)
        );
        assert_eq!(
            (back.name.as_str(), back.etag.as_str(), back.link_count),
            ("namespaces/acme", "3", 2)
        );
        let mangled = wire::Namespace {
            kind: 77,
            display_name: "x".repeat(201),
            region: "\u{7}".into(),
            labels: [(String::new(), "b".to_owned())].into(),
            ..wire::Namespace::default()
        };
        let failure = new_namespace("ROOT", Some(mangled)).expect_err("mangled");
        for field in [
            "namespace_id",
            "namespace.display_name",
            "namespace.region",
            "namespace.labels",
            "namespace.kind",
        ] {
            assert!(failure.violations().contains(&field), "{field}");
        }
        assert!(new_namespace("acme", None).is_err());
    }
}
