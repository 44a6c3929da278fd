//! M3: two people, each with a browser, an account at the forge and a client of their own, go through flows in any order.
//!
//! The attacker does whatever can be done with what the attacker knows, and lures the victim: every page and every code of the
//! attacker may also be opened by the victim's browser. The victim reads the page that asks for a confirmation, and confirms
//! what the victim started. The forge keeps to PKCE.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    exchange::{TokenGrant, TokenOutcome},
    link::Stage,
    name::LinkId,
    problem::{Problem, Reason},
    provider::{Identity, Output},
    secret::Secret,
};
use bindery_engine::{
    flows::{HandedIn, Returned, Shown, StarterSays},
    links::{Method, NewLink},
};
use proptest::prelude::*;
use ring::digest::{SHA256, digest};

use crate::support::{World, acme, oauth_link, octo, pair, query, says};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Person {
    Victim,
    Attacker,
}

impl Person {
    const fn cookie(self) -> &'static str {
        match self {
            Self::Victim => "cookie of the victim",
            Self::Attacker => "cookie of the attacker",
        }
    }

    const fn client(self) -> &'static str {
        match self {
            Self::Victim => "uid:1000",
            Self::Attacker => "uid:1001",
        }
    }

    /// Whether this one can come to use what belongs to that one.
    fn gets(self, owner: Self) -> bool {
        self == owner || owner == Self::Attacker
    }
}

/// A number that chooses among what is there.
type Pick = usize;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A client starts a link: by Bindery's pages, or by the registry's own.
    Start(Person, bool),
    /// A browser goes from the start page to the forge.
    Leave(Person, Pick),
    /// A person agrees at the forge, on an authorization page.
    Agree(Person, Pick),
    /// A browser, or one without a cookie, brings back the state of a page and a code.
    Return(Person, bool, Pick, Pick),
    /// A client hands in the state of a page and a code.
    HandIn(Person, Pick, Pick),
    /// A browser opens the page that asks for a confirmation.
    Look(Person, Pick),
    /// A browser confirms on that page.
    ConfirmPage(Person, Pick),
    /// A client confirms, with the code of the page or without.
    ConfirmCall(Person, Pick, bool),
    /// As one that suspects nothing, perhaps lured: to the forge, and back to the page that asks for a confirmation.
    Go(Person, Pick),
    Wait(u64),
}

fn person() -> impl Strategy<Value = Person> {
    prop::sample::select(&[Person::Victim, Person::Attacker][..])
}

fn step() -> impl Strategy<Value = Step> {
    let pick = || 0usize..12;
    let who = || (person(), pick());
    prop_oneof![
        3 => (person(), prop::bool::weighted(0.4)).prop_map(|(who, own)| Step::Start(who, own)),
        3 => who().prop_map(|(who, flow)| Step::Leave(who, flow)),
        4 => who().prop_map(|(who, page)| Step::Agree(who, page)),
        4 => (person(), prop::bool::weighted(0.9), pick(), pick())
            .prop_map(|(who, cookie, page, code)| Step::Return(who, cookie, page, code)),
        3 => (person(), pick(), pick()).prop_map(|(who, page, code)| Step::HandIn(who, page, code)),
        2 => who().prop_map(|(who, flow)| Step::Look(who, flow)),
        4 => who().prop_map(|(who, flow)| Step::ConfirmPage(who, flow)),
        6 => (person(), pick(), any::<bool>())
            .prop_map(|(who, flow, code)| Step::ConfirmCall(who, flow, code)),
        5 => who().prop_map(|(who, flow)| Step::Go(who, flow)),
        1 => (1u64..300).prop_map(Step::Wait),
    ]
}

/// A link that somebody started.
struct Started {
    starter: Person,
    link: LinkId,
    /// Its flow, where it has pages.
    flow: Option<String>,
    /// Who went to the forge with it, brought the answer back, and confirmed.
    left: Option<Person>,
    returned: Option<Person>,
    confirmed: Option<Person>,
    /// The code that a browser was shown, and who asks, as the page said.
    shown: Vec<(Person, String, String)>,
}

/// A page at the forge that asks for consent.
struct Page {
    owner: Person,
    started: usize,
    url: String,
}

