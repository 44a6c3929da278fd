//! [`Namespace`].

use bindery_core::{
    name::NamespaceName,
    namespace::{Namespace, NamespaceKind},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, name};

impl Stored for Namespace {
    type Message = disk::Namespace;

    fn write(&self) -> disk::Namespace {
        let (kind, instance_type, region) = match &self.kind {
            NamespaceKind::User => (disk::NamespaceKind::User, "", ""),
            NamespaceKind::Organization => (disk::NamespaceKind::Organization, "", ""),
            NamespaceKind::Instance {
                instance_type,
                region,
            } => (
                disk::NamespaceKind::Instance,
                instance_type.as_str(),
                region.as_str(),
            ),
        };
        disk::Namespace {
            name: self.name.to_string(),
            kind: kind.into(),
            instance_type: instance_type.to_owned(),
            region: region.to_owned(),
            display_name: self.display_name.clone(),
            created_ms: self.created.unix_ms(),
            require_service_account: self.require_service_account,
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            updated_ms: self.updated.unix_ms(),
        }
    }

    fn read(message: disk::Namespace) -> Result<Self, Unreadable> {
        let kind = match message.kind() {
            disk::NamespaceKind::User => NamespaceKind::User,
            disk::NamespaceKind::Organization => NamespaceKind::Organization,
            disk::NamespaceKind::Instance => NamespaceKind::Instance {
                instance_type: message.instance_type,
                region: message.region,
            },
            disk::NamespaceKind::Unspecified => return Err(Unreadable("namespace kind")),
        };
        Ok(Self {
            name: name(NamespaceName::parse, &message.name, "namespace name")?,
            kind,
            display_name: message.display_name,
            require_service_account: message.require_service_account,
            labels: message.labels,
            annotations: message.annotations,
            created: Timestamp::from_unix_ms(message.created_ms),
            updated: Timestamp::from_unix_ms(message.updated_ms),
        })
    }
}
