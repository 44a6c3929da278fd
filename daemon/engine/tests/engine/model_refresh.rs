//! M4: the refresh machine at a forge that is a few lines long: one that takes a refresh token once, one that takes the last
//! one again for a while, and one that revokes the whole family when a used one comes; and all of them fail at any time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    exchange::{TokenGrant, TokenOutcome},
    link::Stage,
    name::LinkId,
    port::Clock,
    problem::{Problem, Reason},
    provider::{Output, TokenFacts},
};
use bindery_engine::credentials::Wanted;
use bindery_store::{Call, Fault};
use proptest::prelude::*;

use crate::support::{World, pair, wanted};

const LIFETIME: u64 = 3600;

/// How long a graceful forge takes the last refresh token once more.
const GRACE: u64 = 30;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Strict,
    Graceful,
    Families,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// It never arrives.
    LostBefore,
    /// It is done, and the answer is lost.
    LostAfter,
    /// The forge asks to come again after so many seconds, if it says when.
    NotNow(Option<u64>),
    /// The forge calls the grant dead, and is wrong: a replica that lags.
    Lie,
    /// The daemon dies before the request arrives.
    DiesBefore,
    /// The forge has done it, and the daemon dies before the new pair is stored.
    DiesAfter,
    /// The daemon dies when the new pair is stored, and does not know.
    DiesStored,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    /// Somebody wants a token with so many seconds left.
    Fetch(u64, Trouble),
    Restart,
    /// The person revokes the grant at the forge.
    Revoke,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        6 => Just(Trouble::None),
        1 => Just(Trouble::LostBefore),
        2 => Just(Trouble::LostAfter),
        1 => prop::option::of(1u64..2000).prop_map(Trouble::NotNow),
        1 => Just(Trouble::Lie),
        1 => Just(Trouble::DiesBefore),
        1 => Just(Trouble::DiesAfter),
        1 => Just(Trouble::DiesStored),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![4 => 0u64..90, 2 => 90u64..2000, 3 => LIFETIME..2 * LIFETIME];
    let want = prop::sample::select(&[0, 0, 1800, LIFETIME, LIFETIME][..]);
    prop_oneof![
        8 => wait.prop_map(Step::Wait),
        12 => (want, trouble()).prop_map(|(want, trouble)| Step::Fetch(want, trouble)),
        1 => Just(Step::Restart),
        1 => prop::bool::weighted(0.2).prop_map(|yes| if yes { Step::Revoke } else { Step::Restart }),
    ]
}

/// A forge with one grant.
struct Forge {
    kind: Kind,
    trouble: Trouble,
    alive: bool,
    revoked: bool,
    /// Number of the newest pair, and when it was issued.
    newest: (u64, u64),
    /// Number of the pair that the daemon has.
    held: u64,
    /// An answer was lost since the daemon got that one: nobody but the forge knows which one is the newest.
    unsure: bool,
    lied: bool,
    /// Nothing may come before this.
    closed_until: u64,
    wrong: Vec<String>,
}

impl Forge {
    fn new(kind: Kind, now: u64) -> Self {
        Self {
            kind,
            trouble: Trouble::None,
            alive: true,
            revoked: false,
            newest: (1, now),
            held: 1,
            unsure: false,
            lied: false,
            closed_until: 0,
            wrong: Vec::new(),
        }
    }

    /// Whether it would give a new pair for this number.
    fn takes(&self, number: u64, now: u64) -> bool {
        let (newest, since) = self.newest;
        let again = self.kind == Kind::Graceful && number + 1 == newest && now < since + GRACE;
        self.alive && (number == newest || again)
    }

    /// Whether the access token of this number is good. A graceful forge lets the old ones be.
    fn good(&self, number: u64, now: u64) -> bool {
        let (newest, since) = self.newest;
        self.alive && number == newest && now < since + LIFETIME
    }

    fn redeem(&mut self, number: u64, now: u64) -> TokenOutcome {
        if self.takes(number, now) {
            self.newest = (self.newest.0 + 1, now);
            return pair(self.newest.0, LIFETIME);
        }
        if self.kind == Kind::Families {
            self.alive = false;
        }
        refused()
    }

