//! The columns of the table: what is done with a link from its beginning to its end.

/// A step of a link's life, in the order in which they are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// A person consents in the browser and confirms.
    Link,
    /// Repositories and refs are listed.
    List,
    /// A credential is handed out.
    Fetch,
    /// git clones with it.
    Clone,
    /// The pair of tokens is replaced.
    Refresh,
    /// Nothing is handed out, and nothing is revoked.
    Disable,
    /// What was kept is handed out again.
    Enable,
    /// The person consents anew, to the same link.
    Reauthorize,
    /// The grant is revoked, or the receipt says who has to.
    Unlink,
}

impl Step {
    /// All of them.
    pub(super) const ALL: [Self; 9] = [
        Self::Link,
        Self::List,
        Self::Fetch,
        Self::Clone,
        Self::Refresh,
        Self::Disable,
        Self::Enable,
        Self::Reauthorize,
        Self::Unlink,
    ];

    /// Head of its column.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::List => "list",
            Self::Fetch => "fetch",
            Self::Clone => "clone",
            Self::Refresh => "refresh",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Reauthorize => "reauthorize",
            Self::Unlink => "unlink",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(super) const fn place(self) -> usize {
        self as usize
    }
}

/// A step that is missing in `ALL` does not compile.
const _: () = {
    let mut place = 0;
    while place < Step::ALL.len() {
        assert!(Step::ALL[place].place() == place);
        place += 1;
    }
    assert!(Step::Unlink.place() + 1 == Step::ALL.len());
};
