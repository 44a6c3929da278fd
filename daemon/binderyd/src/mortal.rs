//! A control of the tests: the daemon, composed so that it dies where it is told to. Never ship it.
//!
//! The same sources as `binderyd` but for one module: `seam`, which passes everything through there, and is `death` here.
//! It is built with the feature `mortal` only. A test runs it, and has it die by SIGKILL at each step of a refresh and of an
//! unlink.
#![forbid(unsafe_code)]

mod admin;
mod args;
mod backups;
mod config;
mod disabled;
mod doctor;
mod failure;
mod listeners;
mod log;
mod panics;
mod plugins;
mod ports;
mod process;
mod restore;
mod run;
mod sealing;
#[path = "death.rs"]
mod seam;
mod start;
mod systemd;
mod vault;

/// L5: what is freed is zeroed. `ring` does not wipe its key schedules, nor do buffers that grow.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    start::main()
}
