//! Wire and domain, one file for each resource. Neither type knows the other.

pub(crate) mod common;
pub(crate) mod credential;
pub(crate) mod delivery;
pub(crate) mod event;
pub(crate) mod host;
pub(crate) mod link;
pub(crate) mod namespace;
pub(crate) mod provider;
pub(crate) mod receipt;
pub(crate) mod repository;
pub(crate) mod source;
pub(crate) mod subscription;
pub(crate) mod trigger;