/// A code of the forge.
struct Code {
    owner: Person,
    number: usize,
    challenge: String,
    redirect_uri: String,
    used: bool,
}

/// What the forge has issued, and whose account it told of last.
#[derive(Default)]
struct Forge {
    codes: Vec<Code>,
    account: String,
}

impl Forge {
    fn redeem(&mut self, grant: &TokenGrant<'_>) -> TokenOutcome {
        let TokenGrant::Code {
            code,
            redirect_uri,
            verifier,
        } = grant
        else {
            panic!("only codes come here");
        };
        let challenge = verifier.map(|verifier| {
            let hash = digest(&SHA256, verifier.expose().as_bytes());
            data_encoding::BASE64URL_NOPAD.encode(hash.as_ref())
        });
        let found = self.codes.iter_mut().find(|known| {
            code.expose() == known.number.to_string()
                && challenge.as_ref() == Some(&known.challenge)
                && *redirect_uri == known.redirect_uri
                && !known.used
        });
        let Some(found) = found else {
            return TokenOutcome::Refused {
                error: "invalid_grant".to_owned(),
                dead: true,
            };
        };
        found.used = true;
        self.account = account(found.owner, found.number);
        pair(found.number as u64, 3600)
    }
}

/// Everybody has as many accounts as are needed, for one is linked only once.
fn account(owner: Person, number: usize) -> String {
    format!("{owner:?} {number}")
}

/// How many links were bound: by pages, by calls after pages, by the registry's own page.
#[derive(Debug, Default)]
struct Bound {
    on_page: usize,
    by_call: usize,
    headless: usize,
}

struct Run {
    world: World,
    forge: Arc<Mutex<Forge>>,
    all: Vec<Started>,
    pages: Vec<Page>,
}

impl Run {
    async fn new() -> Self {
        let (world, forge) = (World::new().await, Arc::new(Mutex::new(Forge::default())));
        let model = Arc::clone(&forge);
        world
            .forge
            .judge_by(move |grant| model.lock().expect("lock").redeem(grant));
        let model = Arc::clone(&forge);
        world.plugin.on("Identify", move |_| {
            Ok(Output::Identity(Identity {
                stable_id: model.lock().expect("lock").account.clone(),
                ..octo()
            }))
        });
        Self {
            world,
            forge,
            all: Vec::new(),
            pages: Vec::new(),
        }
    }

    async fn step(&mut self, step: Step, bound: &mut Bound) {
        match step {
            Step::Start(who, headless) => drop(self.start(who, headless).await),
            Step::Leave(who, pick) => self.leave(who, self.flow(who, pick)).await,
            Step::Agree(who, pick) => self.agree(who, self.page(who, pick)),
            Step::Return(who, cookie, page, code) => {
                self.come_back(who, cookie, self.page(who, page), self.code(who, code))
                    .await;
            }
            Step::HandIn(who, page, code) => {
                self.hand_in(who, self.page(who, page), self.code(who, code))
                    .await;
            }
            Step::Look(who, pick) => self.look(who, self.flow(who, pick)).await,
            Step::ConfirmPage(who, pick) => {
                bound.on_page += self.confirm_page(who, self.flow(who, pick)).await;
            }
            Step::ConfirmCall(who, pick, coded) => self.confirm_call(who, pick, coded, bound).await,
            Step::Go(who, pick) => self.go(who, pick).await,
            Step::Wait(seconds) => self.world.clock.advance(Duration::from_secs(seconds)),
        }
    }

    /// A flow that a browser of this one can come to.
    fn flow(&self, who: Person, pick: Pick) -> Option<usize> {
        let known = |at: &usize| self.all[*at].flow.is_some() && who.gets(self.all[*at].starter);
        chosen((0..self.all.len()).filter(known), pick)
    }

    /// A page at the forge that this one can come to.
    fn page(&self, who: Person, pick: Pick) -> Option<usize> {
        let known = |at: &usize| who.gets(self.pages[*at].owner);
        chosen((0..self.pages.len()).filter(known), pick)
    }

    /// A code that this one can come to.
    fn code(&self, who: Person, pick: Pick) -> Option<usize> {
        let forge = self.forge.lock().expect("lock");
        let known = forge.codes.iter().filter(|code| who.gets(code.owner));
        chosen(known.map(|code| code.number), pick)
    }

