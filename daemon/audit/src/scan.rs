//! One file, line by line.

use std::{fs, io, path::Path};

use bindery_core::audit::AuditMark;
use ring::hmac;

use crate::{
    files,
    line::{self, Misfit},
};

/// The lines of a file.
pub(crate) struct Lines {
    /// What its first line goes on from; `None` where that one is damaged.
    pub(crate) before: Option<AuditMark>,
    bytes: Vec<u8>,
    /// Where its records begin.
    start: usize,
}

/// How far a file could be followed.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The last record that fits.
    pub(crate) mark: AuditMark,
    /// Where it ends.
    pub(crate) end: usize,
    /// How many fitted.
    pub(crate) records: u64,
    /// What the next line is instead; `None` at the end of the file.
    pub(crate) misfit: Option<Misfit>,
}

impl Lines {
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let start = bytes
            .iter()
            .position(|c| *c == b'\n')
            .map_or(0, |at| at + 1);
        let head = bytes.get(..start.saturating_sub(1)).unwrap_or_default();
        Ok(Self {
            before: files::read_head(head),
            start,
            bytes,
        })
    }

    /// Whether not even the first line is whole.
    pub(crate) fn is_begun_only(&self) -> bool {
        self.start == 0
    }

    /// All lines of records, without their line breaks. The last one may be cut off.
    pub(crate) fn records(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let records = self.bytes.get(self.start..).unwrap_or_default();
        records
            .split(|c| *c == b'\n')
            .filter(|line| !line.is_empty())
    }

    /// Follows the chain from `mark` up to the record number `until`, or as far as it goes.
    pub(crate) fn follow(&self, key: &hmac::Key, mut mark: AuditMark, until: u64) -> Followed {
        let (mut end, mut records, mut misfit) = (self.start, 0, None);
        while mark.sequence < until {
            let rest = self.bytes.get(end..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let length = rest.iter().position(|c| *c == b'\n');
            let line = length.and_then(|length| rest.get(..length));
            let line = line.ok_or(Misfit::Unreadable);
            match line.and_then(|line| line::follow(key, &mut mark, line)) {
                Ok(()) => {
                    end += length.map_or(rest.len(), |length| length + 1);
                    records += 1;
                }
                Err(why) => {
                    misfit = Some(why);
                    break;
                }
            }
        }
        Followed {
            mark,
            end,
            records,
            misfit,
        }
    }

    /// Whether what comes after `end` is one line that was not written to its end.
    pub(crate) fn is_torn_after(&self, end: usize) -> bool {
        let rest = self.bytes.get(end..).unwrap_or_default();
        !rest.contains(&b'\n')
    }
}
