//! Events: numbered without gaps in their namespace, kept for a while, and followed by those whom they concern.
//!
//! | Module | What it does |
//! |---|---|
//! | `append` | numbers events and stores them, together with what else must become true at the same moment |
//! | `heads` | how far a namespace is numbered, who appends, and who is woken |
//! | `read` | events by number and by time |
//! | `consumers`, `followers` | who follows, how far they are, and who takes over |
//! | `retention` | what need not be kept |

mod append;
mod consumers;
mod followers;
mod heads;
mod read;
mod retention;

pub use self::{
    append::Draft,
    consumers::ConsumerNow,
    followers::{ConsumerState, Following},
    retention::EventRetention,
};
pub(crate) use self::{followers::Followers, heads::Heads, retention::Kept};
