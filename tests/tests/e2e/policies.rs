//! What policies of the tests have in common.

use std::os::unix::fs::MetadataExt;

/// The user that this test runs as: its socket's other end.
pub(crate) fn own_user() -> u32 {
    std::fs::metadata("/proc/self").map_or(0, |own| own.uid())
}
