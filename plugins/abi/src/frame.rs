//! What the daemon and a worker say to each other, as bytes
//!
//! ```text
//! u32 len | u32 kind | u64 handle | i32 status | u32 zero | len bytes        all little endian
//! ```
//!
//! | kind | direction | handle | status | body |
//! |---|---|---|---|---|
//! | START 1 | to the worker | chosen by the host, not in use | 0 | the request |
//! | START 1 | reply | the same | of the call | the first step, empty if the status is negative |
//! | RESUME 2 | to the worker | of a started operation | 0 | results of effects |
//! | RESUME 2 | reply | the same | of the call | the next step, empty if the status is negative |
//! | DROP 3 | to the worker, no reply | of any operation | 0 | empty |
//! | READY 0x80 | from the worker, once, first | 0 | 0 | `u32` [`Isolation`] bits, then the `Description` |
//! | FATAL 0x81 | from the worker, once, last | 0 | 0 | one sentence, UTF-8 |
//!
//! A RESUME with an unknown handle and a START with one in use are answered with [`ERR_ARG`](crate::ERR_ARG); a DROP of
//! an unknown handle is ignored. After FATAL the worker exits with [`EXIT_FATAL`]; when its input ends it exits with 0.
//!
//! The codec is pure: it neither reads nor writes, and it refuses a length before anyone allocates for it.

use std::fmt;

/// Descriptor from which a worker reads requests.
pub const FD_IN: i32 = 3;

/// Descriptor to which a worker writes replies. It may be the same socket as [`FD_IN`].
pub const FD_OUT: i32 = 4;

/// Descriptor of the plugin's image. The worker closes it once the image is loaded.
pub const FD_IMAGE: i32 = 5;

/// Refuse to load a plugin if the system call filter can't be installed. This is the default.
pub const ARG_REQUIRE_SANDBOX: &str = "--require-sandbox";

/// Load a plugin even if the system call filter can't be installed, and say so in READY.
pub const ARG_ALLOW_UNSANDBOXED: &str = "--allow-unsandboxed";

/// Exit status of a worker after FATAL.
pub const EXIT_FATAL: i32 = 1;

/// Exit status of a worker that was called with a wrong argument.
pub const EXIT_USAGE: i32 = 64;

/// Exit status of a worker with a defect of its own.
pub const EXIT_PANIC: i32 = 70;

/// Length of a frame without its body.
pub const HEADER_LEN: usize = 24;

/// Length of what precedes the `Description` in the body of READY.
pub const PREAMBLE_LEN: usize = 4;

const BIT_SECCOMP: u32 = 1 << 0;
const BIT_LANDLOCK_PARTLY: u32 = 1 << 1;
const BIT_LANDLOCK_FULLY: u32 = 1 << 2;

/// What a frame is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Kind {
    /// Starts an operation, and its first step.
    Start = 1,
    /// Continues an operation, and its next step.
    Resume = 2,
    /// Ends an operation; has no reply.
    Drop = 3,
    /// The plugin is loaded.
    Ready = 0x80,
    /// The worker gives up.
    Fatal = 0x81,
}

/// All of a frame but its body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Length of the body.
    pub len: u32,
    /// What the frame is about.
    pub kind: Kind,
    /// Which operation.
    pub handle: u64,
    /// Status of the call, in a reply.
    pub status: i32,
}

/// A whole frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// What the frame is about.
    pub kind: Kind,
    /// Which operation.
    pub handle: u64,
    /// Status of the call, in a reply.
    pub status: i32,
    /// The message.
    pub body: &'a [u8],
}

/// How far landlock holds in a worker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Landlock {
    /// The kernel has none.
    #[default]
    NotEnforced,
    /// The kernel knows only some of the rights: an older one.
    Partly,
    /// Files, TCP, signals and abstract sockets are all denied.
    Fully,
}

/// What confines a worker, as it says itself in READY before any of the plugin's functions was called.
///
/// A host reports `full` for seccomp with [`Landlock::Fully`], `seccomp` for seccomp with less, `process` otherwise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Isolation {
    /// Both system call filters are installed.
    pub seccomp: bool,
    /// How far landlock holds.
    pub landlock: Landlock,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The body is longer than this reader allows.
    TooLong {
        /// Length of the body.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// No such kind.
    UnknownKind(u32),
    /// The word that must be zero is not.
    ReservedNotZero(u32),
    /// The body of READY is shorter than its preamble.
    NoPreamble,
    /// The preamble of READY has bits that this version does not know, or that contradict each other.
    BadIsolation(u32),
}

impl Kind {
    /// Whether a worker takes this kind.
    pub const fn is_request(self) -> bool {
        matches!(self, Self::Start | Self::Resume | Self::Drop)
    }

