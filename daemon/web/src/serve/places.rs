//! Places for connections: so many in all, so many for each address.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Limits, line::Line};
use crate::client::neighbourhood;

pub(super) struct Places {
    all: Arc<Semaphore>,
    /// Those who sit and have not asked for anything.
    pub(super) line: Arc<Line>,
    each: Arc<Mutex<HashMap<IpAddr, usize>>>,
    per_address: usize,
    exempt: Vec<IpNet>,
}

/// What an address holds of its connections; given back when it is dropped.
struct Share {
    address: Option<IpAddr>,
    each: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A taken place; free again when it is dropped.
pub(super) struct Place {
    _seat: OwnedSemaphorePermit,
    _share: Share,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections)),
            line: Arc::default(),
            each: Arc::default(),
            per_address: limits.per_address,
            exempt: limits.trusted_proxies.clone(),
        }
    }

    /// A place for `address`, unless it has all that it may have. Where there is none, whoever has sat longest without asking
    /// goes; while everybody is served, this waits.
    pub(super) async fn take(&self, address: IpAddr) -> Option<Place> {
        let share = self.share(address)?;
        Some(Place {
            _seat: self.seat().await,
            _share: share,
        })
    }

    async fn seat(&self) -> OwnedSemaphorePermit {
        if let Ok(seat) = self.all.clone().try_acquire_owned() {
            return seat;
        }
        let mut seat = pin!(self.all.clone().acquire_owned());
        let mut pushed = self.line.push_out();
        loop {
            tokio::select! {
                // The semaphore is never closed.
                Ok(seat) = &mut seat => return seat,
                () = self.line.entered(), if !pushed => pushed = self.line.push_out(),
            }
        }
    }

    fn share(&self, address: IpAddr) -> Option<Share> {
        let address = address.to_canonical();
        let counted = !self.exempt.iter().any(|net| net.contains(&address));
        let address = counted.then(|| neighbourhood(address));
        if let Some(address) = address {
            let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
            let held = each.entry(address).or_default();
            if *held >= self.per_address {
                return None;
            }
            *held += 1;
        }
        Some(Share {
            address,
            each: self.each.clone(),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = each.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                each.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D1: an address has so many places, gets one back when one is left, and a proxy has as many as there are.
    #[tokio::test]
    async fn d1_places_are_counted() {
        let places = Places::new(&Limits {
            connections: 8,
            per_address: 2,
            trusted_proxies: vec!["10.0.0.0/8".parse().expect("network")],
            ..Limits::default()
        });
        let take = async |text: &str| places.take(text.parse().expect("address")).await;
        let (first, second) = (take("192.0.2.1").await, take("192.0.2.1").await);
        assert!(first.is_some() && second.is_some());
        assert!(take("::ffff:192.0.2.1").await.is_none());
        assert!(take("192.0.2.2").await.is_some());
        drop(first);
        assert!(take("192.0.2.1").await.is_some());
        let proxied = [
            take("10.0.0.1").await,
            take("10.0.0.1").await,
            take("10.0.0.1").await,
        ];
        assert!(proxied.iter().all(Option::is_some));
        drop((second, proxied));
        assert!(places.each.lock().expect("lock").is_empty());
        assert_eq!(places.all.available_permits(), 8);
    }
}
