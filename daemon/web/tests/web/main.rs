//! The router on a loopback socket, over the real engine and ports in memory.
#![allow(missing_docs, unreachable_pub)]

mod browser;
mod floods;
mod hooks;
mod lint;
mod ops;
mod pages;
mod story;
mod support;
mod tamper;
mod triggers;
