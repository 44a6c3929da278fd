//! What a header says of its slots.

use prost::Message;

use bindery_core::time::Timestamp;
use bindery_store_proto::v1 as disk;

use super::{SlotInfo, SlotKind};

/// The slots of a header, without those of a kind that this version doesn't know.
pub(crate) fn list(header: &disk::SealHeader) -> Vec<SlotInfo> {
    header.slots.iter().filter_map(info).collect()
}

/// The highest number that a slot ever had. A header from before this was kept knows its own slots only.
pub(crate) fn last_number(header: &disk::SealHeader) -> u32 {
    let own = header.slots.iter().map(|slot| slot.id).max();
    header.last_slot.max(own.unwrap_or_default())
}

/// The number of the next slot; `None` where all were used.
pub(crate) fn next_number(header: &disk::SealHeader) -> Option<u8> {
    u8::try_from(last_number(header) + 1).ok()
}

/// How many shares the recovery slot of a header needs; `None` where it has none.
pub(crate) fn shares_needed(header: &disk::SealHeader) -> Option<u8> {
    let of_shares = |slot: &&disk::Slot| slot.kind() == disk::SlotKind::Recovery;
    let slot = header.slots.iter().find(of_shares)?;
    let parameters = disk::SlotParameters::decode(slot.parameters.as_slice()).ok()?;
    u8::try_from(parameters.threshold).ok()
}

/// What a slot is; `None` for a kind that this version doesn't know.
pub(crate) fn info(slot: &disk::Slot) -> Option<SlotInfo> {
    let time = |ms: u64| (ms > 0).then(|| Timestamp::from_unix_ms(ms));
    Some(SlotInfo {
        id: u8::try_from(slot.id).ok()?,
        kind: SlotKind::read(slot.kind())?,
        label: slot.label.clone(),
        created: time(slot.created_ms),
        verified: time(slot.verified_ms),
    })
}

/// Whether these are at least two slots of different kind.
pub(crate) fn suffice(kinds: impl IntoIterator<Item = SlotKind>) -> bool {
    let kinds: std::collections::HashSet<_> = kinds.into_iter().collect();
    kinds.len() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header from before the highest number was kept goes on after its own slots; the mark of a newer one counts where
    /// its slot is gone.
    #[test]
    fn numbers_go_on_after_all_that_were_given() {
        let header = |slots: &[u32], last_slot| disk::SealHeader {
            slots: slots
                .iter()
                .map(|id| disk::Slot {
                    id: *id,
                    ..Default::default()
                })
                .collect(),
            last_slot,
            ..Default::default()
        };
        for (slots, last, next) in [
            (&[1, 2][..], 0, Some(3)),
            (&[2, 7, 3], 0, Some(8)),
            (&[1], 9, Some(10)),
            (&[1], 254, Some(255)),
            (&[1], 255, None),
        ] {
            assert_eq!(next_number(&header(slots, last)), next, "{slots:?} {last}");
        }
    }
}
