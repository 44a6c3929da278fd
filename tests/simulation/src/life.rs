//! The course of a run: lives of the daemon, one after the other, on the same disk.

use std::{sync::Arc, time::Duration};

use bindery_core::{
    link::{Cause, Stage},
    problem::Reason,
};
use bindery_engine::{
    Engine, EngineConfig, Ports,
    credentials::{Access, Credential, Wanted},
};

use bindery_twins::world::Refused;

use crate::{
    Broken, History,
    clock::VirtualClock,
    disk::{Disk, Mounted},
    fate::Fate,
    forge::{Fault, Forges, Reached},
    links::{Known, bind, namespace, stored},
    plugin::Plugins,
    random::{Random, Seeded},
    rules::{Kind, kinds},
};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// 2026-01-01.
pub(crate) const START: u64 = 1_767_225_600_000;

/// Steps of the trail that are kept for whoever looks at a broken promise.
const TRAIL: usize = 40;

/// One run.
pub(crate) struct Run {
    seed: u64,
    pub(crate) random: Random,
    pub(crate) disk: Arc<Disk>,
    pub(crate) forges: Arc<Forges>,
    clock: Arc<VirtualClock>,
    plugins: Arc<Plugins>,
    pub(crate) links: Vec<Known>,
    end_ms: u64,
    pub(crate) history: History,
    trail: Vec<String>,
}

/// How a life ended.
enum End {
    Death,
    Over,
}

/// Runs one seed: weeks, and of each sixteenth seed months, of links at every kind of forge.
///
/// # Errors
///
/// The first promise that was broken.
pub fn run(seed: u64) -> Result<History, Broken> {
    let kinds = kinds();
    let mut run = Run::new(seed, &kinds);
    loop {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let end = runtime.block_on(run.live());
        // All that was under way ends with the daemon.
        drop(runtime);
        match end.map_err(|what| run.broken(what))? {
            End::Death => run.history.deaths += 1,
            End::Over => return Ok(run.concluded()),
        }
    }
}

impl Run {
    fn new(seed: u64, kinds: &[Kind]) -> Self {
        let mut random = Random::new(seed);
        let forges = Arc::new(Forges::new(kinds, random.next(), START));
        let disk = Arc::new(Disk::default());
        let links = bind(&disk, &forges, kinds);
        let days = days(seed, &mut random);
        Self {
            seed,
            random,
            links,
            disk,
            forges,
            clock: Arc::new(VirtualClock::at(START)),
            plugins: Arc::new(Plugins::new(kinds)),
            end_ms: START + days * DAY,
            history: History::default(),
            trail: Vec::new(),
        }
    }

    fn broken(&self, what: String) -> Broken {
        Broken {
            seed: self.seed,
            what,
            trail: self.trail.clone(),
        }
    }

    fn concluded(mut self) -> History {
        self.history.link_days = (self.forges.now_ms() - START) / DAY * self.links.len() as u64;
        let refreshes = |known: &Known| {
            self.forges
                .with(known.forge, |forge, _| forge.refreshes() as u64)
        };
        self.history.refreshes = self.links.iter().map(refreshes).sum();
        self.history
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        let minutes = (self.forges.now_ms() - START) / MINUTE;
        self.trail.push(format!(
            "day {} {:02}:{:02} {}",
            minutes / 1440,
            minutes / 60 % 24,
            minutes % 60,
            what.into()
        ));
        if self.trail.len() > TRAIL {
            self.trail.remove(0);
        }
    }

    /// One life of the daemon, until it dies or the run is over.
    async fn live(&mut self) -> Result<End, String> {
        let fate = Arc::new(Fate::new());
        let engine = self.engine(&fate);
        let risen = async {
            let _ = engine.recover().await;
            let _ = engine.rebuild_schedule().await;
        };
        if fate.or_death(risen).await.is_none() {
            return Ok(End::Death);
        }
        while self.forges.now_ms() < self.end_ms {
            if self.act(&engine, &fate).await?.is_none() {
                self.note("the daemon dies");
                return Ok(End::Death);
            }
        }
        fate.live_on();
        match fate.or_death(self.settle(&engine)).await {
            Some(settled) => settled.map(|()| End::Over),
            None => Ok(End::Death),
        }
    }

    fn engine(&mut self, fate: &Arc<Fate>) -> Engine {
        let ports = Ports {
            vault: Arc::new(Mounted(Arc::clone(&self.disk), Arc::clone(fate))),
            egress: Arc::new(Reached {
                forges: Arc::clone(&self.forges),
                fate: Arc::clone(fate),
            }),
            providers: Arc::clone(&self.plugins) as _,
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(Seeded::new(self.random.next())),
        };
        let config = EngineConfig {
            public_url: "https://bindery.example".to_owned(),
            return_addresses: std::collections::BTreeMap::new(),
        };
        Engine::new(ports, config)
    }

