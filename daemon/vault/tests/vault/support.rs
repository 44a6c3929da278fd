//! Vaults, records and raw bytes for the tests.

use std::{path::PathBuf, sync::Arc};

use bindery_core::{
    link::{Grant, Link, Observed, Stage},
    name::{HostName, LinkId, NamespaceName},
    origin::{Origin, OriginSet},
    port::{Change, Expect, Key, Record, Vault, VaultError},
    provider::AuthKind,
    secret::Secret,
    time::Timestamp,
};
use bindery_store::{Batch, Store, Tree};
use bindery_vault::{Init, InitMode, NewSlot, OpenError, SealedVault, Unlock};
use tempfile::TempDir;

/// All trees that hold records, and those of the vault itself.
pub(crate) const TREES: [Tree; 32] = [
    Tree::new("hosts"),
    Tree::new("host-secrets"),
    Tree::new("namespaces"),
    Tree::new("links"),
    Tree::new("grants"),
    Tree::new("flows"),
    Tree::new("intents"),
    Tree::new("receipts"),
    Tree::new("requests"),
    Tree::new("pending-grants"),
    Tree::new("leases"),
    Tree::new("lease-tokens"),
    Tree::new("sources"),
    Tree::new("hooks"),
    Tree::new("hook-secrets"),
    Tree::new("hook-places"),
    Tree::new("known-refs"),
    Tree::new("deliveries"),
    Tree::new("delivery-marks"),
    Tree::new("delivery-head"),
    Tree::new("events"),
    Tree::new("event-heads"),
    Tree::new("consumers"),
    Tree::new("triggers"),
    Tree::new("trigger-secrets"),
    Tree::new("trigger-places"),
    Tree::new("subscriptions"),
    Tree::new("subscription-secrets"),
    Tree::new("outgoing"),
    Tree::new("hook-rotations"),
    Tree::new("manifest"),
    Tree::new("ring"),
];

/// The folder of a vault, and what it is over.
pub(crate) struct Home {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<dyn Store>,
}

impl Home {
    /// Makes a vault for development over `store`.
    pub(crate) async fn new(store: Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slots = vec![NewSlot::CreateKeyFile(folder.path().join("key"))];
        let init = Init::prepare(folder.path(), slots, InitMode::Development).unwrap();
        init.finish(&*store, Timestamp::default()).await.unwrap();
        Self { folder, store }
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    pub(crate) async fn try_open(&self) -> Result<SealedVault, OpenError> {
        let unlock = vec![Unlock::KeyFile(self.key())];
        SealedVault::open(self.folder.path(), Arc::clone(&self.store), unlock).await
    }

    pub(crate) async fn open(&self) -> SealedVault {
        self.try_open().await.unwrap()
    }
}

/// Everything that is stored.
pub(crate) async fn dump(store: &dyn Store) -> Vec<(Tree, Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for tree in TREES {
        let page = store.page(tree, b"", None, 100_000).await.unwrap();
        all.extend(page.into_iter().map(|(key, value)| (tree, key, value)));
    }
    all
}

/// Puts the store back to what it was.
pub(crate) async fn restore(store: &dyn Store, dump: &[(Tree, Vec<u8>, Vec<u8>)]) {
    for (tree, key, _) in self::dump(store).await {
        store.commit(Batch::new().delete(tree, key)).await.unwrap();
    }
    for (tree, key, value) in dump {
        let batch = Batch::new().put(*tree, key.clone(), value.clone());
        store.commit(batch).await.unwrap();
    }
}

pub(crate) async fn put(vault: &SealedVault, key: Key, record: Record) -> Result<(), VaultError> {
    vault
        .commit(vec![change(key, Expect::Any, Some(record))])
        .await
}

pub(crate) const fn change(key: Key, expect: Expect, write: Option<Record>) -> Change {
    Change { key, expect, write }
}

pub(crate) fn put_link(link: &Link) -> Change {
    change(
        link_key(link),
        Expect::Any,
        Some(Record::Link(link.clone())),
    )
}

pub(crate) fn link_key(link: &Link) -> Key {
    Key::Link(link.namespace.clone(), link.id.clone())
}

pub(crate) async fn read_link(
    vault: &SealedVault,
    link: &Link,
) -> Result<Option<(Link, u64)>, VaultError> {
    let entry = vault.get(&link_key(link)).await?;
    Ok(entry.map(|entry| match entry.record {
        Record::Link(link) => (link, entry.version),
        other => panic!("a link was asked for: {other:?}"),
    }))
}

pub(crate) fn link(namespace_name: &str, id: &str) -> Link {
    let (id, host) = (
        LinkId::parse(id).unwrap(),
        HostName::parse("forge").unwrap(),
    );
    let now = Timestamp::default();
    Link {
        display_name: format!("display of {id}"),
        token_kind: "oauth".to_owned(),
        observed: Observed::new(Stage::Bound, "", now),
        created_by: "tester".to_owned(),
        ..Link::new(
            namespace(namespace_name),
            id,
            host,
            AuthKind::OAuthCode,
            now,
        )
    }
}

pub(crate) fn grant(token: &str) -> Record {
    Record::Grant(Grant {
        access_token: Secret::new(token.to_owned()),
        refresh_token: Some(Secret::new(format!("refresh-{token}"))),
        expires: None,
        obtained: Timestamp::default(),
        generation: 1,
    })
}

pub(crate) fn grant_key(namespace_name: &str, id: &str, origin: &str) -> Key {
    Key::Grant(
        namespace(namespace_name),
        LinkId::parse(id).unwrap(),
        HostName::parse("forge").unwrap(),
        OriginSet::new(vec![Origin::parse(origin).unwrap()]),
    )
}

pub(crate) fn namespace(name: &str) -> NamespaceName {
    NamespaceName::parse(name).unwrap()
}

pub(crate) fn text(text: &str) -> Secret {
    Secret::new(text.to_owned())
}
