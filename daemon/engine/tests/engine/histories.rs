//! Histories: callers that read, change, disable, enable and unlink one link at the same time, have its token refreshed and
//! fetch it, over the store on disk. Whatever they are told could have happened one call after the other, each while its
//! caller waited (linearizability).
//!
//! `BINDERY_FIGURES=full` checks 10,000 histories.

#[path = "histories/checker.rs"]
mod checker;
#[path = "histories/object.rs"]
mod object;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    exchange::{TokenGrant, TokenOutcome, Tokens},
    name::LinkId,
    problem::Reason,
    provider::{Identity, Output},
    secret::Secret,
};
use bindery_engine::{credentials::Wanted, links::LinkChange, unlink::UnlinkOptions};
use tokio::task::JoinSet;

use self::{
    checker::{Done, is_linearizable},
    object::{Call, Change, State, changed},
};
use crate::support::{World, acme, octo, wanted};

/// Tokens live longer than all histories together.
const LIFETIME: Duration = Duration::from_secs(1_000_000_000);

/// After this time a caller who wants all of a token's life gets a new one.
const LATER: Duration = Duration::from_secs(100);

/// Links whose histories happen at the same time.
const AT_ONCE: u64 = 40;

/// Links in one namespace: making one looks at all of its others, so that many would take their square.
const IN_A_WORLD: u64 = 200;

const CALLERS: u64 = 4;

const CALLS: usize = 5;

/// What happened to one link, in the order of a counter of its own.
#[derive(Default)]
struct Log {
    moment: AtomicU64,
    done: Mutex<Vec<Done<Call>>>,
}

impl Log {
    fn now(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&self, begin: u64, end: u64, call: Call) {
        let done = Done { begin, end, call };
        self.done.lock().expect("lock").push(done);
    }
}

/// The forge: link 7 has tokens `a7.1` and `r7.1`, then `a7.2` and `r7.2`.
type Forge = Arc<Mutex<HashMap<u64, Arc<Log>>>>;

fn tokens(link: u64, pair: u64) -> TokenOutcome {
    TokenOutcome::Granted(Tokens {
        access_token: Secret::new(format!("a{link}.{pair}")),
        refresh_token: Some(Secret::new(format!("r{link}.{pair}"))),
        expires_in: Some(LIFETIME),
        scopes: Some(vec!["repo".to_owned(), "user".to_owned()]),
    })
}

fn parsed(token: &str) -> (u64, u64) {
    let (link, pair) = token[1..].split_once('.').expect("a token of this forge");
    (link.parse().expect("link"), pair.parse().expect("pair"))
}

/// A strict forge, which notes when it gave which pair.
fn refresh(forge: &Forge, grant: &TokenGrant<'_>) -> TokenOutcome {
    let TokenGrant::Refresh { refresh_token, .. } = grant else {
        panic!("only refreshes come here");
    };
    let (link, pair) = parsed(refresh_token.expose());
    let log = Arc::clone(&forge.lock().expect("lock")[&link]);
    // It is stored when the callers have what they waited for.
    log.note(log.now(), u64::MAX, Call::Refreshed(pair + 1));
    tokens(link, pair + 1)
}

/// A small random sequence, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// One caller of one link.
struct Caller {
    world: Arc<World>,
    link: LinkId,
    log: Arc<Log>,
    random: Random,
    /// The version that it has heard of.
    version: u64,
    name: String,
}

impl Caller {
    async fn calls(mut self) {
        for at in 0..CALLS {
            // Short of reading, what comes often is what may go wrong.
            match self.random.below(40) {
                0..8 => self.read().await,
                8..16 => {
                    self.change(Change::Name(format!("{}{at}", self.name)))
                        .await
                }
                16..20 => self.change(Change::Enable(false)).await,
                20..25 => self.change(Change::Enable(true)).await,
                25..31 => self.fetch(Duration::ZERO).await,
                31..38 => {
                    self.world.clock.advance(LATER);
                    self.fetch(LIFETIME).await;
                }
                _ => self.unlink().await,
            }
        }
    }

    /// Half of the changes are for the version that the caller knows, which may be an old one.
    fn expected(&mut self) -> Option<u64> {
        (self.random.below(2) == 0).then_some(self.version)
    }

    fn note(&self, begin: u64, calls: impl IntoIterator<Item = Call>) {
        let end = self.log.now();
        for call in calls {
            self.log.note(begin, end, call);
        }
    }

    async fn read(&mut self) {
        let begin = self.log.now();
        let link = self.world.engine.link(&acme(), &self.link).await;
        let seen = State::of(&link.expect("a link stays readable"));
        self.version = seen.version;
        self.note(begin, [Call::Read(seen)]);
    }

    async fn change(&mut self, what: Change) {
        let (expect, begin) = (self.expected(), self.log.now());
        let (engine, link, acme) = (&self.world.engine, &self.link, acme());
        let outcome = match &what {
            Change::Name(name) => {
                let change = LinkChange {
                    display_name: Some(name.clone()),
                    ..LinkChange::default()
                };
                engine.update_link(&acme, link, &change, expect, None).await
            }
            Change::Enable(true) => {
                engine
                    .enable_link(&acme, link, "", "uid:1000", expect, None)
                    .await
            }
            Change::Enable(false) => {
                engine
                    .disable_link(&acme, link, "", "uid:1000", expect, None)
                    .await
            }
        };
        let call = changed(expect, what, outcome);
        if let Call::Changed(.., version) = call {
            self.version = version;
        }
        self.note(begin, [call]);
    }

    async fn fetch(&mut self, min_remaining: Duration) {
        let wanted = Wanted {
            min_remaining,
            ..wanted(&self.link)
        };
        let begin = self.log.now();
        let call = match self.world.engine.fetch_credential(&wanted).await {
            Ok(credential) => Call::Fetched(parsed(credential.token.expose()).1),
            Err(problem) => Call::Refused(problem.reason),
        };
        self.note(begin, [call]);
    }

