//! Bitbucket Data Center
//!
//! Repositories are in projects, which are the organizations here, or in a person's own project `~name`. Lists say
//! nothing about permissions: those are asked for by asking for the list of what is permitted.
//!
//! | module | holds |
//! |---|---|
//! | `describe` | all that is data |
//! | `call` | sending, and what an error means |
//! | `page` | pages, by the number of the first item |
//! | `account`, `organizations`, `repositories`, `refs`, `revoke`, `probe`, `hooks` | the operations |
//! | `delivery` | what a delivery of a hook says |
//! | `rights` | what the token may do to repositories |

pub(crate) mod account;
mod call;
pub(crate) mod delivery;
pub(crate) mod describe;
pub(crate) mod hooks;
pub(crate) mod organizations;
mod page;
pub(crate) mod probe;
pub(crate) mod refs;
pub(crate) mod repositories;
pub(crate) mod revoke;
mod rights;
