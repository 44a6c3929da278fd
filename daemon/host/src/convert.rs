//! Messages of the boundary into types of the core and back, one file for each group
//!
//! What comes from a plugin is untrusted: every conversion into the core checks form, length and number. Identifiers
//! that are not clean are refused, since something might be looked up by them; prose is cleaned and cut.

pub(crate) mod check;
pub(crate) mod delivery;
pub(crate) mod description;
pub(crate) mod effect;
pub(crate) mod failure;
pub(crate) mod hooks;
pub(crate) mod output;
pub(crate) mod request;
pub(crate) mod result;
