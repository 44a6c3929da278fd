//! A target of the fuzzer: it takes any bytes, and panics when a property does not hold.

use crate::{
    frame::{Frame, Header, Isolation},
    note::Note,
};

/// Longest body.
const LIMIT: usize = 1 << 16;

/// Frames that are read are written as the same bytes, and none is longer than the limit (THREATS P6).
pub fn abi_message(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some((frame, taken))) = Frame::decode(rest, LIMIT) {
        assert!(frame.body.len() <= LIMIT && taken <= rest.len());
        let mut again = Vec::new();
        frame.encode(&mut again).expect("a frame that was read");
        assert_eq!(again, &rest[..taken]);
        rest = &rest[taken..];
    }
    if let Some(header) = data.first_chunk()
        && let Ok(header) = Header::decode(header, LIMIT)
    {
        assert!(header.len as usize <= LIMIT);
    }
    if let Ok((isolation, rest)) = Isolation::decode(data) {
        let preamble = isolation.encode();
        assert_eq!([preamble.as_slice(), rest].concat(), data);
    }
    if let Some(note) = Note::parse(data) {
        assert!(data.len() >= 28, "{note:?}");
    }
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// P6: what is read from a worker is what was written.
    #[test]
    fn p6_frames_are_read_as_they_are_written() {
        replay("abi_message", super::abi_message);
    }
}
