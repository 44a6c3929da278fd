//! The state of the process before anything foreign is in it

#![expect(unsafe_code, reason = "talks to libc")]

use std::{mem, ptr};

use bindery_plugin_abi::frame::{EXIT_PANIC, FD_IMAGE};
use libc::{c_int, c_uint, c_ulong};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// What a plugin may be linked with. Once files are denied the loader can't open these any more, so they are here
/// before; on a recent glibc all but the first two are empty.
const LIBRARIES: [&str; 5] = [
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
];

/// Freed memory up to here is kept: glibc otherwise returns the buffer of every page of results to the kernel and
/// faults it in again, which doubles the time for a large page.
const KEEP: c_int = 4 * 1024 * 1024;

/// Ends the process at once: handlers that a plugin registered for its end never run.
pub(crate) fn exit(status: c_int) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(status) }
}

/// Replaces the panic message, which may hold values, by the place, which can't.
pub(crate) fn hide_panic_values() {
    std::panic::set_hook(Box::new(|info| {
        if let Some(place) = info.location() {
            eprintln!("the worker panicked at {}:{}", place.file(), place.line());
        }
        exit(EXIT_PANIC);
    }));
}

/// Everything that must happen before the process is confined.
pub(crate) fn prepare() {
    close_the_rest();
    forbid_privileges();
    default_signals();
    tune_allocator();
    LIBRARIES.into_iter().for_each(load_for_good);
}

/// Descriptors that the daemon forgot to close are not the plugin's.
fn close_the_rest() {
    const AFTER_IMAGE: c_uint = FD_IMAGE.unsigned_abs() + 1;
    // SAFETY: nothing in this process owns a descriptor above the image's yet. An old kernel refuses the call, and
    // then nothing changes.
    unsafe { libc::syscall(libc::SYS_close_range, AFTER_IMAGE, c_uint::MAX, 0) };
}

/// No privileges from set-user-id programs (a filter needs that too), no core dumps, no tracing by the same user. A
/// refusal shows when the filter is installed.
fn forbid_privileges() {
    const OFF: c_ulong = 0;
    const ON: c_ulong = 1;
    // SAFETY: plain numbers, no pointers.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, ON, OFF, OFF, OFF) };
    // SAFETY: plain numbers, no pointers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, OFF, OFF, OFF, OFF) };
}

/// The runtime's handler for a segmentation fault calls rt_sigaction, so under a filter every crash would look like a
/// forbidden call; and an ignored or blocked signal is inherited from whoever started the daemon.
fn default_signals() {
    for signal in 1..=libc::SIGSYS {
        // SAFETY: the default action is no function of ours. SIGKILL and SIGSTOP are refused, harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a signal set is plain bits, for which zero is valid; it is emptied properly below.
    let mut none: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `none` is a live signal set.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: `none` is an initialised signal set, and the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

#[cfg(target_env = "gnu")]
fn tune_allocator() {
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, KEEP),
        (libc::M_TRIM_THRESHOLD, KEEP),
        (libc::M_ARENA_MAX, 1),
    ] {
        // SAFETY: no other thread exists that could allocate meanwhile.
        unsafe { libc::mallopt(parameter, value) };
    }
}

#[cfg(not(target_env = "gnu"))]
fn tune_allocator() {
    let _ = KEEP;
}

/// One that is missing is no error: a plugin that needs it fails to load, and says so.
fn load_for_good(name: &str) {
    // SAFETY: a library of the system, found the way the loader finds it for every program.
    if let Ok(library) = unsafe { Library::open(Some(name), RTLD_NOW | RTLD_LOCAL) } {
        mem::forget(library);
    }
}