    fn answer(&mut self, number: u64, now: u64) -> TokenOutcome {
        self.check(now >= self.closed_until, "a request came too early");
        self.check(
            number == self.newest.0 || self.unsure,
            "a used token was presented without need",
        );
        match self.trouble {
            Trouble::NotNow(asked) => {
                self.closed_until = now + asked.unwrap_or(1);
                let problem = Problem::new(Reason::ProviderRateLimited, "slow down");
                TokenOutcome::NotNow(problem.retry(asked.map(Duration::from_secs)))
            }
            // The rules call a grant dead at the second verdict, and at the first one after a lost answer.
            Trouble::Lie if !self.lied && !self.unsure => {
                (self.lied, self.closed_until) = (true, now + 60);
                refused()
            }
            Trouble::LostBefore | Trouble::DiesBefore => self.lost(now),
            Trouble::LostAfter | Trouble::DiesAfter => {
                let _ = self.redeem(number, now);
                self.lost(now)
            }
            Trouble::None | Trouble::Lie | Trouble::DiesStored => {
                let outcome = self.redeem(number, now);
                if matches!(outcome, TokenOutcome::Granted(_)) {
                    (self.held, self.unsure, self.lied) = (self.newest.0, false, false);
                }
                outcome
            }
        }
    }

    fn lost(&mut self, now: u64) -> TokenOutcome {
        self.unsure = true;
        // After a restart it need not wait.
        if matches!(self.trouble, Trouble::LostBefore | Trouble::LostAfter) {
            self.closed_until = now + 5;
        }
        TokenOutcome::Lost(Problem::new(Reason::HostUnreachable, "no answer"))
    }

    fn check(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.wrong.push(otherwise.to_owned());
        }
    }
}

fn refused() -> TokenOutcome {
    TokenOutcome::Refused {
        error: "invalid_grant".to_owned(),
        dead: true,
    }
}

/// How often something came about that the test is about.
#[derive(Debug, Default)]
struct Seen {
    refreshed: usize,
    survived: usize,
    died: usize,
    reborn: usize,
}

struct Run {
    world: World,
    forge: Arc<Mutex<Forge>>,
    link: LinkId,
}

impl Run {
    async fn new(kind: Kind) -> Self {
        let world = World::new().await;
        let link = world.bound(Some(LIFETIME)).await.id;
        let now = world.clock.now().unix_seconds();
        let forge = Arc::new(Mutex::new(Forge::new(kind, now)));
        let (model, clock, store) = (
            Arc::clone(&forge),
            Arc::clone(&world.clock),
            Arc::clone(&world.store),
        );
        world.forge.judge_by(move |grant| {
            let TokenGrant::Refresh { refresh_token, .. } = grant else {
                panic!("only refreshes come here");
            };
            let number = refresh_token.expose()[1..].parse().expect("a number");
            let mut forge = model.lock().expect("lock");
            // The daemon does not get any further than to its next commit.
            match forge.trouble {
                Trouble::DiesBefore | Trouble::DiesAfter => {
                    store.inject(Call::Commit, 1, Fault::Fail);
                }
                Trouble::DiesStored => store.inject(Call::Commit, 1, Fault::ApplyThenFail),
                _ => {}
            }
            forge.answer(number, clock.now().unix_seconds())
        });
        let (model, clock) = (Arc::clone(&forge), Arc::clone(&world.clock));
        world.plugin.on("InspectToken", move |_| {
            let forge = model.lock().expect("lock");
            Ok(Output::TokenFacts(TokenFacts {
                scopes: None,
                expires: None,
                active: forge.good(forge.held, clock.now().unix_seconds()),
            }))
        });
        Self { world, forge, link }
    }

