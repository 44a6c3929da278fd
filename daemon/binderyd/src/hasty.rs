//! A control of the tests: the daemon, composed so that its clock runs ahead by what it is told. Never ship it.
//!
//! The same sources as `binderyd` but for one module: `seam`, which passes everything through there, and is `haste` here.
//! It is built with the feature `hasty` only. A test lets minutes pass for it, and does not wait for them.
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
#[path = "haste.rs"]
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
