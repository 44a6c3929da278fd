//! No files, no TCP, nothing outwards, as far as the kernel knows landlock
//!
//! Best effort and reported: containers and older kernels lack it, and the system call filters hold without it.
//! Anonymous files are not governed, so the image stays reachable by its descriptor.

#![expect(unsafe_code, reason = "libc has no functions for these calls")]

use std::ptr;

use bindery_plugin_abi::frame::Landlock;
use libc::{c_int, c_long};

/// Rights over files in the first version: bits 0 to 12.
const FS_V1: u64 = (1 << 13) - 1;
/// Version 2: link and rename between folders.
const FS_REFER: u64 = 1 << 13;
/// Version 3: truncate.
const FS_TRUNCATE: u64 = 1 << 14;
/// Version 5: ioctl on devices.
const FS_IOCTL_DEV: u64 = 1 << 15;
/// Version 4: bind and connect with TCP.
const NET: u64 = 0b11;
/// Version 6: abstract Unix sockets, and signals, to processes outside.
const SCOPES: u64 = 0b11;
/// The version from which all of the above is there.
const COMPLETE: c_long = 6;

const CREATE_RULESET_VERSION: c_int = 1;

/// Which rights a set of rules is about. What it is about and no rule allows is denied.
#[derive(Debug, Eq, PartialEq)]
#[repr(C)]
struct Ruleset {
    fs: u64,
    net: u64,
    scoped: u64,
}

impl Ruleset {
    /// All that a kernel of this version can deny.
    fn of(version: c_long) -> Self {
        let since = |first: c_long, bits: u64| if version >= first { bits } else { 0 };
        Self {
            fs: FS_V1 | since(2, FS_REFER) | since(3, FS_TRUNCATE) | since(5, FS_IOCTL_DEV),
            net: since(4, NET),
            scoped: since(6, SCOPES),
        }
    }
}

/// Denies whatever the kernel can deny, for good, and says how much that was.
pub(crate) fn deny_everything() -> Landlock {
    let version = version();
    if version < 1 || !enforce(&Ruleset::of(version)) {
        Landlock::NotEnforced
    } else if version < COMPLETE {
        Landlock::Partly
    } else {
        Landlock::Fully
    }
}

/// The kernel's version of landlock. Below 1 where there is none.
fn version() -> c_long {
    let none = ptr::null::<Ruleset>();
    // SAFETY: with this flag the kernel takes no pointer and only answers a number.
    unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            none,
            0usize,
            CREATE_RULESET_VERSION,
        )
    }
}

fn enforce(ruleset: &Ruleset) -> bool {
    let size = size_of::<Ruleset>();
    // SAFETY: pointer and size are those of a live struct with the kernel's layout.
    let rules = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::from_ref(ruleset),
            size,
            0,
        )
    };
    let Ok(rules) = c_int::try_from(rules) else {
        return false;
    };
    if rules < 0 {
        return false;
    }
    // SAFETY: plain numbers, no pointers.
    let enforced = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules, 0) } == 0;
    // SAFETY: the descriptor was made above and nobody else knows it.
    unsafe { libc::close(rules) };
    enforced
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each version of the kernel is asked for what it knows and for nothing else, which it would refuse as a whole.
    #[test]
    fn p1_each_version_is_asked_for_what_it_knows() {
        assert_eq!(
            Ruleset::of(1),
            Ruleset {
                fs: 0x1fff,
                net: 0,
                scoped: 0
            }
        );
        assert_eq!(
            Ruleset::of(2),
            Ruleset {
                fs: 0x3fff,
                net: 0,
                scoped: 0
            }
        );
        assert_eq!(
            Ruleset::of(3),
            Ruleset {
                fs: 0x7fff,
                net: 0,
                scoped: 0
            }
        );
        assert_eq!(
            Ruleset::of(4),
            Ruleset {
                fs: 0x7fff,
                net: 3,
                scoped: 0
            }
        );
        assert_eq!(
            Ruleset::of(5),
            Ruleset {
                fs: 0xffff,
                net: 3,
                scoped: 0
            }
        );
        assert_eq!(
            Ruleset::of(6),
            Ruleset {
                fs: 0xffff,
                net: 3,
                scoped: 3
            }
        );
        assert_eq!(Ruleset::of(9), Ruleset::of(6));
    }
}
