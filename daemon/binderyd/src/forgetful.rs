//! A control of the benchmarks: the daemon, composed so that it answers deliveries without storing them. Never ship it.
//!
//! The same sources as `binderyd` but for one module: `seam`, which passes everything through there, and is `forget` here.
//! It is built with the feature `forgetful` only. The benchmark of the intake is measured against it, so that the figures
//! say what durability costs.
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
#[path = "forget.rs"]
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