    /// Whether a worker sends this kind.
    pub const fn is_reply(self) -> bool {
        !matches!(self, Self::Drop)
    }
}

impl TryFrom<u32> for Kind {
    type Error = FrameError;

    fn try_from(value: u32) -> Result<Self, FrameError> {
        Ok(match value {
            1 => Self::Start,
            2 => Self::Resume,
            3 => Self::Drop,
            0x80 => Self::Ready,
            0x81 => Self::Fatal,
            other => return Err(FrameError::UnknownKind(other)),
        })
    }
}

impl Header {
    /// The bytes of this header.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..8].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.handle.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.status.to_le_bytes());
        bytes
    }

    /// Reads a header whose body may have at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// The body would be too long, the kind is unknown, or the reserved word is not zero.
    pub fn decode(bytes: &[u8; HEADER_LEN], limit: usize) -> Result<Self, FrameError> {
        let len = u32::from_le_bytes(part(bytes, 0));
        if len as usize > limit {
            return Err(FrameError::TooLong {
                len: len as usize,
                limit,
            });
        }
        match u32::from_le_bytes(part(bytes, 20)) {
            0 => {}
            other => return Err(FrameError::ReservedNotZero(other)),
        }
        Ok(Self {
            len,
            kind: Kind::try_from(u32::from_le_bytes(part(bytes, 4)))?,
            handle: u64::from_le_bytes(part(bytes, 8)),
            status: i32::from_le_bytes(part(bytes, 16)),
        })
    }
}

impl<'a> Frame<'a> {
    /// Appends the bytes of this frame to `out`.
    ///
    /// # Errors
    ///
    /// The body does not fit the length field; nothing is written then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let too_long = FrameError::TooLong {
            len: self.body.len(),
            limit: u32::MAX as usize,
        };
        let len = u32::try_from(self.body.len()).map_err(|_| too_long)?;
        let header = Header {
            len,
            kind: self.kind,
            handle: self.handle,
            status: self.status,
        };
        out.reserve(HEADER_LEN + self.body.len());
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(self.body);
        Ok(())
    }

    /// Reads the first frame of `input` and says how many bytes it took. None while it is not complete.
    ///
    /// # Errors
    ///
    /// As [`Header::decode`], as soon as the header is complete.
    pub fn decode(input: &'a [u8], limit: usize) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((header, rest)) = input.split_first_chunk() else {
            return Ok(None);
        };
        let header = Header::decode(header, limit)?;
        Ok(rest
            .get(..header.len as usize)
            .map(|body| (header.with(body), HEADER_LEN + body.len())))
    }
}

impl Header {
    fn with(self, body: &[u8]) -> Frame<'_> {
        Frame {
            kind: self.kind,
            handle: self.handle,
            status: self.status,
            body,
        }
    }
}

impl Isolation {
    /// The preamble of READY.
    pub fn encode(self) -> [u8; PREAMBLE_LEN] {
        let landlock = match self.landlock {
            Landlock::NotEnforced => 0,
            Landlock::Partly => BIT_LANDLOCK_PARTLY,
            Landlock::Fully => BIT_LANDLOCK_FULLY,
        };
        let seccomp = if self.seccomp { BIT_SECCOMP } else { 0 };
        (seccomp | landlock).to_le_bytes()
    }

    /// Splits the body of READY into the preamble and the `Description`.
    ///
    /// # Errors
    ///
    /// The body is too short, or its bits make no sense.
    pub fn decode(body: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        let (preamble, description) = body.split_first_chunk().ok_or(FrameError::NoPreamble)?;
        let bits = u32::from_le_bytes(*preamble);
        let landlock = match bits & !BIT_SECCOMP {
            0 => Landlock::NotEnforced,
            BIT_LANDLOCK_PARTLY => Landlock::Partly,
            BIT_LANDLOCK_FULLY => Landlock::Fully,
            _ => return Err(FrameError::BadIsolation(bits)),
        };
        Ok((
            Self {
                seccomp: bits & BIT_SECCOMP != 0,
                landlock,
            },
            description,
        ))
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, limit } => {
                write!(
                    f,
                    "a frame with {len} bytes, and at most {limit} are allowed"
                )
            }
            Self::UnknownKind(kind) => write!(f, "a frame of the unknown kind {kind:#x}"),
            Self::ReservedNotZero(word) => write!(f, "a frame with {word:#x} where zero must be"),
            Self::NoPreamble => f.write_str("a ready frame without its preamble"),
            Self::BadIsolation(bits) => write!(f, "a ready frame with isolation bits {bits:#x}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// `N` bytes of a header; all callers stay inside.
fn part<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

#[cfg(test)]
mod tests;
