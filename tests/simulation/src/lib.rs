//! Many links over months, in seconds: the engine as it is, against twins of forges, in virtual time.
//!
//! Everything that goes wrong in a life goes wrong here, and often: the daemon dies between any two things that it does
//! outside of itself, replies are lost after the forge has acted, forges are away for hours, limit rates, answer with
//! errors, lag behind themselves; clocks jump; people revoke, disable, authorize anew and unlink. All of it follows from one seed, so a run that
//! breaks a promise is run again with that seed.
//!
//! The promises, checked after each step against what the twin knows:
//!
//! - a token that is handed out is one that the forge takes, unless a person has revoked it and nobody could know yet;
//! - a link that says that its grant is dead is right: neither of its tokens is good for anything;
//! - a link that is unlinked keeps no token, and its receipt is finished;
//! - at the end, when nothing goes wrong any more, each link works, or says why it does not.
//!
//! [`run`] runs one seed. [`after_jump`] is one jump of the clock by itself, where nothing else goes wrong.

#![forbid(unsafe_code)]

mod clock;
mod disk;
mod fate;
mod forge;
mod history;
mod jump;
mod life;
mod links;
mod people;
mod plugin;
mod random;
mod rules;

pub use history::{Broken, History};
pub use jump::{Jumped, after_jump};
pub use life::run;
