//! A disk that breaks on purpose, for tests of whoever must not go on without an audit log.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::disk::{Disk, LogFile, RealDisk};

/// What a [`FaultyDisk`] does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DiskFault {
    /// It works.
    #[default]
    None,
    /// It takes a part of each write, and says that it is full.
    Full,
    /// As `Full`, and does not even let what is left over be cut off.
    FullAndStuck,
    /// It does not come back from any call, until it is mended.
    Stalled,
    /// It takes everything, and can't bring it to the disk.
    NoSync,
}

/// The file system, with a fault that can be set at any time.
#[derive(Debug, Default)]
pub struct FaultyDisk(Arc<State>);

#[derive(Debug, Default)]
struct State {
    fault: Mutex<DiskFault>,
    mended: Condvar,
    syncs: AtomicUsize,
}

struct FaultyFile {
    file: Arc<dyn LogFile>,
    state: Arc<State>,
}

impl FaultyDisk {
    /// From now on this goes wrong.
    pub fn set(&self, fault: DiskFault) {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        self.0.mended.notify_all();
    }

    /// How often files were brought to the disk.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.0.syncs.load(Ordering::SeqCst)
    }
}

impl State {
    /// What goes wrong now; waits out a stall.
    fn fault(&self) -> DiskFault {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let stalled = |fault: &mut DiskFault| *fault == DiskFault::Stalled;
        let waited = self.mended.wait_while(fault, stalled);
        *waited.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, new: bool) -> io::Result<Arc<dyn LogFile>> {
        let (file, state) = (RealDisk.open(path, new)?, Arc::clone(&self.0));
        Ok(Arc::new(FaultyFile { file, state }))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_folder(path)
    }
}

impl LogFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.state.fault() {
            DiskFault::Full | DiskFault::FullAndStuck => {
                let part = bytes.get(..bytes.len() / 2).unwrap_or_default();
                self.file.write_at(part, offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => self.file.write_at(bytes, offset),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        match self.state.fault() {
            DiskFault::FullAndStuck => Err(io::ErrorKind::Other.into()),
            _ => self.file.set_len(length),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.state.syncs.fetch_add(1, Ordering::SeqCst);
        match self.state.fault() {
            DiskFault::NoSync => Err(io::ErrorKind::Other.into()),
            _ => self.file.sync(),
        }
    }
}
