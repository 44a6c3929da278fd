//! Dying, hanging, eating memory

#![expect(unsafe_code, reason = "a crash has no safe interface")]

use std::{future::pending, hint::black_box, panic::panic_any, process};

use bindery_plugin_sdk::{Cx, Request, Result};

/// Panics when it goes.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("panicked on purpose while it is dropped");
    }
}

/// Never goes.
struct HangsOnDrop;

impl Drop for HangsOnDrop {
    fn drop(&mut self) {
        spin();
    }
}

pub(super) async fn run(cx: &Cx, name: &str) -> Result<bool> {
    match name {
        "panic" => panic!("panicked on purpose"),
        "panic_await" => {
            ask(cx).await?;
            panic!("panicked on purpose after an answer");
        }
        "panic_drop" => {
            let _late = PanicsOnDrop;
            ask(cx).await?;
        }
        "panic_payload" => panic_any(PanicsOnDrop),
        "double_panic" => {
            let _late = PanicsOnDrop;
            panic!("panicked on purpose, and again on the way");
        }
        "loop" => spin(),
        "loop_drop" => {
            let _late = HangsOnDrop;
            ask(cx).await?;
        }
        "stuck" => pending().await,
        "stack_overflow" => drop(black_box(deeper(1))),
        "abort" => process::abort(),
        "exit" => process::exit(0),
        "segfault" => segfault(),
        "alloc_bomb" => eat(),
        _ => return Ok(false),
    }
    Ok(true)
}

async fn ask(cx: &Cx) -> Result<()> {
    let request = Request::get(cx.api(&["user"])?);
    cx.send(request).await.map(|_| ())
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn deeper(depth: u64) -> u64 {
    let ballast = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    deeper(depth + 1) + ballast[0]
}

fn segfault() {
    let nowhere = black_box(8_usize) as *const u64;
    // SAFETY: there is nothing at this address. The fault is what is wanted; the process holds nothing but this plugin.
    black_box(unsafe { nowhere.read_volatile() });
}

fn eat() {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}
