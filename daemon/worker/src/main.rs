//! The small confined process that loads one plugin
//!
//! The daemon starts one worker per plugin version and talks to it over the frames of
//! [`bindery_plugin_abi::frame`]. Native code in the daemon could read every key there; here it has no file, no
//! socket, no environment, no second process and nothing to read.
//!
//! # How it is called
//!
//! `bindery-plugin-worker [--require-sandbox | --allow-unsandboxed]`, with an empty environment and
//!
//! | descriptor | what |
//! |---|---|
//! | 2 | where the plugin's own messages go (a pipe that the daemon bounds) |
//! | 3 | requests, blocking |
//! | 4 | replies, blocking; may be the same socket as 3 |
//! | 5 | the image: a sealed memory file with exactly the bytes that were checked |
//!
//! Whatever else is open is closed. Limits (memory, CPU, files), the user and the parent-death signal are set by the
//! daemon before the worker starts. The first frame is READY (isolation bits, then the `Description`) or FATAL (one
//! sentence). Exit status: 0 when the input ends, 1 after FATAL, 64 for a wrong argument, 70 for a defect here.
//!
//! # The order of confinement
//!
//! 1. [`process`]: no new privileges, no dumps, default signals, allocator, libraries that a plugin may need;
//! 2. [`landlock`]: no files, no TCP, no signals or abstract sockets outwards, as far as the kernel knows these;
//! 3. [`seccomp`], first filter: what the dynamic loader needs. **This one is the boundary**: constructors of the
//!    image run under it, and one that never returns stays under it;
//! 4. [`plugin`]: the image is loaded, its descriptor closed;
//! 5. [`seccomp`], second filter: what a plugin needs between two frames;
//! 6. [`plugin`]: the table is checked, and only now is one of its functions called;
//! 7. [`serve`]: one request after the other, on one thread.

#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod plugin;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(target_os = "linux")]
mod wire;

#[cfg(target_os = "linux")]
fn main() {
    use bindery_plugin_abi::frame::{EXIT_FATAL, EXIT_USAGE};

    process::hide_panic_values();
    let Some(mode) = linux::mode(std::env::args_os().skip(1)) else {
        eprintln!("usage: bindery-plugin-worker [--require-sandbox | --allow-unsandboxed]");
        process::exit(EXIT_USAGE);
    };
    let mut wire = wire::Wire::inherited();
    match linux::run(mode, &mut wire) {
        Ok(()) => process::exit(0),
        Err(fatal) => {
            wire.fatal(&fatal);
            process::exit(EXIT_FATAL);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("bindery-plugin-worker can confine a plugin on Linux only");
    std::process::exit(bindery_plugin_abi::frame::EXIT_FATAL);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsString;

    use bindery_plugin_abi::frame::{ARG_ALLOW_UNSANDBOXED, ARG_REQUIRE_SANDBOX, Isolation};

    use crate::{
        error::Fatal,
        landlock,
        plugin::{Image, Plugin},
        process,
        seccomp::{self, Phase},
        serve,
        wire::Wire,
    };

    /// What to do where the system call filter can't be installed.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    pub(super) enum Mode {
        RequireSandbox,
        AllowUnsandboxed,
    }

    /// The mode that the arguments ask for. None if they make no sense.
    pub(super) fn mode(mut args: impl Iterator<Item = OsString>) -> Option<Mode> {
        let mode = match args.next() {
            None => Mode::RequireSandbox,
            Some(arg) if arg == ARG_REQUIRE_SANDBOX => Mode::RequireSandbox,
            Some(arg) if arg == ARG_ALLOW_UNSANDBOXED => Mode::AllowUnsandboxed,
            Some(_) => return None,
        };
        args.next().is_none().then_some(mode)
    }

    /// The life of a worker, in the order of the crate's documentation.
    pub(super) fn run(mode: Mode, wire: &mut Wire) -> Result<(), Fatal> {
        process::prepare();
        let landlock = landlock::deny_everything();
        let loading = confine(mode, Phase::Loading)?;
        let image = Image::load()?;
        let serving = loading && confine(mode, Phase::Serving)?;
        let mut plugin = Plugin::from_image(&image)?;
        wire.ready(
            Isolation {
                seccomp: serving,
                landlock,
            },
            plugin.describe()?,
        )?;
        serve::serve(&mut plugin, wire)
    }

    /// Installs a filter. False where it can't be and the operator allows that.
    fn confine(mode: Mode, phase: Phase) -> Result<bool, Fatal> {
        match (seccomp::install(phase), mode) {
            (Ok(()), _) => Ok(true),
            (Err(_), Mode::AllowUnsandboxed) => Ok(false),
            (Err(error), Mode::RequireSandbox) => Err(Fatal::NoSandbox(error)),
        }
    }
}