    /// Lets some time pass, and does one thing. `None` where the daemon died over it.
    async fn act(&mut self, engine: &Engine, fate: &Fate) -> Result<Option<()>, String> {
        self.pass();
        if self.random.once_in(60) {
            fate.die_in(self.random.below(14));
        }
        self.upset();
        let at = usize::try_from(self.random.below(self.links.len() as u64)).unwrap_or_default();
        let done = match self.random.below(20) {
            0..=9 => self.fetch(engine, fate, at).await?,
            10..=12 => self.check(engine, fate, at).await,
            13 => self.person(engine, fate, at).await,
            _ => fate.or_death(by_itself(engine)).await,
        };
        self.judge()?;
        Ok(done)
    }

    /// Mostly minutes and hours, now and then days; rarely the daemon's clock jumps.
    fn pass(&mut self) {
        let by = match self.random.below(20) {
            0..=7 => self.random.below(10 * MINUTE),
            8..=15 => self.random.below(3 * HOUR),
            16..=18 => self.random.below(12 * HOUR),
            _ => self.random.below(4 * DAY),
        };
        self.forges.advance(by);
        let mut daemon = self.clock.now_ms() + by;
        if self.random.once_in(200) {
            let jump = self.random.below(2 * HOUR);
            daemon = match self.random.once_in(2) {
                true => daemon + jump,
                false => daemon.saturating_sub(jump),
            };
            self.history.jumps += 1;
            self.note(format!("the clock jumps to {}", daemon / 1000));
        } else if self.random.once_in(20) {
            // Somebody sets it right.
            daemon = self.forges.now_ms();
        }
        self.clock.set(daemon);
    }

    /// Something goes wrong at one of the forges, or a person changes their mind there.
    fn upset(&mut self) {
        let at = usize::try_from(self.random.below(self.links.len() as u64)).unwrap_or_default();
        let forge = self.links[at].forge;
        match self.random.below(150) {
            0..=5 => self.fault(forge, Fault::ReplyLost),
            6..=9 => self.fault(forge, Fault::RequestLost),
            10..=11 => self.fault(forge, Fault::Garbage),
            12..=14 => self.fault(forge, Fault::ServerError),
            15..=16 => {
                let seconds = self.random.below(7200);
                self.fault(forge, Fault::RateLimited(seconds));
            }
            17..=19 => {
                let until = self.forges.now_ms() + self.random.below(20 * HOUR);
                self.forges.with(forge, |forge, _| forge.leave_until(until));
                self.history.outages += 1;
                self.note(format!("{forge} goes away"));
            }
            20..=21 => {
                let ms = self.random.below(20_000);
                self.forges.with(forge, |forge, _| forge.lag(ms));
            }
            22 if self.random.once_in(6) && !self.links[at].revoked => {
                self.forges.with(forge, |forge, _| forge.revoke());
                self.links[at].revoked = true;
                self.history.revoked += 1;
                self.note(format!("a person revokes {forge}"));
            }
            _ => {}
        }
    }

    fn fault(&mut self, forge: &'static str, fault: Fault) {
        self.forges.with(forge, |forge, _| forge.fail_next(fault));
        match fault {
            Fault::ReplyLost | Fault::RequestLost | Fault::Garbage => self.history.lost += 1,
            Fault::ServerError | Fault::RateLimited(_) => self.history.outages += 1,
        }
        self.note(format!("{forge}: {fault:?} for the next refresh"));
    }

    async fn fetch(
        &mut self,
        engine: &Engine,
        fate: &Fate,
        at: usize,
    ) -> Result<Option<()>, String> {
        let least = Duration::from_millis(self.random.below(2 * HOUR));
        let wanted = Wanted {
            min_remaining: least,
            ..wanted(&self.links[at])
        };
        let Some(outcome) = fate.or_death(engine.fetch_credential(&wanted)).await else {
            return Ok(None);
        };
        let forge = self.links[at].forge;
        match &outcome {
            Ok(credential) => {
                self.note(format!("{forge}: fetched"));
                self.good(at, credential)?;
            }
            Err(problem) => self.note(format!("{forge}: {}", problem.reason.as_str())),
        }
        Ok(Some(()))
    }

    /// A token that is handed out is one that the forge takes. Who revoked it a moment ago nobody could know, and when it
    /// ends only a clock that was right all the time.
    fn good(&self, at: usize, credential: &Credential) -> Result<(), String> {
        let known = &self.links[at];
        let token = credential.token.expose();
        let refusal = self
            .forges
            .with(known.forge, |forge, now| forge.refusal(token, now));
        match refusal {
            None => Ok(()),
            Some(Refused::Expired) if self.history.jumps > 0 => Ok(()),
            Some(_) if known.revoked => Ok(()),
            Some(why) => Err(format!(
                "{}: a token was handed out that the forge refuses ({why:?})",
                known.forge
            )),
        }
    }

