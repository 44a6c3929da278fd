//! How long, how many, how big
//!
//! The host enforces all of them; the worker enforces the lengths, because it would otherwise copy what a plugin
//! claims to have.

use std::time::Duration;

/// Longest step that a host takes unless its operator says otherwise.
pub const STEP_LEN_DEFAULT: usize = 1024 * 1024;

/// Longest step that can be configured; a longer one is a lie about a length.
pub const STEP_LEN_HARD: usize = 16 * 1024 * 1024;

/// Longest `Description`.
pub const DESCRIPTION_LEN: usize = 1024 * 1024;

/// Longest response body that a host hands to a plugin.
pub const RESPONSE_LEN: usize = 8 * 1024 * 1024;

/// Longest body of a START or RESUME frame. Any one result with a body of [`RESPONSE_LEN`] fits; a host that has more
/// results than fit delivers them in several frames.
pub const REQUEST_LEN: usize = 16 * 1024 * 1024;

/// Most effects in one step.
pub const EFFECTS_PER_STEP: usize = 64;

/// Most steps of one operation.
pub const STEPS_PER_OPERATION: u32 = 10_000;

/// Longest time for one step.
pub const STEP_TIME: Duration = Duration::from_secs(5);
