//! Bodies under limits. Decompression is done here, because only here both sizes are seen.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use http::{HeaderMap, header};

/// Bytes that a decompressed body may have whatever came in.
const RATIO_FREE: usize = 64 << 10;

/// Collects a body.
pub(crate) struct Collector {
    received: usize,
    cap: usize,
    ratio: usize,
    sink: Sink,
}

enum Sink {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

/// Why a body can't be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unusable {
    /// Too large, or too large for what came in.
    TooLarge,
    /// Not the compression that it says.
    Corrupt,
    /// A compression that was not asked for.
    Encoding,
}

impl Unusable {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "it is too large",
            Self::Corrupt => "its compression is broken",
            Self::Encoding => "it is compressed in a way that was not asked for",
        }
    }
}

impl Collector {
    /// For a response with these headers, for at most `cap` bytes.
    pub(crate) fn new(headers: &HeaderMap, cap: usize, ratio: usize) -> Result<Self, Unusable> {
        let bounded = Bounded {
            bytes: Vec::new(),
            limit: cap,
        };
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        let encoding = encodings.next().map_or(&b""[..], |value| value.as_bytes());
        let sink = match encoding {
            b"" | b"identity" => Sink::Plain(bounded),
            _ if encoding.eq_ignore_ascii_case(b"gzip") => {
                Sink::Gzip(Box::new(MultiGzDecoder::new(bounded)))
            }
            _ => return Err(Unusable::Encoding),
        };
        if encodings.next().is_some() {
            return Err(Unusable::Encoding);
        }
        Ok(Self {
            received: 0,
            cap,
            ratio,
            sink,
        })
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), Unusable> {
        self.received = self.received.saturating_add(piece.len());
        if self.received > self.cap {
            return Err(Unusable::TooLarge);
        }
        match &mut self.sink {
            Sink::Plain(bounded) => bounded.write_all(piece),
            Sink::Gzip(decoder) => {
                let allowed = RATIO_FREE.max(self.received.saturating_mul(self.ratio));
                decoder.get_mut().limit = self.cap.min(allowed);
                decoder.write_all(piece)
            }
        }
        .map_err(reason)
    }

    /// The whole body.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Unusable> {
        match self.sink {
            Sink::Plain(bounded) => Ok(bounded.bytes),
            // The answer to HEAD names the compression of a body that is not there.
            Sink::Gzip(_) if self.received == 0 => Ok(Vec::new()),
            Sink::Gzip(decoder) => decoder
                .finish()
                .map(|bounded| bounded.bytes)
                .map_err(reason),
        }
    }
}

fn reason(error: io::Error) -> Unusable {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Unusable::TooLarge,
        _ => Unusable::Corrupt,
    }
}

/// Takes bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
