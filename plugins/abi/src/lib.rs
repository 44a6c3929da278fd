//! The C boundary of a plugin, in Rust and as a header
//!
//! A plugin is a shared library that exports one **data** symbol, [`TABLE_SYMBOL`], of type [`PluginV1`]: a version
//! and four functions over bytes. An ELF note ([`Note`], section [`NOTE_SECTION`]) says the version a second time, so
//! that the host can refuse a foreign file before any of its code runs. `include/bindery_plugin.h` is the same
//! boundary for C, and a test compares the two.
//!
//! | module | holds |
//! |---|---|
//! | [`table`] | [`Slice`], [`Op`], [`PluginV1`], status codes and flags |
//! | [`note`] | the ELF note |
//! | [`frame`] | what the daemon and a worker say to each other, as bytes |
//! | [`limits`] | how long, how many, how big |
//!
//! This crate does no I/O and knows no protobuf.
//!
//! # The worker's wire
//!
//! `bindery-plugin-worker` is started with descriptor 3 to read requests from, 4 to write replies to (both may be one
//! socket) and 5, the image of the plugin. Its one argument is [`frame::ARG_REQUIRE_SANDBOX`] (also the default) or
//! [`frame::ARG_ALLOW_UNSANDBOXED`]. It sends one READY or FATAL, then answers each START and RESUME with a frame of
//! the same kind and handle. See [`frame`].

pub mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod limits;
pub mod note;
pub mod table;

pub use note::{NOTE_NAME, NOTE_SECTION, NOTE_TYPE, Note};
pub use table::{
    ABI_MAJOR, ABI_MINOR, DescribeFn, DropFn, ERR_ARG, ERR_OOM, ERR_PANIC, FLAG_PANIC_UNWIND,
    FLAG_RUST_SDK, MAGIC, OK, Op, PluginV1, Prefix, ResumeFn, Slice, SliceError, StartFn,
    TABLE_SYMBOL,
};

/// Exports a plugin: the table as the data symbol `bindery_plugin_v1`, and the note.
///
/// Plugin authors use `export_provider!` of the SDK, which ends here. At most one use per library; two in one
/// dependency graph collide at link time.
///
/// ```
/// use bindery_plugin_abi::{FLAG_PANIC_UNWIND, OK, Op, Slice};
///
/// unsafe extern "C" fn describe(_out: *mut Slice) -> i32 { OK }
/// unsafe extern "C" fn start(_request: Slice, _handle: *mut *mut Op, _out: *mut Slice) -> i32 { OK }
/// unsafe extern "C" fn resume(_handle: *mut Op, _results: Slice, _out: *mut Slice) -> i32 { OK }
/// unsafe extern "C" fn drop_op(_handle: *mut Op) {}
///
/// bindery_plugin_abi::export_plugin! {
///     flags: FLAG_PANIC_UNWIND,
///     describe: describe,
///     start: start,
///     resume: resume,
///     drop: drop_op,
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    (
        flags: $flags:expr,
        describe: $describe:expr,
        start: $start:expr,
        resume: $resume:expr,
        drop: $drop:expr $(,)?
    ) => {
        const _: () = {
            /// The table that the worker calls.
            #[allow(
                non_upper_case_globals,
                reason = "the name of the symbol is fixed by the boundary"
            )]
            #[used]
            #[unsafe(no_mangle)]
            static bindery_plugin_v1: $crate::PluginV1 =
                $crate::PluginV1::new($flags, $describe, $start, $resume, $drop);

            /// What the host reads from the file before it is loaded.
            #[used]
            #[cfg_attr(target_os = "linux", unsafe(link_section = ".note.bindery"))]
            static BINDERY_NOTE: $crate::Note = $crate::Note::new($flags);
        };
    };
}
