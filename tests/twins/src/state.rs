//! What every twin owns

use crate::{hooks::Hooks, knobs::Knobs, mint::Mint, oauth, world::World};

/// People, things, tokens, faults, and what was asked
#[derive(Debug)]
pub struct State {
    /// People, groups, repositories, personal tokens
    pub world: World,
    /// The authorization server
    pub oauth: oauth::Server,
    /// Where secrets come from
    pub mint: Mint,
    /// Webhooks, and what they are to be sent
    pub hooks: Hooks,
    /// Faults
    pub knobs: Knobs,
    /// What was asked
    pub log: Vec<Logged>,
}

/// One request that arrived; values of headers and queries are never kept
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Logged {
    /// Its method
    pub method: String,
    /// Its path, without the query
    pub path: String,
    /// The names of its query parameters
    pub query_names: Vec<String>,
    /// The names of its headers
    pub header_names: Vec<String>,
    /// The answer's status; none where a fault left it without
    pub status: Option<u16>,
}

impl State {
    /// An empty world under these rules
    #[must_use]
    pub fn new(rules: oauth::Rules, seed: u64) -> Self {
        Self {
            world: World::default(),
            oauth: oauth::Server::new(rules),
            mint: Mint::new(seed),
            hooks: Hooks::default(),
            knobs: Knobs::default(),
            log: Vec::new(),
        }
    }

    /// The authorization server, with what its answers need
    pub const fn oauth(&mut self, now_ms: u64) -> (&mut oauth::Server, oauth::Context<'_>) {
        let context = oauth::Context {
            world: &self.world,
            mint: &mut self.mint,
            now_ms,
            lag: self.knobs.replica_lag,
        };
        (&mut self.oauth, context)
    }

    /// The requests to paths that begin so
    #[must_use]
    pub fn requests(&self, path_prefix: &str) -> Vec<&Logged> {
        let all = self.log.iter();
        all.filter(|request| request.path.starts_with(path_prefix))
            .collect()
    }
}
