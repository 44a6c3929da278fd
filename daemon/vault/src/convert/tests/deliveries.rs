//! Deliveries, their marks and their numbers.

use bindery_core::delivery::DeliveryState;

use super::*;

/// Deliveries are written whole.
#[test]
fn deliveries_are_written_whole() {
    assert_full(&full_delivery(), 13);
    assert_full(&mark(), 3);
    assert_full(&head(), 3);
    let message = full_delivery().write();
    assert_eq!(fields(&message.headers[0].encode_to_vec()), [1, 2].into());
    assert_eq!(fields(&message.events[0].encode_to_vec()), [1, 2].into());
}

/// All states come back.
#[test]
fn all_states_come_back() {
    for state in [
        DeliveryState::Stored,
        DeliveryState::Processed,
        DeliveryState::Ignored,
        DeliveryState::Duplicate,
        DeliveryState::Unparsed,
    ] {
        let delivery = Delivery {
            state,
            ..full_delivery()
        };
        assert_eq!(record::<Delivery>(&bytes(&delivery)), Ok(delivery));
    }
}

/// A delivery that is not whole is no delivery.
#[test]
fn spoiled_deliveries_are_errors() {
    let broken: [fn(&mut disk::Delivery); 6] = [
        |delivery| delivery.state = 0,
        |delivery| delivery.state = 99,
        |delivery| delivery.hook.clear(),
        |delivery| delivery.about = text("a/b"),
        |delivery| delivery.marks[1].truncate(31),
        |delivery| delivery.events[0].namespace.clear(),
    ];
    for (at, spoil) in broken.into_iter().enumerate() {
        let mut message = full_delivery().write();
        spoil(&mut message);
        assert!(Delivery::read(message).is_err(), "spoiled {at}");
    }
    let mut message = mark().write();
    message.digest.push(0);
    assert!(DeliveryMark::read(message).is_err());
}

pub(super) fn samples() -> Vec<Record> {
    vec![
        Record::Delivery(full_delivery()),
        Record::Delivery(Delivery {
            stable_id: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            redelivered: false,
            message: String::new(),
            events: Vec::new(),
            marks: Vec::new(),
            about: None,
            ..full_delivery()
        }),
        Record::DeliveryMark(mark()),
        Record::DeliveryHead(head()),
        Record::DeliveryHead(DeliveryHead::default()),
    ]
}

fn full_delivery() -> Delivery {
    Delivery {
        number: 1,
        hook: hook_id(),
        stable_id: text("d-1"),
        event: text("push"),
        headers: vec![(text("x-event"), text("push"))],
        body: b"{\"a\":\xff}".to_vec(),
        received: at(2),
        redelivered: true,
        state: DeliveryState::Ignored,
        message: text("text"),
        events: vec![(namespace_name(), 3)],
        marks: vec![[4; 32], [5; 32]],
        about: Some(hook_id()),
    }
}

fn mark() -> DeliveryMark {
    DeliveryMark {
        hook: hook_id(),
        digest: [6; 32],
        number: 7,
    }
}

fn head() -> DeliveryHead {
    DeliveryHead {
        reserved: 8,
        processed: 9,
        first: 10,
    }
}
