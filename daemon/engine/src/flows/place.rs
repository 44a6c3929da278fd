//! Where a link is bound: what the person saw of the namespace, and another one that they chose.

use bindery_core::{
    flow::Flow,
    link::{Grant, Link},
    name::NamespaceName,
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

/// A namespace that the person may choose.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// What is shown of it for the person to confirm, and must come back as it was.
    pub place: Place,
    /// Name for people; may be empty.
    pub display_name: String,
}

impl Shown<'_> {
    /// The namespace that a browser chose: that of the flow, or one that whoever started it offered.
    pub(super) fn choice(&self, flow: &Flow) -> Result<Option<NamespaceName>, Problem> {
        let said = self.namespace;
        if said.is_empty() || said == format!("namespaces/{}", flow.namespace) {
            return Ok(None);
        }
        let mut offered = flow.offered.iter();
        let found = offered.find(|name| format!("namespaces/{name}") == said);
        found.cloned().map(Some).ok_or_else(|| {
            let message = "is none of those that were offered; look at the page again";
            Problem::invalid("namespace", message)
        })
    }

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
    /// What the person may choose from, that of the flow first; nothing where there is no choice. One that is gone by now is
    /// left out.
    pub(super) async fn choices(&self, flow: &Flow) -> Result<Vec<Choice>, Problem> {
        let mut all: Vec<Choice> = Vec::new();
        for name in std::iter::once(&flow.namespace).chain(&flow.offered) {
            let Some(found) = self.find_namespace(name).await? else {
                continue;
            };
            let place = Place::of(&found.record);
            if all.iter().all(|known| known.place != place) {
                all.push(Choice {
                    place,
                    display_name: found.record.display_name,
                });
            }
        }
        if all.len() < 2 {
            all.clear();
        }
        Ok(all)
    }

    /// Binds a pending link in another namespace than the one that it was started in: same id, new name, one transaction.
    pub(super) async fn put_moved(
        &self,
        stand: &Stand,
        link: Link,
        grant: Versioned<Grant>,
        mut changes: Vec<Change>,
    ) -> Result<Versioned<Link>, Problem> {
        let (old, at) = (&stand.link.record, origins(&stand.host)?);
        let key = |namespace: &NamespaceName| {
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