    async fn start(&mut self, who: Person, headless: bool) -> Option<()> {
        let method = match headless {
            false => Method::OAuthCode { return_to: None },
            true => Method::Headless {
                return_to: "harbor".to_owned(),
            },
        };
        let host = oauth_link().host;
        let new = NewLink::new(acme(), host, method, who.client().to_owned());
        // There are only so many open flows of one client.
        let created = self.world.engine.create_link(new, None).await.ok()?;
        let uri = created.authorization.expect("authorization").uri;
        if headless {
            self.pages.push(Page {
                owner: who,
                started: self.all.len(),
                url: uri.clone(),
            });
        }
        self.all.push(Started {
            starter: who,
            link: created.link.record.id,
            flow: (!headless).then(|| uri.rsplit('/').next().expect("flow").to_owned()),
            left: headless.then_some(who),
            returned: None,
            confirmed: None,
            shown: Vec::new(),
        });
        Some(())
    }

    async fn leave(&mut self, who: Person, started: Option<usize>) {
        let Some((at, flow)) = started.and_then(|at| Some((at, self.all[at].flow.clone()?))) else {
            return;
        };
        if let Ok(url) = self.world.engine.leave_for_forge(&flow, who.cookie()).await {
            self.all[at].left = Some(who);
            self.pages.push(Page {
                owner: who,
                started: at,
                url,
            });
        }
    }

    fn agree(&self, who: Person, page: Option<usize>) {
        let Some(page) = page.map(|at| &self.pages[at]) else {
            return;
        };
        let mut forge = self.forge.lock().expect("lock");
        let number = forge.codes.len();
        forge.codes.push(Code {
            owner: who,
            number,
            challenge: query(&page.url, "code_challenge"),
            redirect_uri: query(&page.url, "redirect_uri"),
            used: false,
        });
    }

    async fn come_back(
        &mut self,
        who: Person,
        cookie: bool,
        page: Option<usize>,
        code: Option<usize>,
    ) {
        let (Some(page), Some(code)) = (page, code) else {
            return;
        };
        let (started, state) = (
            self.pages[page].started,
            query(&self.pages[page].url, "state"),
        );
        let brought = Returned {
            code: Some(Secret::new(code.to_string())),
            ..self
                .world
                .returned(&state, cookie.then_some(who.cookie()))
                .await
        };
        if self.world.engine.callback(brought).await.is_ok() {
            self.all[started].returned = Some(who);
        }
    }

    async fn hand_in(&mut self, who: Person, page: Option<usize>, code: Option<usize>) {
        let (Some(page), Some(code)) = (page, code) else {
            return;
        };
        let (at, state) = (
            self.pages[page].started,
            query(&self.pages[page].url, "state"),
        );
        let handed = HandedIn {
            principal: who.client(),
            state: &state,
            code: Secret::new(code.to_string()),
            issuer: None,
        };
        let link = self.all[at].link.clone();
        let engine = &self.world.engine;
        let done = engine.complete_link(&acme(), &link, handed, None).await;
        if done.is_ok() {
            self.all[at].returned = Some(who);
        }
    }

    async fn look(&mut self, who: Person, started: Option<usize>) {
        let Some((at, flow)) = started.and_then(|at| Some((at, self.all[at].flow.clone()?))) else {
            return;
        };
        if let Ok(view) = self.world.engine.confirm_view(&flow, who.cookie()).await {
            let code = view.confirm_code.expose().to_owned();
            self.all[at].shown.push((who, code, view.requester));
        }
    }

    /// What a person was shown last of a flow: the code, and who asks.
    fn seen(&self, who: Person, at: usize) -> Option<(String, String)> {
        let shown = self.all[at].shown.iter().rev();
        let mut own = shown.filter(|(by, ..)| *by == who);
        own.next()
            .map(|(_, code, requester)| (code.clone(), requester.clone()))
    }

