//! After a step back in time: refresh tokens that may have been used since.
//!
//! A provider that sees a used refresh token may revoke the whole family, with the token that is alive today. So each
//! grant that rotates is marked: its access token is used as long as it is good, then the refresh token is tried once.

use std::sync::Arc;

use bindery_core::{
    port::{Change, Expect, Key, Record, VaultError},
    refresh::Intent,
};
use bindery_store::StoreError;

use crate::{error::of_store, kind::Kind};

use super::{Inner, read};

impl Inner {
    /// Marks every grant that rotates. Says how many.
    pub(super) async fn suspect_grants(self: &Arc<Self>) -> Result<usize, VaultError> {
        let mut after: Option<Vec<u8>> = None;
        let mut marked = 0;
        loop {
            let tree = Kind::Link.tree();
            let page = self.store.page(tree, b"", after.as_deref(), STEP).await;
            let page = page.map_err(|error: StoreError| of_store(&error))?;
            let Some((last, _)) = page.last() else {
                return Ok(marked);
            };
            after = Some(last.clone());
            let keys = self.keys()?;
            let mut changes = Vec::new();
            for (key, value) in &page {
                changes.extend(suspect(read::listed(&keys, Kind::Link, key, value)?.record));
            }
            marked += changes.len() / 2;
            Arc::clone(self).commit(changes).await?;
        }
    }
}

/// The journal entry of a link whose grant rotates, and when it is looked at again: not before its access token ends.
fn suspect(record: Record) -> Vec<Change> {
    let Record::Link(mut link) = record else {
        return Vec::new();
    };
    let Some(intent) = Intent::restored(&link) else {
        return Vec::new();
    };
    link.upkeep.next_refresh = link.token_expires;
    let whose = (link.namespace.clone(), link.id.clone());
    let put = |key, record| Change {
        key,
        expect: Expect::Any,
        write: Some(record),
    };
    vec![
        put(
            Key::Intent(whose.0.clone(), whose.1.clone()),
            Record::Intent(intent),
        ),
        put(Key::Link(whose.0, whose.1), Record::Link(link)),
    ]
}

/// Links of one commit, which writes two records each.
const STEP: usize = 200;