    fn forge(&self) -> std::sync::MutexGuard<'_, Forge> {
        self.forge.lock().expect("lock")
    }

    /// The number of the pair that the daemon has, and whether it may be used up.
    fn held(&self) -> (u64, bool) {
        let forge = self.forge();
        (forge.held, forge.unsure)
    }

    fn now(&self) -> u64 {
        self.world.clock.now().unix_seconds()
    }

    async fn step(&mut self, step: Step, seen: &mut Seen) {
        match step {
            Step::Wait(seconds) => self.world.clock.advance(Duration::from_secs(seconds)),
            Step::Restart => self.world.restart().await,
            Step::Revoke => {
                let mut forge = self.forge();
                (forge.alive, forge.revoked) = (false, true);
            }
            Step::Fetch(want, trouble) => {
                let before = self.held();
                self.fetch(want, trouble, seen).await;
                let after = self.held();
                seen.refreshed += usize::from(after.0 > before.0);
                seen.survived += usize::from(after.0 > before.0 && before.1);
            }
        }
    }

    /// A token is asked for. What is handed out is good, and no more than one request is sent for it.
    async fn fetch(&mut self, want: u64, trouble: Trouble, seen: &mut Seen) {
        self.forge().trouble = trouble;
        let calls = self.world.token_calls();
        let wanted = Wanted {
            min_remaining: Duration::from_secs(want),
            ..wanted(&self.link)
        };
        let outcome = self.world.engine.fetch_credential(&wanted).await;
        let sent = self.world.token_calls() - calls;
        assert!(sent <= 1, "{sent} requests for one token");
        let dies = matches!(
            trouble,
            Trouble::DiesBefore | Trouble::DiesAfter | Trouble::DiesStored
        );
        if dies && sent == 1 {
            seen.reborn += 1;
            self.world.restart().await;
        } else if let Ok(credential) = outcome {
            let (forge, number) = (self.forge(), credential.token.expose()[1..].parse());
            let good = forge.good(number.expect("a number"), self.now());
            assert!(good || forge.revoked, "a dead token was handed out");
        }
    }

    /// Whether the link is given up. That is so only when the forge would take its token no more.
    async fn is_dead(&self) -> bool {
        let taken = {
            let forge = self.forge();
            assert!(forge.wrong.is_empty(), "{:?}", forge.wrong);
            forge.takes(forge.held, self.now())
        };
        match self.world.read(&self.link).await.observed.stage {
            Stage::Bound => false,
            Stage::NeedsReauthorization(cause) => {
                assert!(!taken, "a live grant was called dead: {cause:?}");
                true
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn run(kind: Kind, steps: &[Step], seen: &mut Seen) {
    let mut run = Run::new(kind).await;
    for step in steps {
        run.step(*step, seen).await;
        if run.is_dead().await {
            seen.died += 1;
            return;
        }
    }
    // When all is well again, the link works or says why it does not.
    for _ in 0..8 {
        run.step(Step::Wait(1000), seen).await;
        let (held, _) = run.held();
        run.fetch(0, Trouble::None, seen).await;
        if run.is_dead().await {
            seen.died += 1;
            return;
        }
        if run.held().0 > held {
            return;
        }
    }
    panic!("it is neither refreshed nor given up");
}

/// M4: whatever goes wrong, wherever the daemon dies: nothing is sent too early, no used token is presented but after a lost
/// answer, no dead token is handed out, no live grant is called dead, and in the end the link works or says why not.
#[test]
fn m4_the_refresh_machine_holds_at_every_forge() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let kind = prop::sample::select(&[Kind::Strict, Kind::Graceful, Kind::Families][..]);
    let steps = prop::collection::vec(step(), 1..40);
    let seen = std::cell::RefCell::new(Seen::default());
    let cases = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(96)
    };
    proptest::test_runner::TestRunner::new(cases)
        .run(&(kind, steps), |(kind, steps)| {
            runtime.block_on(run(kind, &steps, &mut seen.borrow_mut()));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let seen = seen.into_inner();
    println!("{seen:?}");
    // Else it was about nothing.
    assert!(seen.refreshed > 40 && seen.survived > 0 && seen.died > 0 && seen.reborn > 10);
}
