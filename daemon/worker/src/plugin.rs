//! The plugin: loaded for good, checked once, called through its table

#![expect(unsafe_code, reason = "the boundary is raw pointers")]

use std::{mem, ptr};

use bindery_plugin_abi::{
    ABI_MAJOR, DescribeFn, DropFn, MAGIC, OK, Op, PluginV1, Prefix, ResumeFn, Slice, StartFn,
    TABLE_SYMBOL, frame::FD_IMAGE, limits, table::TABLE_SIZE,
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::error::Fatal;

/// The loader's text is cut here; it may quote names from the image.
const LOADER_TEXT_LEN: usize = 512;

/// A loaded image.
pub(crate) struct Image {
    table: *const PluginV1,
}

/// The functions of a checked table.
pub(crate) struct Plugin {
    describe: DescribeFn,
    start: StartFn,
    resume: ResumeFn,
    drop: DropFn,
}

/// What a call gave: a step, or a negative status without one.
pub(crate) struct Answer<'a> {
    pub(crate) status: i32,
    pub(crate) bytes: &'a [u8],
}

/// What starting gave: an answer and, if it went well, the operation.
pub(crate) struct Started<'a> {
    pub(crate) answer: Answer<'a>,
    pub(crate) operation: *mut Op,
}

impl Image {
    /// Loads the image, runs its constructors, and closes its descriptor.
    ///
    /// It is never unloaded: thread-local destructors would outlive their code.
    pub(crate) fn load() -> Result<Self, Fatal> {
        let path = format!("/proc/self/fd/{FD_IMAGE}");
        let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
        // SAFETY: constructors of the image may do whatever native code can do, and this process is confined for it.
        let library =
            unsafe { Library::open(Some(path), flags) }.map_err(|error| not_loaded(&error))?;
        // SAFETY: the descriptor is this process's own and nobody uses it any more.
        unsafe { libc::close(FD_IMAGE) };
        // SAFETY: the symbol's address is only used as an address here.
        let table = unsafe { library.get::<*const PluginV1>(TABLE_SYMBOL.to_bytes_with_nul()) }
            .map_err(|_| Fatal::NoTable)
            .map(|symbol| *symbol);
        mem::forget(library);
        match table? {
            table if table.is_null() => Err(Fatal::NoTable),
            table => Ok(Self { table }),
        }
    }
}

fn not_loaded(error: &libloading::Error) -> Fatal {
    let text = std::error::Error::source(error)
        .unwrap_or(error)
        .to_string();
    Fatal::NotLoaded(text.chars().take(LOADER_TEXT_LEN).collect())
}

impl Plugin {
    /// Checks the table, what is frozen in every version first.
    pub(crate) fn from_image(image: &Image) -> Result<Self, Fatal> {
        // SAFETY: the symbol has at least the size of a table of any version (the host checked the image), is mapped
        // for ever, and the read does not need alignment.
        check_prefix(&unsafe { ptr::read_unaligned(image.table.cast::<Prefix>()) })?;
        // SAFETY: as above, and the table says that it is as long as this version's.
        Self::from_table(&unsafe { ptr::read_unaligned(image.table) })
    }

    fn from_table(table: &PluginV1) -> Result<Self, Fatal> {
        Ok(Self {
            describe: table.describe.ok_or(Fatal::NullFunction("describe"))?,
            start: table.start.ok_or(Fatal::NullFunction("start"))?,
            resume: table.resume.ok_or(Fatal::NullFunction("resume"))?,
            drop: table.drop.ok_or(Fatal::NullFunction("drop"))?,
        })
    }

    /// The plugin's `Description`.
    pub(crate) fn describe(&mut self) -> Result<&[u8], Fatal> {
        let mut out = Slice::EMPTY;
        // SAFETY: the function is the plugin's own, and `out` is valid for one write.
        let status = unsafe { (self.describe)(&raw mut out) };
        let answer = answer("describe", status, out, limits::DESCRIPTION_LEN)?;
        if answer.status == OK {
            Ok(answer.bytes)
        } else {
            Err(Fatal::DescribeFailed(status))
        }
    }

    /// Starts an operation. The step is borrowed until the next call.
    pub(crate) fn start(&mut self, request: &[u8]) -> Result<Started<'_>, Fatal> {
        let (mut out, mut operation) = (Slice::EMPTY, ptr::null_mut());
        // SAFETY: `request` lives during the call, and both pointers are valid for one write.
        let status = unsafe { (self.start)(Slice::new(request), &raw mut operation, &raw mut out) };
        let answer = answer("start", status, out, limits::STEP_LEN_HARD)?;
        if answer.status == OK && operation.is_null() {
            return Err(Fatal::NoHandle);
        }
        Ok(Started { answer, operation })
    }

    /// Continues an operation. The step is borrowed until the next call.
    ///
    /// # Safety
    ///
    /// `operation` came from [`start`](Self::start) with an answer that went well, and was not dropped.
    pub(crate) unsafe fn resume(
        &mut self,
        operation: *mut Op,
        results: &[u8],
    ) -> Result<Answer<'_>, Fatal> {
        let mut out = Slice::EMPTY;
        // SAFETY: the operation is alive by this function's contract, `results` lives during the call, and `out` is
        // valid for one write.
        let status = unsafe { (self.resume)(operation, Slice::new(results), &raw mut out) };
        answer("resume", status, out, limits::STEP_LEN_HARD)
    }

    /// Ends an operation.
    ///
    /// # Safety
    ///
    /// As for [`resume`](Self::resume); the operation is gone afterwards.
    pub(crate) unsafe fn drop_operation(&mut self, operation: *mut Op) {
        // SAFETY: the operation is alive by this function's contract.
        unsafe { (self.drop)(operation) };
    }
}

fn check_prefix(prefix: &Prefix) -> Result<(), Fatal> {
    if prefix.magic != MAGIC {
        return Err(Fatal::BadMagic);
    }
    if prefix.abi_major != ABI_MAJOR {
        return Err(Fatal::WrongMajor(prefix.abi_major));
    }
    if prefix.struct_size < TABLE_SIZE {
        return Err(Fatal::ShortTable(prefix.struct_size));
    }
    Ok(())
}

/// Judges what a function returned. Bytes beside a negative status are not looked at.
fn answer<'a>(
    call: &'static str,
    status: i32,
    out: Slice,
    limit: usize,
) -> Result<Answer<'a>, Fatal> {
    if status > OK {
        return Err(Fatal::UnknownStatus { call, status });
    }
    if status < OK {
        return Ok(Answer { status, bytes: &[] });
    }
    let out = out
        .check(limit)
        .map_err(|error| Fatal::Lied { call, error })?;
    // SAFETY: by the boundary the bytes stay valid until the next call, and the callers above tie `'a` to a borrow
    // that ends there. A plugin that lies crashes this process, which holds nothing but the plugin.
    let bytes = unsafe { out.as_bytes() };
    Ok(Answer { status, bytes })
}
