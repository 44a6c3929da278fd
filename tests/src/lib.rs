//! End-to-end tests as contracts, forge stand-ins and their harness

pub mod artifacts;
pub mod browser;
pub mod canary;
pub mod daemon;
pub mod forge;
pub mod gitea;
pub mod github;
