//! Whether what a backup holds is what its manifest says.

use bindery_store_proto::v1 as disk;

use super::{BackupError, key::Opening};
use crate::{
    address::{Address, Place},
    convert, header,
    keys::{self, Keys},
    kind::Kind,
    manifest::Manifest,
    ring::KeyRing,
    sealed::Prefix,
};

/// Follows the frames of a backup.
pub(super) struct Check {
    opening: Opening,
    store_id: [u8; 16],
    current: Option<Current>,
    found: Manifest,
    end: Option<disk::BackupEnd>,
}

/// The newest header, and the keys that it gives.
struct Current {
    file: Vec<u8>,
    keys: Keys,
}

/// What a whole backup comes down to.
pub(super) struct Whole {
    /// The newest header, as a file.
    pub(super) header: Vec<u8>,
    /// The keys of the vault.
    pub(super) keys: Keys,
    /// What its manifest says.
    pub(super) manifest: Manifest,
    /// The manifest as it is stored.
    pub(super) sealed_manifest: Vec<u8>,
}

impl Check {
    pub(super) fn new(opening: Opening, store_id: [u8; 16]) -> Self {
        Self {
            opening,
            store_id,
            current: None,
            found: Manifest::default(),
            end: None,
        }
    }

    /// Takes the next frame.
    pub(super) fn frame(&mut self, frame: &disk::BackupFrame) -> Result<(), BackupError> {
        use disk::backup_frame::Frame;
        if self.end.is_some() {
            return Err(BackupError::Invalid("something follows its end"));
        }
        match &frame.frame {
            Some(Frame::Header(file)) => self.header(file),
            Some(Frame::Records(records)) => {
                records.records.iter().try_for_each(|one| self.record(one))
            }
            Some(Frame::End(end)) => {
                self.end = Some(end.clone());
                Ok(())
            }
            None => Err(BackupError::Invalid("a newer release made it")),
        }
    }

    /// Compares with the manifest.
    pub(super) fn finish(self) -> Result<Whole, BackupError> {
        let short = BackupError::Invalid("its end is missing");
        let (Some(end), Some(current)) = (self.end, self.current) else {
            return Err(short);
        };
        let manifest = current.keys.open_manifest(&end.manifest);
        let manifest = manifest.ok_or(BackupError::Invalid("its manifest does not open"))?;
        let same = (self.found.count, self.found.set) == (manifest.count, manifest.set)
            && (end.records, end.generation) == (manifest.count, manifest.generation);
        if !same {
            return Err(BackupError::Invalid(
                "its records are not those of its manifest",
            ));
        }
        Ok(Whole {
            header: current.file,
            keys: current.keys,
            manifest,
            sealed_manifest: end.manifest,
        })
    }

    fn header(&mut self, file: &[u8]) -> Result<(), BackupError> {
        let damaged = || BackupError::Invalid("its header is damaged");
        let candidate = header::parse(file).map_err(BackupError::Header)?;
        if candidate.store_id != self.store_id {
            return Err(damaged());
        }
        let slots = &candidate.header.slots;
        let root = self.opening.root_of(slots, &self.store_id)?;
        if !candidate.is_authentic(&keys::header_mac(&root)?) {
            return Err(damaged());
        }
        let kek = keys::kek(&root)?;
        let ring = KeyRing::open(&kek, &self.store_id, &candidate.header.sealed_ring);
        let base = keys::open_base(&root, &self.store_id, &candidate.header.sealed_base);
        let base = base.map_err(|_| damaged())?;
        let keys = Keys::new(self.store_id, root, base, ring.map_err(|_| damaged())?)?;
        self.current = Some(Current {
            file: file.to_vec(),
            keys,
        });
        Ok(())
    }

    fn record(&mut self, record: &disk::BackupRecord) -> Result<(), BackupError> {
        let odd = || BackupError::Invalid("it holds a record of no known kind");
        let current = self.current.as_ref();
        let keys = &current
            .ok_or(BackupError::Invalid("its header is missing"))?
            .keys;
        let place = place(record).ok_or_else(odd)?;
        if let Some(replaced) = &record.replaces {
            let mark = replaced.as_slice().try_into().map_err(|_| odd())?;
            self.found.remove(mark);
        }
        if let Some(value) = &record.value {
            if !opens(keys, place, value) {
                return Err(BackupError::Invalid("a record in it does not open"));
            }
            self.found.add(keys.mark(place.kind, &place.key, value));
        }
        Ok(())
    }
}

/// Where a record of a backup is kept.
pub(super) fn place(record: &disk::BackupRecord) -> Option<Place> {
    let code = u8::try_from(record.kind).ok()?;
    let kind = *Kind::ALL.iter().find(|kind| kind.code() == code)?;
    let key = record.key.as_slice().try_into().ok()?;
    Some(Place { kind, key })
}

/// Whether a stored value opens at its place, can be read, and leads back to its place.
pub(crate) fn opens(keys: &Keys, place: Place, value: &[u8]) -> bool {
    let Ok((prefix, _)) = Prefix::parse(value) else {
        return false;
    };
    let binding = prefix.binding;
    let Ok((_, plaintext)) = keys.open_record(&Address { place, binding }, value) else {
        return false;
    };
    let Ok(record) = convert::decode(place.kind, &plaintext) else {
        return false;
    };
    keys.own_place(&record).is_none_or(|own| own == place)
}
