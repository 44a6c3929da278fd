//! The Bindery daemon.
//!
//! Thin: arguments, log, configuration, composition, signals, exit code. Everything else is in the crates that it composes.
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
