//! Opening every record, and telling what is damaged.

use data_encoding::HEXLOWER;

use crate::{
    backup::{BackupError, opens},
    kind::Kind,
    manifest::Manifest,
};

use super::{Item, SealedVault};

/// What opening every record found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Inspection {
    /// Records that were opened.
    pub records: u64,
    /// What is damaged, one English sentence each; at most [`Inspection::MOST`].
    pub damage: Vec<String>,
}

impl Inspection {
    /// Most findings that are told.
    pub const MOST: usize = 1000;

    /// Whether nothing is damaged.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.damage.is_empty()
    }

    fn tell(&mut self, damage: String) {
        if self.damage.len() < Self::MOST {
            self.damage.push(damage);
        }
    }
}

impl SealedVault {
    /// Opens every record and compares them with the manifest, while the vault is in use.
    ///
    /// # Errors
    ///
    /// The vault is sealed or can't be read, or a backup is under way. Damage is no error.
    pub async fn inspect(&self) -> Result<Inspection, BackupError> {
        let mut walk = self.walk().await?;
        let mut found = Manifest::default();
        let mut inspection = Inspection::default();
        loop {
            let step = walk.step().await?;
            for item in &step.items {
                if let Some(mark) = item.replaces {
                    found.remove(mark);
                }
                let Some(value) = &item.value else {
                    continue;
                };
                found.add(walk.keys().mark(item.place.kind, &item.place.key, value));
                if !opens(walk.keys(), item.place, value) {
                    inspection.tell(unreadable(item));
                }
            }
            if let Some((expected, _)) = step.end {
                inspection.records = found.count;
                compare(&mut inspection, &found, &expected);
                return Ok(inspection);
            }
        }
    }
}

fn compare(inspection: &mut Inspection, found: &Manifest, expected: &Manifest) {
    if found.count != expected.count {
        inspection.tell(format!(
            "{} records were written and {} are there; restore a backup",
            expected.count, found.count
        ));
    } else if found.set != expected.set {
        inspection.tell(
            "records were changed, exchanged or rolled back outside of bindery; restore a backup"
                .to_owned(),
        );
    }
}

fn unreadable(item: &Item) -> String {
    let kind: Kind = item.place.kind;
    format!(
        "record {} of {} does not open; restore a backup",
        HEXLOWER.encode(&item.place.key[16..]),
        kind.tree().name()
    )
}
