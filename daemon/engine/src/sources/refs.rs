//! The refs of a repository when it is connected: what was there before is no change.

use bindery_core::{
    hook::{KnownRef, KnownRefs},
    provider::{Ref, RefKind},
};

use super::NewSource;
use crate::{Engine, repositories::Paging};

/// Pages of refs that are read at most.
const PAGES: usize = 200;

/// Refs of one page.
const PAGE: u32 = 100;

impl Engine {
    /// All refs as they are now. What can't be read is not complete, and is filled in by the first comparison.
    pub(super) async fn first_refs(&self, new: &NewSource, repository: &str) -> KnownRefs {
        let (mut known, mut paging) = (
            KnownRefs::default(),
            Paging {
                cursor: String::new(),
                size: PAGE,
            },
        );
        let name = format!("id:{repository}");
        for _ in 0..PAGES {
            let listed = self
                .list_refs(&new.namespace, &new.link, &name, None, paging)
                .await;
            let Ok(page) = listed else {
                return KnownRefs::default();
            };
            known.refs.extend(page.items.into_iter().map(named));
            if page.next_cursor.is_empty() {
                known.complete = true;
                break;
            }
            paging = Paging {
                cursor: page.next_cursor,
                size: PAGE,
            };
        }
        known
    }
}

fn named(seen: Ref) -> (String, KnownRef) {
    let folder = match seen.kind {
        RefKind::Branch => "refs/heads",
        RefKind::Tag => "refs/tags",
    };
    let known = KnownRef {
        commit: seen.commit,
        ..KnownRef::default()
    };
    (format!("{folder}/{}", seen.name), known)
}