    async fn confirm_page(&mut self, who: Person, started: Option<usize>) -> usize {
        let Some((at, flow)) = started.and_then(|at| Some((at, self.all[at].flow.clone()?))) else {
            return 0;
        };
        let (code, requester) = self.seen(who, at).unwrap_or_default();
        if who == Person::Victim && requester != who.client() {
            return 0;
        }
        let confirmed =
            self.world
                .engine
                .confirm_in_browser(&flow, &code, who.cookie(), Shown::default());
        self.note(at, who, confirmed.await.err())
    }

    async fn confirm_call(&mut self, who: Person, pick: Pick, coded: bool, bound: &mut Bound) {
        // The ids of links are no secret.
        let Some(at) = chosen(0..self.all.len(), pick) else {
            return;
        };
        let code = self.seen(who, at).filter(|_| coded).map(|(code, _)| code);
        let says = StarterSays {
            code: code.as_deref(),
            ..says(who.client())
        };
        let link = self.all[at].link.clone();
        let engine = &self.world.engine;
        let confirmed = engine.confirm_by_starter(&acme(), &link, says, None).await;
        let done = self.note(at, who, confirmed.err());
        match self.all[at].flow {
            Some(_) => bound.by_call += done,
            None => bound.headless += done,
        }
    }

    fn note(&mut self, at: usize, who: Person, problem: Option<Problem>) -> usize {
        match problem {
            None => {
                assert_eq!(self.all[at].confirmed, None, "confirmed twice");
                self.all[at].confirmed = Some(who);
                1
            }
            Some(problem) => {
                let known = [
                    Reason::FlowExpired,
                    Reason::FlowMismatch,
                    Reason::FlowPending,
                ];
                assert!(known.contains(&problem.reason), "{problem:?}");
                0
            }
        }
    }

    async fn go(&mut self, who: Person, pick: Pick) {
        let known = |at: &usize| who.gets(self.all[*at].starter);
        let Some(at) = chosen((0..self.all.len()).filter(known), pick) else {
            return;
        };
        self.leave(who, Some(at)).await;
        let of_it = |page: &Page| who.gets(page.owner) && page.started == at;
        let page = self.pages.iter().rposition(of_it);
        self.agree(who, page);
        let code = self.code(who, 0);
        match self.all[at].flow {
            Some(_) => self.come_back(who, true, page, code).await,
            None => self.hand_in(who, page, code).await,
        }
        self.look(who, Some(at)).await;
    }

    /// What is bound was started, brought to the forge and back, agreed to and confirmed by one person; what is not bound
    /// gives no token.
    async fn check(&self) {
        for started in &self.all {
            let link = self.world.read(&started.link).await;
            let token = self.world.fetch(&started.link).await;
            if link.observed.stage != Stage::Bound {
                assert!(token.is_err(), "a token before the link is bound");
                continue;
            }
            let own = Some(started.starter);
            assert_eq!(started.left, own, "another browser went to the forge");
            assert_eq!(started.returned, own, "another one brought the answer");
            assert_eq!(started.confirmed, own, "another one confirmed");
            let account = link.identity.expect("identity").stable_id;
            let own = format!("{:?} ", started.starter);
            assert!(account.starts_with(&own), "{account:?} is not of {own}");
        }
    }
}

fn chosen(among: impl Iterator<Item = usize>, pick: Pick) -> Option<usize> {
    let among: Vec<_> = among.collect();
    // The newest ones most of the time: the others are over soon.
    let last = among.len().checked_sub(1)?;
    Some(among[last - pick % among.len()])
}

/// M3: a link becomes active only when whoever started it went to the forge, agreed there, came back and confirmed, in one
/// browser or as one client.
#[test]
fn m3_a_link_is_of_who_started_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let bound = std::cell::RefCell::new(Bound::default());
    let cases = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    };
    proptest::test_runner::TestRunner::new(cases)
        .run(&prop::collection::vec(step(), 20..100), |steps| {
            runtime.block_on(async {
                let mut so_far = bound.take();
                let mut run = Run::new().await;
                for step in steps {
                    run.step(step, &mut so_far).await;
                }
                run.check().await;
                bound.replace(so_far);
            });
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let bound = bound.into_inner();
    println!("{bound:?}");
    // Else it was about nothing.
    assert!(bound.on_page > 5 && bound.by_call > 0 && bound.headless > 5);
}
