//! Where a link is bound: what the person saw of the namespace, and another one that they chose.

use bindery_core::{
    link::{Grant, Link},
    namespace::{Namespace, NamespaceKind},
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
};

use super::Stand;
use crate::{
    Engine, Versioned,
    namespaces::taken,
    records::{change, origins},
};

/// What a confirm page shows of a namespace, in the registry's words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place {
    /// Resource name.
    pub namespace: String,
    /// Type of the instance; empty for other kinds.
    pub instance_type: String,
    /// Region of the instance; empty for other kinds.
    pub region: String,
}

/// What comes back of it; empty parts were not said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// Resource name.
    pub namespace: &'a str,
    /// Type of the instance.
    pub instance_type: &'a str,
    /// Region of the instance.
    pub region: &'a str,
}

impl Place {
    /// Of a namespace.
    #[must_use]
    pub fn of(namespace: &Namespace) -> Self {
        let (instance_type, region) = match &namespace.kind {
            NamespaceKind::Instance {
                instance_type,
                region,
            } => (instance_type.clone(), region.clone()),
            NamespaceKind::User | NamespaceKind::Organization => Default::default(),
        };
        Self {
            namespace: format!("namespaces/{}", namespace.name),
            instance_type,
            region,
        }
    }
}

impl Shown<'_> {
    /// Refuses what was shown of another namespace, instance type or region than this one has.
    pub(super) fn check(&self, namespace: &Namespace) -> Result<(), Problem> {
        let has = Place::of(namespace);
        for (field, said, is) in [
            ("namespace", self.namespace, has.namespace),
            ("instance_type", self.instance_type, has.instance_type),
            ("region", self.region, has.region),
        ] {
            if !said.is_empty() && said != is {
                let message = format!("{field} is not that of the namespace; look at it again");
                return Err(Problem::invalid(field, message));
            }
        }
        Ok(())
    }
}

impl Engine {
    /// Binds a pending link in another namespace than the one that it was started in: same id, new name, one transaction.
    pub(super) async fn put_moved(
        &self,
        stand: &Stand,
        link: Link,
        grant: Versioned<Grant>,
        mut changes: Vec<Change>,
    ) -> Result<Versioned<Link>, Problem> {
        let (old, at) = (&stand.link.record, origins(&stand.host)?);
        let key = |namespace: &bindery_core::name::NamespaceName| {
            let (namespace, host) = (namespace.clone(), stand.host.name.clone());
            Key::Grant(namespace, link.id.clone(), host, at.clone())
        };
        let (from, to) = (key(&old.namespace), key(&link.namespace));
        let record = Record::Grant(grant.record);
        changes.extend([
            change(from, Expect::Version(grant.version), None),
            change(to, Expect::Absent, Some(record)),
            change(
                Key::Link(old.namespace.clone(), old.id.clone()),
                Expect::Version(stand.link.version),
                None,
            ),
        ]);
        changes.extend(self.lead_to(&old.resource(), &link.resource()).await?);
        self.free(&link).await?;
        self.put_link(link.clone(), Expect::Absent, changes).await?;
        self.announce(&old.namespace, &old.id);
        Ok(Versioned {
            record: link,
            version: 1,
        })
    }

    /// A link of the same id can be in the other namespace only if a caller chose that id there.
    async fn free(&self, link: &Link) -> Result<(), Problem> {
        match self.find_link(&link.namespace, &link.id).await? {
            None => Ok(()),
            Some(_) => {
                let problem = Problem::new(Reason::StoreConflict, "taken");
                Err(taken(problem, &link.resource()))
            }
        }
    }
}
