//! The little that both editions need

use bindery_plugin_sdk::{Failure, Result, Secret, v1};

/// The link's token.
pub(crate) const TOKEN: Secret = Secret("access_token");

/// Redirects that are followed for one question: a repository may have been renamed and moved.
pub(crate) const MOST_REDIRECTS: usize = 3;

/// Items on a page where the caller does not say.
const PAGE_SIZE: u32 = 100;

/// The size to ask for. Both editions give at least this many.
pub(crate) fn page_size(asked: u32) -> u32 {
    match asked {
        0 => PAGE_SIZE,
        some => some.min(PAGE_SIZE),
    }
}

/// Whether page number `done` of this run was the last that was asked for.
pub(crate) fn is_enough(done: u32, max_pages: u32) -> bool {
    max_pages != 0 && done >= max_pages
}

/// A cursor that is none of this plugin's.
#[track_caller]
pub(crate) fn foreign_cursor() -> Failure {
    Failure::invalid_argument("the cursor is none of this provider's")
}

/// Owner and name of a full name.
pub(crate) fn split(full_name: &str) -> Result<(&str, &str)> {
    match full_name.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((owner, name))
        }
        _ => Err(Failure::invalid_argument(
            "a repository is owner/name, or id: and the stable id",
        )),
    }
}

/// A clone URL without the user that both editions put into it: `https://ada@bitbucket.org/acme/api.git`.
pub(crate) fn without_user(clone: &str) -> String {
    let Some((scheme, rest)) = clone.split_once("://") else {
        return clone.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

/// The two lists of refs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RefList {
    /// Branches, which come first when both are asked for.
    Branches,
    /// Tags.
    Tags,
}

impl RefList {
    /// As paths and cursors name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Branches => "branches",
            Self::Tags => "tags",
        }
    }

    /// Kind of the refs in it.
    pub(crate) fn kind(self) -> v1::RefKind {
        match self {
            Self::Branches => v1::RefKind::Branch,
            Self::Tags => v1::RefKind::Tag,
        }
    }

    /// Where a listing starts: the list, and what its cursor says about the page.
    pub(crate) fn start(input: &v1::ListRefs) -> Result<(Self, &str)> {
        let first = match input.kind() {
            v1::RefKind::Tag => Self::Tags,
            v1::RefKind::Branch | v1::RefKind::Unspecified => Self::Branches,
        };
        match input.cursor.split_once(':') {
            None if input.cursor.is_empty() => Ok((first, "")),
            Some(("branches", page)) => Ok((Self::Branches, page)),
            Some(("tags", page)) => Ok((Self::Tags, page)),
            _ => Err(foreign_cursor()),
        }
    }

    /// The list and page after one that ended with `next`; tags follow branches where no kind was asked for.
    pub(crate) fn after(self, kind: v1::RefKind, next: Option<String>) -> Option<(Self, String)> {
        match (next, self) {
            (Some(page), _) => Some((self, page)),
            (None, Self::Branches) if kind == v1::RefKind::Unspecified => {
                Some((Self::Tags, String::new()))
            }
            (None, _) => None,
        }
    }
}

/// Writes a place in the lists of refs as a cursor.
pub(crate) fn ref_cursor(next: Option<&(RefList, String)>) -> String {
    next.map_or_else(String::new, |(list, page)| {
        format!("{}:{page}", list.name())
    })
}
