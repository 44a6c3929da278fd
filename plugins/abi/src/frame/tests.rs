//! Properties of the codec, over seeded random frames so that Miri runs them too

use super::*;

const LIMIT: usize = 4096;
const ROUNDS: usize = if cfg!(miri) { 40 } else { 4000 };
const KINDS: [Kind; 5] = [
    Kind::Start,
    Kind::Resume,
    Kind::Drop,
    Kind::Ready,
    Kind::Fatal,
];

/// A small generator (splitmix64): the same frames in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out).expect("a short body");
    out
}

/// Whatever is encoded is decoded to the same, and a decoder takes exactly its bytes.
#[test]
fn a_frame_survives_the_wire() {
    let mut random = Random(1);
    for _ in 0..ROUNDS {
        let len = random.below(100);
        let body = random.bytes(len);
        let status = i32::from_le_bytes(random.bytes(4).try_into().expect("four"));
        let frame = Frame {
            kind: KINDS[random.below(5)],
            handle: random.next(),
            status,
            body: &body,
        };
        let mut bytes = encoded(&frame);
        let taken = bytes.len();
        bytes.extend_from_slice(b"the next frame");
        assert_eq!(Frame::decode(&bytes, LIMIT), Ok(Some((frame, taken))));
    }
}

/// Every proper prefix of a frame is "not yet", never an error and never a frame.
#[test]
fn p6_a_truncated_frame_is_incomplete() {
    let frame = Frame {
        kind: Kind::Resume,
        handle: 7,
        status: -2,
        body: b"0123456789",
    };
    let bytes = encoded(&frame);
    for len in 0..bytes.len() {
        assert_eq!(Frame::decode(&bytes[..len], LIMIT), Ok(None), "{len} bytes");
    }
}

/// A length above the limit is refused from the header alone, so nobody allocates for it.
#[test]
fn p6_an_oversize_length_is_refused_before_the_body() {
    for len in [4097, 1 << 30, u32::MAX] {
        let header = Header {
            len,
            kind: Kind::Start,
            handle: 1,
            status: 0,
        }
        .encode();
        let refused = FrameError::TooLong {
            len: len as usize,
            limit: LIMIT,
        };
        assert_eq!(Header::decode(&header, LIMIT), Err(refused));
        assert_eq!(Frame::decode(&header, LIMIT), Err(refused));
    }
    let header = Header {
        len: 4096,
        kind: Kind::Start,
        handle: 1,
        status: 0,
    };
    assert_eq!(Header::decode(&header.encode(), LIMIT), Ok(header));
}

/// Random bytes are refused or are exactly the encoding of what was decoded: there is one encoding per frame.
#[test]
fn p6_random_bytes_never_decode_to_something_else() {
    let mut random = Random(2);
    for round in 0..ROUNDS {
        let len = HEADER_LEN + random.below(64);
        let mut bytes = random.bytes(len);
        if round % 2 == 0 {
            // Otherwise almost every input fails at its length.
            bytes[0..4]
                .copy_from_slice(&(u32::try_from(len - HEADER_LEN).expect("short")).to_le_bytes());
            bytes[4..8]
                .copy_from_slice(&(u32::try_from(random.below(5)).expect("short")).to_le_bytes());
            bytes[20..24].copy_from_slice(&[0; 4]);
        }
        if let Ok(Some((frame, taken))) = Frame::decode(&bytes, LIMIT) {
            assert_eq!(encoded(&frame), &bytes[..taken]);
        }
    }
}

/// Kinds other than the five, and a reserved word that is not zero, are refused by name.
#[test]
fn p6_unknown_kinds_and_reserved_bits_are_refused() {
    let mut bytes = encoded(&Frame {
        kind: Kind::Drop,
        handle: 0,
        status: 0,
        body: b"",
    });
    bytes[4] = 4;
    assert_eq!(
        Frame::decode(&bytes, LIMIT),
        Err(FrameError::UnknownKind(4))
    );
    bytes[4] = 3;
    bytes[23] = 1;
    assert_eq!(
        Frame::decode(&bytes, LIMIT),
        Err(FrameError::ReservedNotZero(1 << 24))
    );
}

/// The layout is the documented one, byte for byte.
#[test]
fn the_layout_is_fixed() {
    let frame = Frame {
        kind: Kind::Fatal,
        handle: 0x0807_0605_0403_0201,
        status: -1,
        body: b"hi",
    };
    let expected =
        b"\x02\0\0\0\x81\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\xff\xff\xff\xff\0\0\0\0hi";
    assert_eq!(encoded(&frame), expected);
}

/// Every state of isolation survives READY; unknown and contradictory bits are refused.
#[test]
fn isolation_survives_ready() {
    for seccomp in [false, true] {
        for landlock in [Landlock::NotEnforced, Landlock::Partly, Landlock::Fully] {
            let isolation = Isolation { seccomp, landlock };
            let mut body = isolation.encode().to_vec();
            body.extend_from_slice(b"description");
            assert_eq!(
                Isolation::decode(&body),
                Ok((isolation, &b"description"[..]))
            );
        }
    }
    assert_eq!(Isolation::decode(&[1, 0, 0]), Err(FrameError::NoPreamble));
    assert_eq!(
        Isolation::decode(&[6, 0, 0, 0]),
        Err(FrameError::BadIsolation(6))
    );
    assert_eq!(
        Isolation::decode(&[8, 0, 0, 0]),
        Err(FrameError::BadIsolation(8))
    );
}
