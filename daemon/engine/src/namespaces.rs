//! Namespaces: users, organizations, registry instances.

mod delete;

use std::collections::BTreeMap;

use bindery_core::{
    name::NamespaceName,
    namespace::{Namespace, NamespaceKind},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason},
};

use crate::{
    Engine, Listed, RequestKey, Versioned,
    records::{as_link, change},
};

/// What a new namespace is.
#[derive(Clone, Debug)]
pub struct NewNamespace {
    /// Its name.
    pub name: NamespaceName,
    /// What it is.
    pub kind: NamespaceKind,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Its links must belong to service accounts.
    pub require_service_account: bool,
    /// Key-value pairs for selection.
    pub labels: BTreeMap<String, String>,
    /// Key-value pairs for other programs.
    pub annotations: BTreeMap<String, String>,
}

impl NewNamespace {
    /// One without anything that may be left out.
    #[must_use]
    pub const fn new(name: NamespaceName, kind: NamespaceKind) -> Self {
        Self {
            name,
            kind,
            display_name: String::new(),
            require_service_account: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }
}

/// What is to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct NamespaceChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// Links must belong to service accounts. Links that are bound already stay.
    pub require_service_account: Option<bool>,
    /// Key-value pairs for selection, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// Key-value pairs for other programs, all of them.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Everything is checked, and nothing is changed.
    pub validate_only: bool,
}

impl NamespaceChange {
    fn put_into(self, namespace: &mut Namespace) {
        fn put<T>(new: Option<T>, place: &mut T) {
            if let Some(new) = new {
                *place = new;
            }
        }
        put(self.display_name, &mut namespace.display_name);
        put(
            self.require_service_account,
            &mut namespace.require_service_account,
        );
        put(self.labels, &mut namespace.labels);
        put(self.annotations, &mut namespace.annotations);
    }
}

impl Engine {
    /// Makes a namespace. The name of one that ever had links is never used again.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS`, also for such a name, and what the vault says.
    pub async fn create_namespace(
        &self,
        new: NewNamespace,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Namespace>, Problem> {
        if self.recall(request).await?.is_some() {
            return self.namespace(&new.name).await;
        }
        let (name, created) = (new.name, self.now());
        let record = Namespace {
            display_name: new.display_name,
            require_service_account: new.require_service_account,
            labels: new.labels,
            annotations: new.annotations,
            ..Namespace::new(name.clone(), new.kind, created)
        };
        match self.insert_namespace(record.clone(), request).await {
            // The same request, asked twice at the same time: the other one was faster.
            Err(_) if self.recall(request).await?.is_some() => self.namespace(&name).await,
            Err(problem) => Err(taken(problem, &format!("namespaces/{name}"))),
            Ok(()) => Ok(Versioned { record, version: 1 }),
        }
    }

    async fn insert_namespace(
        &self,
        record: Namespace,
        request: Option<&RequestKey>,
    ) -> Result<(), Problem> {
        let name = record.name.clone();
        // None is deleted between the look and the write.
        let _stays = self.gates().ground.read().await;
        self.never_left(&name).await?;
        let remember = self
            .remember(request, &format!("namespaces/{name}"))
            .await?;
        let put = Some(Record::Namespace(record));
        let mut changes = vec![change(Key::Namespace(name), Expect::Absent, put)];
        changes.extend(remember);
        self.commit(changes).await
    }

    /// Links stay as records, and so do their receipts. Under a new namespace of the same name they would show to people
    /// whom they don't concern, and keep their ids from being used.
    async fn never_left(&self, name: &NamespaceName) -> Result<(), Problem> {
        let links = Listing::Links(name.clone());
        let used = !self.list(&links, None, 1, as_link).await?.items.is_empty();
        if !used || self.find_namespace(name).await?.is_some() {
            return Ok(());
        }
        let resource = format!("namespaces/{name}");
        let message = format!(
            "{resource} was deleted, and the records of its links are kept; choose another name"
        );
        Err(Problem::new(Reason::AlreadyExists, message).with("resource", resource))
    }

    /// A namespace.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn namespace(&self, name: &NamespaceName) -> Result<Versioned<Namespace>, Problem> {
        let found = self.find_namespace(name).await?;
        found.ok_or_else(|| Problem::not_found(format!("namespaces/{name}")))
    }

    /// Namespaces in a stable order.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn list_namespaces(
        &self,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Listed<Namespace>, Problem> {
        self.list(&Listing::Namespaces, after, limit, as_namespace)
            .await
    }

    /// Changes what people say about a namespace.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH` when it is not at `expect` any more, and what the vault says.
    pub async fn update_namespace(
        &self,
        name: &NamespaceName,
        wanted: NamespaceChange,
        expect: Option<u64>,
    ) -> Result<Versioned<Namespace>, Problem> {
        let Versioned {
            mut record,
            version,
        } = self.namespace(name).await?;
        check_etag(expect, version)?;
        let (before, only_check) = (record.clone(), wanted.validate_only);
        wanted.put_into(&mut record);
        if only_check || record == before {
            return Ok(Versioned { record, version });
        }
        record.updated = self.now();
        let write = Some(Record::Namespace(record.clone()));
        self.commit(vec![change(
            Key::Namespace(name.clone()),
            Expect::Version(version),
            write,
        )])
        .await?;
        Ok(Versioned {
            record,
            version: version + 1,
        })
    }
}

fn as_namespace(record: Record) -> Option<Namespace> {
    if let Record::Namespace(namespace) = record {
        Some(namespace)
    } else {
        None
    }
}

/// Names a conflict on a new record what it is.
pub(crate) fn taken(problem: Problem, resource: &str) -> Problem {
    match problem.reason {
        Reason::StoreConflict => Problem::new(
            Reason::AlreadyExists,
            format!("{resource} exists already; choose another name"),
        )
        .with("resource", resource),
        _ => problem,
    }
}

/// Refuses a change of a record that is not at the version that the caller saw.
pub(crate) fn check_etag(expect: Option<u64>, version: u64) -> Result<(), Problem> {
    if expect.is_none_or(|expect| expect == version) {
        return Ok(());
    }
    Err(Problem::new(
        Reason::EtagMismatch,
        "it was changed meanwhile; read it again and repeat the change",
    ))
}
