//! End-to-end tests as contracts, forge stand-ins and their harness

pub mod browser;
pub mod gitea;
pub mod github;
