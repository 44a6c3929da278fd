//! The smallest library that a worker loads, to prove the exported symbol and the note

#![expect(unsafe_code, reason = "the boundary is raw")]

use bindery_plugin_abi::{ERR_ARG, FLAG_PANIC_UNWIND, OK, Op, Slice, export_plugin};

unsafe extern "C" fn describe(out: *mut Slice) -> i32 {
    // SAFETY: by the boundary, `out` is valid for one write.
    unsafe { out.write(Slice::new(b"null")) };
    OK
}

unsafe extern "C" fn start(_request: Slice, _handle: *mut *mut Op, _out: *mut Slice) -> i32 {
    ERR_ARG
}

unsafe extern "C" fn resume(_handle: *mut Op, _results: Slice, _out: *mut Slice) -> i32 {
    ERR_ARG
}

unsafe extern "C" fn drop_op(_handle: *mut Op) {}

export_plugin! {
    flags: FLAG_PANIC_UNWIND,
    describe: describe,
    start: start,
    resume: resume,
    drop: drop_op,
}
