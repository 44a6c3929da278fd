//! The four functions of the boundary
//!
//! The only unsafe code of the SDK. Authors call [`export_provider!`](crate::export_provider) and never this.

#![expect(unsafe_code, reason = "what crosses the boundary is raw pointers")]

use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bindery_plugin_abi::{ERR_ARG, ERR_PANIC, OK, Op, Slice};
use prost::Message as _;

use crate::{Provider, Task, panics::caught, provider};

/// What a handle points to: the operation, and the bytes that the host borrows until its next call.
struct Handle {
    task: Task,
    out: Vec<u8>,
}

/// Descriptions by type, made once and kept for ever, since the boundary says that these bytes stay valid.
static DESCRIPTIONS: Mutex<BTreeMap<TypeId, &'static [u8]>> = Mutex::new(BTreeMap::new());

/// `describe` of the boundary.
///
/// # Safety
///
/// `out` is null or valid for one write.
pub unsafe extern "C" fn describe<P: Provider>(out: *mut Slice) -> i32 {
    if out.is_null() {
        return ERR_ARG;
    }
    let Ok(bytes) = caught(description::<P>) else {
        return ERR_PANIC;
    };
    // SAFETY: not null, so by the contract valid for one write.
    unsafe { out.write(Slice::new(bytes)) };
    OK
}

fn description<P: Provider>() -> &'static [u8] {
    let mut all = DESCRIPTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    all.entry(TypeId::of::<P>())
        .or_insert_with(|| provider::describe::<P>().encode_to_vec().leak())
}

/// `start` of the boundary.
///
/// # Safety
///
/// `request` holds valid bytes during the call; `handle` and `out` are null or valid for one write each.
pub unsafe extern "C" fn start<P: Provider>(
    request: Slice,
    handle: *mut *mut Op,
    out: *mut Slice,
) -> i32 {
    if handle.is_null() || out.is_null() || !is_sane(request) {
        return ERR_ARG;
    }
    // SAFETY: checked to be sane, and by the contract valid during this call; nothing keeps the bytes.
    let request = unsafe { request.as_bytes() };
    let Ok((task, step)) = caught(|| Task::start::<P>(request)) else {
        return ERR_PANIC;
    };
    let made = Box::new(Handle {
        task,
        out: step.encode_to_vec(),
    });
    let bytes = Slice::new(&made.out);
    // SAFETY: not null, so by the contract valid for one write.
    unsafe { handle.write(Box::into_raw(made).cast()) };
    // SAFETY: as above. The bytes are on the heap and stay there until the handle is used again.
    unsafe { out.write(bytes) };
    OK
}

/// `resume` of the boundary.
///
/// # Safety
///
/// `handle` is null or came from [`start`], was not dropped, and is in no other call; `results` holds valid bytes during
/// the call; `out` is null or valid for one write.
pub unsafe extern "C" fn resume(handle: *mut Op, results: Slice, out: *mut Slice) -> i32 {
    if handle.is_null() || out.is_null() || !is_sane(results) {
        return ERR_ARG;
    }
    // SAFETY: by the contract made by `start` from a box of this type, alive, and borrowed by nobody else.
    let handle = unsafe { &mut *handle.cast::<Handle>() };
    // SAFETY: checked to be sane, and by the contract valid during this call; nothing keeps the bytes.
    let results = unsafe { results.as_bytes() };
    let Ok(step) = caught(|| handle.task.resume(results)) else {
        return ERR_PANIC;
    };
    handle.out = step.encode_to_vec();
    // SAFETY: not null, so by the contract valid for one write.
    unsafe { out.write(Slice::new(&handle.out)) };
    OK
}

/// `drop` of the boundary.
///
/// # Safety
///
/// `handle` is null or came from [`start`], was not dropped before, and is in no other call.
pub unsafe extern "C" fn drop(handle: *mut Op) {
    if handle.is_null() {
        return;
    }
    // SAFETY: by the contract made by `start` from a box of this type, and given back once.
    let handle = unsafe { Box::from_raw(handle.cast::<Handle>()) };
    // The task catches what its parts panic with; this is for what might come after.
    let _ = caught(|| std::mem::drop(handle));
}

fn is_sane(slice: Slice) -> bool {
    slice.check(isize::MAX.unsigned_abs()).is_ok()
}

/// Exports a type that implements [`Provider`](crate::Provider) as the plugin of this library.
///
/// At most one use per library. A crate that is also linked into other binaries as an `rlib` puts it behind a Cargo
/// feature, because two exports in one binary collide at link time:
///
/// ```ignore
/// #[cfg(feature = "export")]
/// bindery_plugin_sdk::export_provider!(Demo);
/// ```
#[macro_export]
macro_rules! export_provider {
    ($provider:ty) => {
        const _: () = ::core::assert!(
            ::core::cfg!(panic = "unwind"),
            "a plugin is built with panic = \"unwind\": its panics are caught at the boundary"
        );
        $crate::abi::export_plugin! {
            flags: $crate::abi::FLAG_PANIC_UNWIND | $crate::abi::FLAG_RUST_SDK,
            describe: $crate::export::describe::<$provider>,
            start: $crate::export::start::<$provider>,
            resume: $crate::export::resume,
            drop: $crate::export::drop,
        }
    };
}

#[cfg(test)]
mod tests;
