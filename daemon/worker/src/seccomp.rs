//! The two system call filters
//!
//! The filters are programs that this crate assembles and installs itself, with seccomp(2): going through prctl for a
//! second filter would meet the first one. Both stay installed and the stricter answer wins, so the second can only
//! take away.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod bpf;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod policy;

use std::io;

/// When a filter holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// While the image is loaded and its constructors run.
    Loading,
    /// From then on.
    Serving,
}

/// Installs the filter of `phase` for good.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[expect(unsafe_code, reason = "libc has no function for this call")]
pub(crate) fn install(phase: Phase) -> io::Result<()> {
    let mut program = bpf::assemble(&policy::rules(phase));
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let filter = libc::sock_fprog {
        len: program.len().try_into().map_err(too_long)?,
        filter: program.as_mut_ptr(),
    };
    let (operation, no_flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: `filter` and the program that it points to live until the call returns; the kernel copies both.
    match unsafe { libc::syscall(libc::SYS_seccomp, operation, no_flags, &raw const filter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// There are no tables for this processor.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn install(_phase: Phase) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
