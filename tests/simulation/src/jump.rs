//! R8: what one jump of the daemon's clock does to links that people use all the time, while nothing else goes wrong.

use std::{sync::Arc, time::Duration};

use bindery_core::link::Stage;
use bindery_engine::{Engine, EngineConfig, Ports};
use bindery_twins::world::Refused;

use crate::{
    clock::VirtualClock,
    disk::{Disk, Mounted},
    fate::Fate,
    forge::{Forges, Reached},
    life::{START, by_itself, wanted},
    links::{Known, bind, stored},
    plugin::Plugins,
    random::Seeded,
    rules::{Kind, kinds},
};

/// How often the daemon looks at what is due.
const STEP: Duration = Duration::from_secs(60);
/// In how many steps somebody fetches each token once.
const FETCHES: u64 = 5;
/// How long links live on after the jump: longer than the clock jumps, and than any token lives.
const AFTER: Duration = Duration::from_secs(26 * 3600);
/// Nothing is early or late within this, besides the steps (THREATS R8).
const SLACK: Duration = Duration::from_secs(60);
/// Between which parts of a token's life the daemon replaces it, in per mille (THREATS R6).
const DUE: (u32, u32) = (700, 850);

/// What becomes of one link from a jump on.
#[derive(Clone, Debug)]
pub struct Jumped {
    /// The kind of forge that it is on.
    pub forge: &'static str,
    /// How long its tokens live.
    pub life: Duration,
    /// Refreshes that came earlier in a token's life than planned.
    pub early: usize,
    /// By how much each of those that came later was late.
    pub late: Vec<Duration>,
    /// How long after its end a token was handed out, at most.
    pub dead: Duration,
    /// The most refreshes within five minutes.
    pub storm: usize,
    /// It is bound at the end, and its token is taken.
    pub works: bool,
}

/// A link under watch.
struct Watched {
    known: Known,
    refreshes: usize,
    /// When its present token was made, in real time.
    born: u64,
    /// When the last refreshes came.
    recent: Vec<u64>,
    result: Jumped,
}

/// Lets links at every kind of forge live until `until`, moves the daemon's clock by `jump` milliseconds, and lets them live on
/// for more than a day.
///
/// # Panics
///
/// When the engine can't be started on the links.
#[must_use]
pub fn after_jump(jump: i64, until: Duration) -> Vec<Jumped> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut course = Course::new().await;
        course.pass(until).await;
        course.forget();
        course.offset = jump;
        course.pass(AFTER).await;
        course.links.into_iter().map(|link| link.result).collect()
    })
}

struct Course {
    forges: Arc<Forges>,
    disk: Arc<Disk>,
    clock: Arc<VirtualClock>,
    engine: Engine,
    links: Vec<Watched>,
    /// The daemon's clock is so many milliseconds ahead of the real time.
    offset: i64,
}

impl Course {
    async fn new() -> Self {
        let kinds = kinds();
        let forges = Arc::new(Forges::new(&kinds, 8, START));
        let (disk, clock) = (Arc::new(Disk::default()), Arc::new(VirtualClock::at(START)));
        let links = bind(&disk, &forges, &kinds);
        let links = links.into_iter().zip(&kinds);
        let fate = Arc::new(Fate::new());
        let ports = Ports {
            vault: Arc::new(Mounted(Arc::clone(&disk), Arc::clone(&fate))),
            egress: Arc::new(Reached {
                forges: Arc::clone(&forges),
                fate,
            }),
            providers: Arc::new(Plugins::new(&kinds)),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(Seeded::new(8)),
        };
        let config = EngineConfig {
            public_url: "https://bindery.example".to_owned(),
            return_addresses: std::collections::BTreeMap::new(),
        };
        let engine = Engine::new(ports, config);
        engine.rebuild_schedule().await.expect("a schedule");
        Self {
            links: links
                .map(|(known, kind)| Watched::new(known, kind))
                .collect(),
            forges,
            disk,
            clock,
            engine,
            offset: 0,
        }
    }

    /// Nothing of what was counted before is.
    fn forget(&mut self) {
        for link in &mut self.links {
            link.result.early = 0;
            link.result.late.clear();
            link.result.dead = Duration::ZERO;
            link.recent.clear();
            link.result.storm = 0;
        }
    }

    async fn pass(&mut self, time: Duration) {
        let end = self.forges.now_ms() + millis(time);
        while self.forges.now_ms() < end {
            self.forges.advance(millis(STEP));
            let now = self.forges.now_ms();
            self.clock.set(now.saturating_add_signed(self.offset));
            by_itself(&self.engine).await;
            self.look();
            if (now - START).is_multiple_of(FETCHES * millis(STEP)) {
                for at in 0..self.links.len() {
                    self.fetch(at).await;
                }
                self.look();
            }
        }
    }

    async fn fetch(&mut self, at: usize) {
        let known = &self.links[at].known;
        let fetched = self.engine.fetch_credential(&wanted(known)).await;
        let (link, _) = stored(&self.disk, known);
        let refused = fetched.as_ref().ok().map(|credential| {
            self.forges.with(known.forge, |forge, now| {
                forge.refusal(credential.token.expose(), now)
            })
        });
        let over = self.forges.now_ms() - self.links[at].born;
        let result = &mut self.links[at].result;
        let bound = link.observed.stage == Stage::Bound;
        result.works = bound && refused == Some(None);
        if refused == Some(Some(Refused::Expired)) {
            let since = Duration::from_millis(over).saturating_sub(result.life);
            result.dead = result.dead.max(since);
        }
    }

    /// Notes which links were refreshed since the last look.
    fn look(&mut self) {
        let now = self.forges.now_ms();
        for link in &mut self.links {
            let forge = link.known.forge;
            let count = self.forges.with(forge, |forge, _| forge.refreshes());
            for _ in link.refreshes..count {
                link.refreshed(now);
            }
            link.refreshes = count;
        }
    }
}

impl Watched {
    fn new(known: Known, kind: &Kind) -> Self {
        let life = kind.rules.access_ms.map(Duration::from_millis);
        Self {
            result: Jumped {
                forge: known.forge,
                life: life.expect("its tokens end"),
                early: 0,
                late: Vec::new(),
                dead: Duration::ZERO,
                storm: 0,
                works: false,
            },
            known,
            refreshes: 0,
            born: START,
            recent: Vec::new(),
        }
    }

    fn refreshed(&mut self, now: u64) {
        let age = Duration::from_millis(now - self.born);
        let part = |per_mille: u32| self.result.life * per_mille / 1000;
        let (first, last) = (part(DUE.0), part(DUE.1) + STEP + SLACK);
        if age + SLACK < first {
            self.result.early += 1;
        }
        if age > last {
            self.result.late.push(age - last);
        }
        self.born = now;
        self.recent.push(now);
        let window = now.saturating_sub(300_000);
        let recent = self.recent.iter().filter(|when| **when > window).count();
        self.result.storm = self.result.storm.max(recent);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
