//! The control of the leak gate: the daemon, composed so that it leaks on purpose. Never ship it.
//!
//! The same sources as `binderyd` but for one module: `seam`, which passes everything through there, and is `leak` here.
//! It is built with the feature `leak` only, so `binderyd` itself holds no leak whatever features are on. A test runs the
//! leak gate's story on it, and has to find every leak.
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
#[path = "leak.rs"]
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
