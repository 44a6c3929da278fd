//! An OAuth authorization server (RFC 6749, 7009, 7636, 8628) whose every rule is data
//!
//! Forges differ in what happens to tokens, not in the protocol. [`Rules`] hold all of that; the code below has no `if`
//! about a provider. The twin leads its own paths here: [`Server::authorize`], [`Server::token`], [`Server::revoke`],
//! [`Server::device_code`], [`Server::device_page`].
//!
//! A *grant* is what one consent gave. The tokens that came of it are its *family*.

mod authorize;
mod client;
mod code;
mod device;
mod family;
mod refusal;
mod reply;
mod revoke;
mod rules;
mod shape;
mod token;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{knobs::ReplicaLag, mint::Mint, world::World};

pub use authorize::Consent;
pub use client::Client;
pub use family::Bearer;
pub use refusal::{Refusal, Refusals};
pub use reply::{Coding, Reply};
pub use rules::{DeviceRules, Pkce, Refreshing, Reuse, Rotation, Rules};
pub use shape::Shape;

use code::Code;
use device::Device;
use family::{Access, Grant, Refresh};

/// What an answer needs besides the server: the world, a mint, the time
#[derive(Debug)]
pub struct Context<'a> {
    /// People
    pub world: &'a World,
    /// Where secrets come from
    pub mint: &'a mut Mint,
    /// Milliseconds since 1970 on the forge's clock
    pub now_ms: u64,
    /// How long a new token needs to be known everywhere
    pub lag: ReplicaLag,
}

/// The server
pub struct Server {
    /// Its rules, which may be changed while it runs
    pub rules: Rules,
    clients: BTreeMap<String, Client>,
    codes: HashMap<String, Code>,
    grants: BTreeMap<u64, Grant>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    devices: BTreeMap<String, Device>,
    presented: BTreeSet<String>,
    refreshes: usize,
    last_grant: u64,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("rules", &self.rules)
            .field("grants", &self.grants.len())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Without clients
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            clients: BTreeMap::new(),
            codes: HashMap::new(),
            grants: BTreeMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            devices: BTreeMap::new(),
            presented: BTreeSet::new(),
            refreshes: 0,
            last_grant: 0,
        }
    }

    /// How many refreshes it carried out, answered or not
    #[must_use]
    pub const fn refreshes(&self) -> usize {
        self.refreshes
    }

    /// The PKCE verifiers that clients presented
    #[must_use]
    pub const fn presented(&self) -> &BTreeSet<String> {
        &self.presented
    }
}