    async fn unlink(&mut self) {
        let expect = self.expected();
        let options = UnlinkOptions {
            expect,
            ..UnlinkOptions::default()
        };
        let begin = self.log.now();
        let outcome = self.world.engine.unlink(&acme(), &self.link, options).await;
        match outcome.map_err(|problem| problem.reason) {
            Ok(_) => self.note(begin, [Call::Unlinking(expect), Call::Unlinked]),
            Err(Reason::EtagMismatch) => {
                self.note(begin, [Call::Moved(expect.expect("only who expects one"))]);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A bound link, with what its callers start from.
struct Scene {
    world: Arc<World>,
    link: LinkId,
    log: Arc<Log>,
    start: State,
    seed: u64,
}

impl Scene {
    async fn new(world: &Arc<World>, forge: &Forge, number: u64) -> Self {
        let log = Arc::<Log>::default();
        forge.lock().expect("lock").insert(number, Arc::clone(&log));
        let identity = Identity {
            stable_id: number.to_string(),
            ..octo()
        };
        world
            .plugin
            .on("Identify", move |_| Ok(Output::Identity(identity.clone())));
        let link = world.bound_with(move |_| tokens(number, 1)).await;
        let read = world.engine.link(&acme(), &link).await.expect("link");
        let start = State {
            pair: 1,
            ..State::of(&read)
        };
        Self {
            world: Arc::clone(world),
            link,
            log,
            start,
            seed: number,
        }
    }

    /// Plays all callers, and returns what happened.
    async fn play(self) -> (State, Vec<Done<Call>>) {
        let mut callers = JoinSet::new();
        for at in 0..CALLERS {
            let mut random = Random(self.seed * CALLERS + at);
            random.below(1);
            let caller = Caller {
                world: Arc::clone(&self.world),
                link: self.link.clone(),
                log: Arc::clone(&self.log),
                random,
                version: self.start.version,
                name: format!("caller {at}, "),
            };
            callers.spawn(caller.calls());
        }
        while let Some(ended) = callers.join_next().await {
            ended.expect("no panic");
        }
        // What they left is read once more.
        let begin = self.log.now();
        let link = self.world.engine.link(&acme(), &self.link).await;
        let left = Call::Read(State::of(&link.expect("link")));
        self.log.note(begin, self.log.now(), left);
        let done = std::mem::take(&mut *self.log.done.lock().expect("lock"));
        (self.start, done)
    }
}

/// How often something came about that histories are about.
#[derive(Debug, Default)]
struct Seen {
    changed: usize,
    moved: usize,
    refreshed: usize,
    fetched: usize,
    refused: usize,
    unlinked: usize,
    /// Calls that began before another one had ended.
    overlapping: usize,
}

impl Seen {
    fn count(&mut self, history: &[Done<Call>]) {
        for done in history {
            *match done.call {
                Call::Changed(..) => &mut self.changed,
                Call::Moved(_) => &mut self.moved,
                Call::Refreshed(_) => &mut self.refreshed,
                Call::Fetched(_) => &mut self.fetched,
                Call::Refused(_) | Call::Over => &mut self.refused,
                Call::Unlinked => &mut self.unlinked,
                Call::Read(_) | Call::Unlinking(_) => continue,
            } += 1;
            let overlaps = |other: &Done<Call>| {
                other.begin < done.begin && done.begin < other.end && other.end < u64::MAX
            };
            self.overlapping += usize::from(history.iter().any(overlaps));
        }
    }
}

fn figure(share: u64, full: u64) -> u64 {
    match std::env::var("BINDERY_FIGURES") {
        Ok(text) if text == "full" => full,
        _ => share,
    }
}

/// A daemon's engine with nothing in it, and a forge.
async fn stage() -> (Arc<World>, Forge) {
    let (world, forge) = (Arc::new(World::on_disk().await), Forge::default());
    let own = Arc::clone(&forge);
    world.forge.judge_by(move |grant| refresh(&own, grant));
    (world, forge)
}

/// Reads, changes with and without the version that they are for, refreshes, fetches and unlinks of a link are as if they
/// came one after the other: no change is lost or comes back, no token is handed out that was replaced before the call
/// began, none once it was disabled or unlinked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_a_link_are_linearizable() {
    let (histories, mut calls, mut seen) = (figure(200, 10_000), 0, Seen::default());
    let (mut world, mut forge) = stage().await;
    let mut next = 0;
    while next < histories {
        let end = histories.min(next + AT_ONCE);
        if next > 0 && next % IN_A_WORLD == 0 {
            (world, forge) = stage().await;
        }
        let mut scenes = Vec::new();
        for number in next..end {
            scenes.push(Scene::new(&world, &forge, number).await);
        }
        let mut playing = JoinSet::new();
        for scene in scenes {
            playing.spawn(async move { (scene.seed, scene.play().await) });
        }
        while let Some(played) = playing.join_next().await {
            let (number, (start, history)) = played.expect("no panic");
            calls += history.len();
            seen.count(&history);
            let holds = is_linearizable(start.clone(), &history);
            assert!(holds, "history {number} of {start:?}: {history:#?}");
        }
        next = end;
    }
    println!("figure: {histories} histories of {calls} calls, all linearizable: {seen:?}");
    // Else they were about nothing.
    let enough = usize::try_from(histories).expect("few") / 4;
    for often in [
        seen.changed,
        seen.moved,
        seen.refreshed,
        seen.fetched,
        seen.refused,
        seen.unlinked,
        seen.overlapping,
    ] {
        assert!(often > enough, "{seen:?}");
    }
}
