//! What of a change is new against the refs that events told of.
//!
//! Deliveries come twice, late, out of order, or not at all; comparing refs finds what they left out. Whatever the way, each
//! change is to become an event once. So each is held against [`KnownRefs`], and noted there in the same commit.

use std::collections::BTreeMap;

use crate::{
    hook::{KnownRef, KnownRefs},
    provider::{Happening, Push, RefDeleted, RepositoryChanged, TagCreated},
};

/// What a change is against what is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It is new, and the ref moves with it.
    New,
    /// It is new, but does not follow what is known: something between was missed, or comes late. Refs are to be compared.
    Gap,
    /// Nothing told of it yet, but the ref is further already: it is told of, and the ref stays.
    Late,
    /// It was told of before.
    Known,
}

impl Admission {
    /// Whether it becomes an event.
    #[must_use]
    pub const fn is_told(self) -> bool {
        !matches!(self, Self::Known)
    }

    /// Whether refs are to be compared.
    #[must_use]
    pub const fn wants_comparison(self) -> bool {
        matches!(self, Self::Gap | Self::Late)
    }
}

/// A happening with the commit where a tag, or a ref that is gone, was before, where only what is known says it: of a tag
/// providers tell its object at best, and some tell nothing of what was deleted. To be asked before [`admit`] notes the change.
#[must_use]
pub fn with_before(known: &KnownRefs, mut happening: Happening) -> Happening {
    let (reference, before, after) = match &mut happening {
        Happening::TagCreated(tag) => (&tag.reference, &mut tag.before, tag.commit.as_str()),
        Happening::RefDeleted(deleted) => (&deleted.reference, &mut deleted.before, ""),
        Happening::Push(_) | Happening::RepositoryChanged(_) => return happening,
    };
    let at = known.refs.get(reference);
    if let Some(at) = at.filter(|at| before.is_empty() && at.commit != after) {
        before.clone_from(&at.commit);
    }
    happening
}

/// Holds a happening against what is known, and notes it there.
pub fn admit(known: &mut KnownRefs, happening: &Happening) -> Admission {
    match happening {
        Happening::Push(push) => admit_push(known, push),
        Happening::TagCreated(tag) => admit_tag(known, tag),
        Happening::RefDeleted(deleted) => admit_deletion(known, deleted),
        Happening::RepositoryChanged(change) => admit_change(known, change),
    }
}

/// A repository does not change twice in the same way without another change between: the second is told by another hook.
fn admit_change(known: &mut KnownRefs, change: &RepositoryChanged) -> Admission {
    if known.changed.as_ref() == Some(change) {
        return Admission::Known;
    }
    known.changed = Some(change.clone());
    Admission::New
}

fn admit_push(known: &mut KnownRefs, push: &Push) -> Admission {
    let Some(at) = known.refs.get_mut(&push.reference) else {
        let gap = known.complete && !push.before.is_empty();
        put(known, &push.reference, &push.after, "");
        return if gap { Admission::Gap } else { Admission::New };
    };
    if at.commit == push.after || forget_found(at, &push.after) {
        return Admission::Known;
    }
    if push.before.is_empty() || push.before == at.commit {
        // A branch that was deleted is there again; or, out of order, is not any more.
        let again = at.commit.is_empty();
        put(known, &push.reference, &push.after, "");
        return if again {
            Admission::Gap
        } else {
            Admission::New
        };
    }
    // On the way to where the ref is already: its end, or its start, is what that step began with.
    if !at.before.is_empty() && (at.before == push.after || at.before == push.before) {
        at.before = further(at, push);
        return Admission::Late;
    }
    put(known, &push.reference, &push.after, &push.before);
    Admission::Gap
}

/// Whether comparing refs told of a commit that a delivery tells of now.
fn forget_found(at: &mut KnownRef, commit: &str) -> bool {
    let place = at.found.iter().position(|found| found == commit);
    place.map(|place| at.found.remove(place)).is_some()
}

/// Where what is still missing begins or ends, after a late push is told of.
fn further(at: &KnownRef, push: &Push) -> String {
    if at.before == push.after {
        push.before.clone()
    } else {
        push.after.clone()
    }
}

