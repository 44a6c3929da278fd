//! A test control: tells a hook of each durable step, so that a test can kill its process there.

use std::sync::OnceLock;

/// Sets what is told of each step, once for the process.
pub fn install(hook: impl Fn(&'static str) + Send + Sync + 'static) {
    // The first one stays.
    let _ = HOOK.set(Box::new(hook));
}

pub(crate) fn step(name: &'static str) {
    if let Some(hook) = HOOK.get() {
        hook(name);
    }
}

static HOOK: OnceLock<Box<dyn Fn(&'static str) + Send + Sync>> = OnceLock::new();