    async fn check(&mut self, engine: &Engine, fate: &Fate, at: usize) -> Option<()> {
        let (known, force) = (self.links[at].clone(), self.random.once_in(4));
        let acme = namespace();
        let work = engine.check_link(&acme, &known.id, force);
        let said = match fate.or_death(work).await? {
            Ok(checked) => match checked.findings.first() {
                Some(finding) => finding.problem.reason.as_str(),
                None => "fine",
            },
            Err(problem) => problem.reason.as_str(),
        };
        self.note(format!("{}: checked, forced {force}: {said}", known.forge));
        Some(())
    }

    /// As the disk has it: a daemon that dies may have written it without an answer.
    pub(crate) fn disabled(&self, known: &Known) -> bool {
        let (link, _) = stored(&self.disk, known);
        !link.desired.is_enabled()
    }

    /// A link that says that its grant is dead is right.
    fn judge(&self) -> Result<(), String> {
        for known in &self.links {
            let (link, tokens) = stored(&self.disk, known);
            let (Stage::NeedsReauthorization(cause), Some(tokens)) = (link.observed.stage, tokens)
            else {
                continue;
            };
            let renews = self.forges.with(known.forge, |forge, now| {
                let refresh = tokens.refresh.as_ref();
                refresh.is_some_and(|token| forge.renews(token, now))
            });
            let accepts = self
                .forges
                .with(known.forge, |forge, now| forge.accepts(&tokens.access, now));
            // A pair that was lost may leave the old access token what is left of its life.
            let alive = renews || (accepts && cause == Cause::TokenRefused);
            if alive {
                return Err(format!(
                    "{}: a live grant is said to be dead ({})",
                    known.forge,
                    cause.as_str()
                ));
            }
        }
        Ok(())
    }

    /// Nothing goes wrong any more, and a few days pass: every link works, or says why it does not.
    async fn settle(&mut self, engine: &Engine) -> Result<(), String> {
        for known in self.links.clone() {
            self.forges.with(known.forge, |forge, _| forge.heal());
            if self.disabled(&known) && !self.is_over(&known) {
                let enabled = engine
                    .enable_link(&namespace(), &known.id, "", "uid:1", None, None)
                    .await;
                enabled.map_err(|problem| format!("{}: {problem}", known.forge))?;
            }
        }
        for at in 0..self.links.len() {
            self.conclude(engine, at).await?;
        }
        self.judge()
    }

    async fn conclude(&mut self, engine: &Engine, at: usize) -> Result<(), String> {
        let known = self.links[at].clone();
        let mut last = String::new();
        for _ in 0..40 {
            self.forges.advance(30 * MINUTE);
            self.clock.set(self.forges.now_ms());
            by_itself(engine).await;
            match self.stage(&known) {
                Stage::Unlinked => {
                    self.history.unlinked += 1;
                    return self.ended(&known);
                }
                Stage::Unlinking => continue,
                _ => {}
            }
            match engine.fetch_credential(&wanted(&known)).await {
                Ok(credential) if !known.revoked || self.taken(&known, &credential) => {
                    self.good(at, &credential)?;
                    self.history.works += 1;
                    return Ok(());
                }
                Ok(_) => {
                    let _ = engine.check_link(&namespace(), &known.id, false).await;
                }
                Err(problem) if problem.reason == Reason::LinkNeedsReauthorization => {
                    self.history.stated += u64::from(!known.revoked);
                    return Ok(());
                }
                Err(problem) => last = problem.reason.as_str().to_owned(),
            }
        }
        Err(format!(
            "{}: it neither works nor says why ({}, {last})",
            known.forge,
            self.stage(&known).as_str()
        ))
    }

    /// Whether somebody has unlinked it, or is about to.
    fn is_over(&self, known: &Known) -> bool {
        matches!(self.stage(known), Stage::Unlinking | Stage::Unlinked)
    }

    /// Whether the forge takes a credential.
    fn taken(&self, known: &Known, credential: &Credential) -> bool {
        let token = credential.token.expose();
        self.forges
            .with(known.forge, |forge, now| forge.accepts(token, now))
    }
}

/// How many days a run lasts: weeks, and each sixteenth three to six months, so that what dies of rest or age dies in some.
fn days(seed: u64, random: &mut Random) -> u64 {
    match seed % 16 {
        15 => 90 + random.below(90),
        _ => 10 + random.below(50),
    }
}

/// What the daemon does by itself, and what it starts by that.
pub(crate) async fn by_itself(engine: &Engine) {
    let _ = engine.sweep().await;
    engine.keep_up().await;
    engine.check_due().await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn wanted(known: &Known) -> Wanted {
    Wanted {
        namespace: namespace(),
        link: known.id.clone(),
        access: Access::Read,
        repository: None,
        require_narrowed: false,
        min_remaining: Duration::ZERO,
        insist: false,
        holder: "uid:1".to_owned(),
    }
}