fn admit_tag(known: &mut KnownRefs, tag: &TagCreated) -> Admission {
    let before = known.refs.get(&tag.reference);
    if before.is_some_and(|at| !at.commit.is_empty() && at.commit == tag.commit) {
        return Admission::Known;
    }
    let again = before.is_some_and(|at| at.commit.is_empty());
    put(known, &tag.reference, &tag.commit, "");
    if again {
        Admission::Gap
    } else {
        Admission::New
    }
}

fn admit_deletion(known: &mut KnownRefs, deleted: &RefDeleted) -> Admission {
    let gone = match known.refs.get(&deleted.reference) {
        Some(at) => at.commit.is_empty(),
        None => known.complete,
    };
    if gone {
        return Admission::Known;
    }
    let last = known
        .refs
        .get(&deleted.reference)
        .map(|at| at.commit.clone());
    let last = last.unwrap_or_else(|| deleted.before.clone());
    // Providers tell the tag object of an annotated tag: only the end of a branch says something.
    let branch = deleted.reference.starts_with("refs/heads/") && !deleted.before.is_empty();
    let other = branch && last != deleted.before;
    put(known, &deleted.reference, "", &last);
    if other {
        Admission::Gap
    } else {
        Admission::New
    }
}

/// Notes where a ref is now. One without a commit is deleted: it is kept until refs are compared, so that what comes late
/// does not bring it back unnoticed.
fn put(known: &mut KnownRefs, reference: &str, commit: &str, before: &str) {
    let at = known.refs.entry(reference.to_owned()).or_default();
    commit.clone_into(&mut at.commit);
    before.clone_into(&mut at.before);
}

/// The refs as the provider has them: full name to commit, tags peeled.
pub type Refs = BTreeMap<String, String>;

/// What changed without a delivery: where refs are other than known. Notes it as told of. Before all refs were seen once only
/// that they were seen is noted, for nobody knows since when they are there.
pub fn compare(known: &mut KnownRefs, now: &Refs) -> Vec<Happening> {
    let first = !known.complete;
    let mut changes = Vec::new();
    let before = std::mem::take(&mut known.refs);
    for (reference, commit) in now {
        let at = before.get(reference);
        let was = at.map_or("", |at| at.commit.as_str());
        let missed = was != commit && !(first && at.is_none());
        changes.extend(missed.then(|| moved(reference, was, commit)));
        let start = match at {
            Some(at) if was == commit => at.before.clone(),
            // What comes late then begins where the ref was before.
            _ => was.to_owned(),
        };
        let mut found = at.map(|at| at.found.clone()).unwrap_or_default();
        if missed {
            note_found(&mut found, commit);
        }
        put(known, reference, commit, &start);
        if let Some(at) = known.refs.get_mut(reference) {
            at.found = found;
        }
    }
    let gone = before
        .into_iter()
        .filter(|(reference, at)| !at.commit.is_empty() && !now.contains_key(reference));
    changes.extend(gone.map(|(reference, at)| deleted(reference, at.commit)));
    known.complete = true;
    changes
}

fn note_found(found: &mut Vec<String>, commit: &str) {
    if found.len() >= KnownRef::MOST_FOUND {
        found.remove(0);
    }
    found.push(commit.to_owned());
}

fn moved(reference: &str, before: &str, commit: &str) -> Happening {
    let (reference, before) = (reference.to_owned(), before.to_owned());
    let commit = commit.to_owned();
    if reference.starts_with("refs/tags/") {
        return Happening::TagCreated(TagCreated {
            reference,
            commit,
            before,
            ..TagCreated::default()
        });
    }
    Happening::Push(Push {
        reference,
        before,
        after: commit,
        ..Push::default()
    })
}

fn deleted(reference: String, before: String) -> Happening {
    Happening::RefDeleted(RefDeleted { reference, before })
}

/// Whether the provider says the same as a delivery whose body no signature covers.
#[must_use]
pub fn confirms(now: &Refs, happening: &Happening) -> bool {
    let is_at = |reference: &String, commit: &String| now.get(reference) == Some(commit);
    match happening {
        Happening::Push(push) => is_at(&push.reference, &push.after),
        Happening::TagCreated(tag) => is_at(&tag.reference, &tag.commit),
        Happening::RefDeleted(deleted) => !now.contains_key(&deleted.reference),
        Happening::RepositoryChanged(_) => false,
    }
}

#[cfg(test)]
mod tests;
