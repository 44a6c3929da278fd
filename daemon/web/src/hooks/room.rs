//! Room in memory for bodies that are being taken (THREATS W5).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::client::neighbourhood;

/// Bytes of bodies that are in memory at once: what is sent is counted, not what is announced.
const IN_ALL: usize = 64 << 20;

/// Those of one neighbourhood of addresses, two of the longest bodies: nobody has proven who sends yet.
const EACH: usize = 16 << 20;

/// Bytes of each body that do not count for its neighbourhood. Nearly all bodies are shorter, and a provider sends all of its own
/// from a few addresses.
const FREE: usize = 64 << 10;

/// Room for the bodies of all deliveries that are being taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<Mutex<Used>>);

#[derive(Debug, Default)]
struct Used {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// The room that one body takes; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Held {
    room: Room,
    from: IpAddr,
    bytes: usize,
    /// Those of them that count for the neighbourhood.
    shared: usize,
}

impl Room {
    /// For a body that comes from an address.
    pub(crate) fn for_body(&self, from: IpAddr) -> Held {
        Held {
            room: self.clone(),
            from: neighbourhood(from),
            bytes: 0,
            shared: 0,
        }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes so many bytes more; false where there is no room for them.
    pub(crate) fn take(&mut self, more: usize) -> bool {
        let shared = (self.bytes + more).saturating_sub(FREE) - self.shared;
        let mut used = self.room.used();
        let own = used.each.get(&self.from).copied().unwrap_or_default();
        if used.all + more > IN_ALL || own + shared > EACH {
            return false;
        }
        used.all += more;
        if shared > 0 {
            used.each.insert(self.from, own + shared);
        }
        self.bytes += more;
        self.shared += shared;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut used = self.room.used();
        used.all = used.all.saturating_sub(self.bytes);
        if let Some(own) = used.each.get_mut(&self.from) {
            *own = own.saturating_sub(self.shared);
            if *own == 0 {
                used.each.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    /// W5: what one neighbourhood sends leaves room to others, and small bodies of its own are taken still.
    #[test]
    fn w5_one_neighbourhood_has_a_share() {
        let room = Room::default();
        let held: Vec<_> = (0..2)
            .map(|n| {
                let mut body = room.for_body(address(&format!("2001:db8::{n}")));
                assert!(body.take(FREE) && body.take(EACH / 2));
                body
            })
            .collect();
        let mut more = room.for_body(address("2001:db8::9"));
        assert!(more.take(FREE));
        assert!(!more.take(1));
        let mut other = room.for_body(address("2001:db8:0:1::9"));
        assert!(other.take(FREE + EACH));
        drop(held);
        assert!(more.take(EACH));
        drop((more, other));
        let used = room.used();
        assert!(used.all == 0 && used.each.is_empty(), "{used:?}");
    }

    /// W5: all neighbourhoods together have a limit.
    #[test]
    fn w5_all_bodies_have_a_limit() {
        let room = Room::default();
        let held: Vec<_> = (0..4)
            .map(|n| {
                let mut body = room.for_body(address(&format!("192.0.2.{n}")));
                assert!(body.take(EACH));
                body
            })
            .collect();
        assert!(!room.for_body(address("192.0.2.9")).take(1));
        drop(held);
    }
}
