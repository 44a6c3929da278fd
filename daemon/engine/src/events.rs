//! Events: numbered without gaps in their namespace, kept for a while, and followed by those whom they concern.
//!
//! | Module | What it does |
//! |---|---|
//! | `append` | numbers events and stores them, together with what else must become true at the same moment |
//! | `heads` | how far a namespace is numbered, who appends, and who is woken |

mod append;
mod heads;

pub use self::append::Draft;
pub(crate) use self::heads::Heads;
