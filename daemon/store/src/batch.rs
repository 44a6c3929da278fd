//! What is written together: trees, operations, and the limits of a batch.

use std::collections::HashSet;

use crate::StoreError;

/// A named key space of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tree(&'static str);

impl Tree {
    /// Names a tree.
    ///
    /// # Panics
    /// When the name is empty, longer than 32 bytes or holds a NUL: write it as a `const`, and the compiler checks it.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= MAX_TREE_NAME,
            "a tree needs a short name"
        );
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at] != 0, "a tree's name can't hold a NUL");
            at += 1;
        }
        Self(name)
    }

    /// The name, as it was given.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// Operations that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What to check and what to write; each key at most once.
    pub operations: Vec<Operation>,
}

/// One key's part of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Where the key lives.
    pub tree: Tree,
    /// The key, at most [`Batch::MAX_KEY`] bytes.
    pub key: Vec<u8>,
    /// What must be true before the batch.
    pub expect: Expect,
    /// What is true after it.
    pub write: Write,
}

/// What must be stored under a key for its batch to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Any value, or none.
    Anything,
    /// No value.
    Absent,
    /// Exactly this value.
    Value(Vec<u8>),
}

/// What a batch does to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Stores this value.
    Put(Vec<u8>),
    /// Removes the key; one that is absent stays absent.
    Delete,
    /// Leaves the key as it is: the operation is an expectation only.
    Keep,
}

impl Batch {
    /// Longest key, in bytes.
    pub const MAX_KEY: usize = 256;
    /// Most operations in one batch. etcd has to be started with `--max-txn-ops` of this size.
    pub const MAX_OPERATIONS: usize = 1024;
    /// Most bytes of keys and values in one batch: a webhook delivery of 8 MiB changes together with the refs of its
    /// repository and its events. etcd has to be started with `--max-request-bytes` above this.
    pub const MAX_BYTES: usize = 32 << 20;

    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            operations: Vec::new(),
        }
    }

    /// Stores a value, whatever was there.
    #[must_use]
    pub fn put(self, tree: Tree, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.operation(tree, key, Expect::Anything, Write::Put(value.into()))
    }

    /// Stores a value under a key that must be absent.
    #[must_use]
    pub fn create(self, tree: Tree, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.operation(tree, key, Expect::Absent, Write::Put(value.into()))
    }

    /// Replaces exactly `old` by `new`.
    #[must_use]
    pub fn replace(
        self,
        tree: Tree,
        key: impl Into<Vec<u8>>,
        old: impl Into<Vec<u8>>,
        new: impl Into<Vec<u8>>,
    ) -> Self {
        self.operation(tree, key, Expect::Value(old.into()), Write::Put(new.into()))
    }

    /// Removes a key, whatever was there.
    #[must_use]
    pub fn delete(self, tree: Tree, key: impl Into<Vec<u8>>) -> Self {
        self.operation(tree, key, Expect::Anything, Write::Delete)
    }

    /// Removes exactly `old`.
    #[must_use]
    pub fn remove(self, tree: Tree, key: impl Into<Vec<u8>>, old: impl Into<Vec<u8>>) -> Self {
        self.operation(tree, key, Expect::Value(old.into()), Write::Delete)
    }

    /// Demands something of a key without writing it.
    #[must_use]
    pub fn expect(self, tree: Tree, key: impl Into<Vec<u8>>, expect: Expect) -> Self {
        self.operation(tree, key, expect, Write::Keep)
    }

    /// Adds any operation.
    #[must_use]
    pub fn operation(
        mut self,
        tree: Tree,
        key: impl Into<Vec<u8>>,
        expect: Expect,
        write: Write,
    ) -> Self {
        self.operations.push(Operation {
            tree,
            key: key.into(),
            expect,
            write,
        });
        self
    }

    /// Refuses what no implementation takes. Every implementation calls this first.
    ///
    /// # Errors
    /// [`StoreError::InvalidBatch`], with the limit that was met.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut seen = HashSet::with_capacity(self.operations.len());
        let bytes: usize = self.operations.iter().map(Operation::bytes).sum();
        if self.operations.len() > Self::MAX_OPERATIONS {
            return Err(StoreError::InvalidBatch(
                "a batch holds at most 1024 operations",
            ));
        }
        if bytes > Self::MAX_BYTES {
            return Err(StoreError::InvalidBatch("a batch holds at most 32 MiB"));
        }
        if self
            .operations
            .iter()
            .any(|operation| operation.key.len() > Self::MAX_KEY)
        {
            return Err(StoreError::InvalidBatch("a key has at most 256 bytes"));
        }
        // etcd refuses a transaction that names a key twice.
        if !self
            .operations
            .iter()
            .all(|operation| seen.insert((operation.tree, &operation.key)))
        {
            return Err(StoreError::InvalidBatch("a batch names each key once"));
        }
        Ok(())
    }

    /// Whether anything changes if the batch happens.
    pub(crate) fn writes(&self) -> bool {
        self.operations
            .iter()
            .any(|operation| operation.write != Write::Keep)
    }
}

impl Operation {
    fn bytes(&self) -> usize {
        let expected = if let Expect::Value(value) = &self.expect {
            value.len()
        } else {
            0
        };
        let written = if let Write::Put(value) = &self.write {
            value.len()
        } else {
            0
        };
        self.key.len() + expected + written
    }
}

impl Expect {
    /// Whether a key that holds `current` is as expected.
    #[must_use]
    pub fn holds(&self, current: Option<&[u8]>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => current.is_none(),
            Self::Value(value) => current == Some(value.as_slice()),
        }
    }
}

const MAX_TREE_NAME: usize = 32;
