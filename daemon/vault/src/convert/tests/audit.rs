//! How far the audit log goes.

use bindery_core::audit::AuditMark;

use super::*;

/// It is written whole.
#[test]
fn heads_are_written_whole() {
    assert_full(&head(), 3);
    let message = head().write();
    let last = message.last.unwrap().encode_to_vec();
    assert_eq!(fields(&last), [1, 2].into());
}

/// A head without a place, or with a mangled one, is none.
#[test]
fn spoiled_heads_are_errors() {
    let broken: [fn(&mut disk::AuditHead); 3] = [
        |head| head.last = None,
        |head| head.before = None,
        |head| head.last.as_mut().unwrap().chain.truncate(31),
    ];
    for (at, spoil) in broken.into_iter().enumerate() {
        let mut message = head().write();
        spoil(&mut message);
        assert!(AuditHead::read(message).is_err(), "spoiled {at}");
    }
}

pub(super) fn samples() -> Vec<Record> {
    vec![
        Record::AuditHead(head()),
        Record::AuditHead(AuditHead {
            key: canary(),
            last: AuditMark::default(),
            before: AuditMark::default(),
        }),
    ]
}

pub(super) fn head() -> AuditHead {
    let mark = |sequence| AuditMark {
        sequence,
        chain: [7; 32],
    };
    AuditHead {
        key: canary(),
        last: mark(9),
        before: mark(4),
    }
}
