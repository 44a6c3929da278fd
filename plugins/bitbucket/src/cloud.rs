//! Bitbucket Cloud
//!
//! It has one owner level, the workspace, and no list over all of them: since CHANGE-2770 repositories are asked for
//! workspace by workspace. Everything is known by `uuid`, braces and all; names change.
//!
//! | module | holds |
//! |---|---|
//! | `describe` | all that is data |
//! | `call` | sending, and what an error means |
//! | `page` | pages, and `next` as a cursor |
//! | `place` | what an access token of a workspace, project or repository is bound to |
//! | `rights` | what the token may do to repositories |
//! | `account`, `organizations`, `repositories`, `refs`, `revoke`, `probe`, `hooks` | the operations |
//! | `delivery` | what a delivery of a hook says |

pub(crate) mod account;
mod call;
pub(crate) mod delivery;
pub(crate) mod describe;
pub(crate) mod hooks;
pub(crate) mod organizations;
mod page;
mod place;
pub(crate) mod probe;
pub(crate) mod refs;
pub(crate) mod repositories;
pub(crate) mod revoke;
mod rights;
