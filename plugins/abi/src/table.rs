//! The table of a plugin and the types in it

#![expect(unsafe_code, reason = "what crosses the boundary is raw pointers")]

use std::{
    ffi::{CStr, c_void},
    fmt,
    marker::{PhantomData, PhantomPinned},
    ptr,
};

/// `"BINDERY\x01"`, little endian: the first field of every table.
pub const MAGIC: u64 = 0x0159_5245_444e_4942;

/// Major version of this boundary. It is also part of [`TABLE_SYMBOL`].
pub const ABI_MAJOR: u32 = 1;

/// Minor version of this boundary.
pub const ABI_MINOR: u32 = 0;

/// The exported data symbol.
pub const TABLE_SYMBOL: &CStr = c"bindery_plugin_v1";

/// The library was built so that a panic unwinds and can be caught.
pub const FLAG_PANIC_UNWIND: u32 = 1 << 0;

/// The library was built with the Rust SDK.
pub const FLAG_RUST_SDK: u32 = 1 << 1;

/// The call went well, and its output is valid.
pub const OK: i32 = 0;

/// A panic escaped even the typed-error path.
pub const ERR_PANIC: i32 = -1;

/// An argument is wrong, for instance a handle that does not exist.
pub const ERR_ARG: i32 = -2;

/// Memory ran out.
pub const ERR_OOM: i32 = -3;

/// Borrowed bytes. `ptr` may be null exactly when `len` is 0.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Slice {
    /// First byte.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

/// A running operation, owned and understood by the plugin alone.
#[derive(Debug)]
#[repr(C)]
pub struct Op {
    _opaque: [u8; 0],
    _not_send_sync_unpin: PhantomData<(*mut u8, PhantomPinned)>,
}

/// Writes the `Description` of the plugin to `out`; its bytes stay valid for ever.
pub type DescribeFn = unsafe extern "C" fn(out: *mut Slice) -> i32;

/// Starts an operation and runs it to its first step.
pub type StartFn =
    unsafe extern "C" fn(request: Slice, handle: *mut *mut Op, out: *mut Slice) -> i32;

/// Hands over the results of effects and runs the operation to its next step.
pub type ResumeFn = unsafe extern "C" fn(handle: *mut Op, results: Slice, out: *mut Slice) -> i32;

/// Ends an operation, at whatever point it is.
pub type DropFn = unsafe extern "C" fn(handle: *mut Op);

/// The five fields that are frozen in every major version. A reader looks at these first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Prefix {
    /// [`MAGIC`].
    pub magic: u64,
    /// Major version that the plugin was built for.
    pub abi_major: u32,
    /// Minor version that the plugin was built for.
    pub abi_minor: u32,
    /// Size of the table that the plugin was built with.
    pub struct_size: u32,
    /// [`FLAG_PANIC_UNWIND`], [`FLAG_RUST_SDK`].
    pub flags: u32,
}

/// The table behind `bindery_plugin_v1`.
///
/// The functions are options only so that a reader can meet a null without undefined behaviour; a plugin with one is
/// refused.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PluginV1 {
    /// Version and size.
    pub prefix: Prefix,
    /// See [`DescribeFn`].
    pub describe: Option<DescribeFn>,
    /// See [`StartFn`].
    pub start: Option<StartFn>,
    /// See [`ResumeFn`].
    pub resume: Option<ResumeFn>,
    /// See [`DropFn`].
    pub drop: Option<DropFn>,
    /// Null in 1.0.
    pub reserved: [*const c_void; 4],
}

// SAFETY: the table is never written, its functions may be called from any thread by the rules of the boundary, and
// the reserved pointers are null in a table that Rust code makes.
unsafe impl Sync for PluginV1 {}

/// Size of [`PluginV1`] as the version fields write it.
pub const TABLE_SIZE: u32 = 88;

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<PluginV1>() == TABLE_SIZE as usize);

/// Why a slice that came from a plugin is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SliceError {
    /// Null, and yet not empty.
    NullWithLength {
        /// The claimed length.
        len: usize,
    },
    /// Longer than allowed.
    TooLong {
        /// The claimed length.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
}

impl Slice {
    /// No bytes.
    pub const EMPTY: Self = Self {
        ptr: ptr::null(),
        len: 0,
    };

    /// Borrows `bytes`; the caller of the boundary keeps them alive as long as the rules ask.
    pub const fn new(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }

    /// Checks what can be checked from outside.
    ///
    /// # Errors
    ///
    /// The pointer is null although there is a length, or the length is above `limit`.
    pub const fn check(self, limit: usize) -> Result<Self, SliceError> {
        if self.ptr.is_null() && self.len != 0 {
            return Err(SliceError::NullWithLength { len: self.len });
        }
        if self.len > limit {
            return Err(SliceError::TooLong {
                len: self.len,
                limit,
            });
        }
        Ok(self)
    }

    /// The bytes. Null with length 0 gives an empty slice.
    ///
    /// # Safety
    ///
    /// Unless `len` is 0, `ptr` points to `len` initialised bytes that nobody writes or frees during `'a`, and `len`
    /// is at most `isize::MAX`.
    pub const unsafe fn as_bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: not empty, so the caller vouches for `len` bytes at `ptr` during `'a`.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl PluginV1 {
    /// A table of this version.
    pub const fn new(
        flags: u32,
        describe: DescribeFn,
        start: StartFn,
        resume: ResumeFn,
        drop: DropFn,
    ) -> Self {
        Self {
            prefix: Prefix {
                magic: MAGIC,
                abi_major: ABI_MAJOR,
                abi_minor: ABI_MINOR,
                struct_size: TABLE_SIZE,
                flags,
            },
            describe: Some(describe),
            start: Some(start),
            resume: Some(resume),
            drop: Some(drop),
            reserved: [ptr::null(); 4],
        }
    }
}

impl fmt::Display for SliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NullWithLength { len } => write!(f, "{len} bytes at a null pointer"),
            Self::TooLong { len, limit } => {
                write!(f, "{len} bytes, and at most {limit} are allowed")
            }
        }
    }
}

impl std::error::Error for SliceError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// P6: a length that cannot be true is refused before anyone reads the bytes.
    #[test]
    fn p6_a_slice_is_checked_before_it_is_read() {
        let null = Slice {
            ptr: ptr::null(),
            len: 3,
        };
        assert_eq!(
            null.check(10).unwrap_err(),
            SliceError::NullWithLength { len: 3 }
        );
        let long = Slice {
            ptr: ptr::dangling(),
            len: 1 << 40,
        };
        assert_eq!(
            long.check(10).unwrap_err(),
            SliceError::TooLong {
                len: 1 << 40,
                limit: 10
            }
        );
        assert!(Slice::new(b"0123456789").check(10).is_ok());
        assert!(Slice::new(b"0123456789a").check(10).is_err());
    }

    /// Bytes come back as they went in, and null with no length is the empty slice.
    #[test]
    fn a_slice_gives_its_bytes_back() {
        let bytes = vec![7u8; 33];
        // SAFETY: `bytes` lives to the end of the test.
        assert_eq!(unsafe { Slice::new(&bytes).as_bytes() }, &bytes[..]);
        // SAFETY: no length, so nothing is read.
        assert_eq!(unsafe { Slice::EMPTY.as_bytes() }, b"");
    }
}
