//! The ELF note of a plugin
//!
//! `dlopen` runs constructors, so whatever is checked after it is checked too late. The note repeats version, flags and
//! table size where a reader of the file finds them.

use crate::table::{ABI_MAJOR, ABI_MINOR, TABLE_SIZE};

/// Section of the note.
pub const NOTE_SECTION: &str = ".note.bindery";

/// Owner name of the note, with its terminator.
pub const NOTE_NAME: [u8; 8] = *b"Bindery\0";

/// Type of the note.
pub const NOTE_TYPE: u32 = 0x424e_4401;

/// Length of the note in the file.
pub const NOTE_LEN: usize = 36;

/// Length of [`NOTE_NAME`].
const NAME_LEN: u32 = 8;

/// Length of the note's descriptor: major, minor, flags, size.
const DESC_LEN: u32 = 16;

/// The note as it lies in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Note {
    /// Length of `name`: 8.
    pub namesz: u32,
    /// Length of the four fields after `name`: 16.
    pub descsz: u32,
    /// [`NOTE_TYPE`].
    pub kind: u32,
    /// [`NOTE_NAME`].
    pub name: [u8; 8],
    /// Major version of the boundary.
    pub major: u32,
    /// Minor version of the boundary.
    pub minor: u32,
    /// The same flags as in the table.
    pub flags: u32,
    /// Size of the table.
    pub size: u32,
}

const _: () = assert!(size_of::<Note>() == NOTE_LEN);

impl Note {
    /// A note of this version.
    pub const fn new(flags: u32) -> Self {
        Self {
            namesz: NAME_LEN,
            descsz: DESC_LEN,
            kind: NOTE_TYPE,
            name: NOTE_NAME,
            major: ABI_MAJOR,
            minor: ABI_MINOR,
            flags,
            size: TABLE_SIZE,
        }
    }

    /// Reads the note from the bytes of its section, in the byte order of this machine. None if it is not the note of
    /// a plugin; its version is the caller's to judge. Bytes after the note are ignored.
    pub fn parse(section: &[u8]) -> Option<Self> {
        let note = Self {
            namesz: word(section, 0)?,
            descsz: word(section, 4)?,
            kind: word(section, 8)?,
            name: section.get(12..20)?.try_into().ok()?,
            major: word(section, 20)?,
            minor: word(section, 24)?,
            flags: word(section, 28)?,
            size: word(section, 32)?,
        };
        note.is_ours().then_some(note)
    }

    fn is_ours(&self) -> bool {
        self.namesz == NAME_LEN
            && self.descsz >= DESC_LEN
            && self.kind == NOTE_TYPE
            && self.name == NOTE_NAME
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(note: &Note) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [note.namesz, note.descsz, note.kind] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&note.name);
        for word in [note.major, note.minor, note.flags, note.size] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// A note survives the way through the file, whatever follows it.
    #[test]
    fn a_note_is_read_back() {
        let note = Note {
            major: 9,
            ..Note::new(3)
        };
        let mut bytes = bytes_of(&note);
        bytes.extend_from_slice(b"padding");
        assert_eq!(Note::parse(&bytes), Some(note));
    }

    /// P6: a cut note, and any change to what makes it ours, is no note.
    #[test]
    fn p6_a_damaged_note_is_refused() {
        let bytes = bytes_of(&Note::new(0));
        for len in 0..NOTE_LEN {
            assert_eq!(Note::parse(&bytes[..len]), None, "{len} bytes");
        }
        for at in (0..4).chain(8..20) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            assert_eq!(Note::parse(&bad), None, "byte {at}");
        }
    }
}
