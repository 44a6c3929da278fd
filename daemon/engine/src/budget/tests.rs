//! Budgets under a clock that stands still until a test moves it.

use std::sync::atomic::{AtomicUsize, Ordering};

use bindery_core::{
    exchange::TokenGrant,
    host::HostSecrets,
    name::ProviderName,
    origin::OriginSet,
    port::Started,
    provider::{AuthKind, AuthMethod, Call, Description, Failure, HookSupport},
    secret::{Secret, SecretSet},
};
use proptest::prelude::*;
use tokio::sync::watch;

use super::*;

struct VirtualClock(watch::Sender<u64>);

impl VirtualClock {
    fn advance(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).expect("fits");
        self.0.send_modify(|now| *now += ms);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(*self.0.borrow())
    }

    fn sleep_until(&self, when: Timestamp) -> BoxFuture<'_, ()> {
        let mut now = self.0.subscribe();
        Box::pin(async move {
            let passed = now.wait_for(|now| *now >= when.unix_ms()).await;
            drop(passed.expect("the clock lives"));
        })
    }
}

/// A forge that holds its answers, and counts how many wait for one.
struct Forge {
    open: watch::Sender<bool>,
    running: AtomicUsize,
    most: AtomicUsize,
    sent: AtomicUsize,
    answer: Mutex<HttpResponse>,
}

impl Forge {
    fn new() -> Self {
        Self {
            open: watch::channel(true).0,
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            answer: Mutex::default(),
        }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    fn answer(&self, status: u16, headers: &[(&str, &str)]) {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        *self.answer.lock().expect("lock") = HttpResponse {
            status,
            headers: headers.iter().map(pair).collect(),
            body: Vec::new(),
        };
    }
}

impl Egress for Forge {
    fn send<'a>(
        &'a self,
        _: &'a HttpRequest,
        _: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        Box::pin(async {
            self.sent.fetch_add(1, Ordering::SeqCst);
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            let mut open = self.open.subscribe();
            drop(open.wait_for(|open| *open).await.expect("the forge lives"));
            self.running.fetch_sub(1, Ordering::SeqCst);
            Ok(Exchanged {
                response: self.answer.lock().expect("lock").clone(),
                captured: SecretSet::new(),
            })
        })
    }

    fn token<'a>(&'a self, _: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        let problem = Problem::new(Reason::ProviderRateLimited, "slow down");
        let problem = problem.retry(Some(Duration::from_secs(90)));
        Box::pin(async { TokenOutcome::NotNow(problem).into() })
    }

    fn revoke<'a>(&'a self, _: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        unreachable!("nothing is revoked in these tests")
    }

    fn authorize_device<'a>(
        &'a self,
        _: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        unreachable!("no device flow is started here")
    }

    fn probe<'a>(&'a self, _: &'a str, _: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { ProbeReport::default() })
    }

    fn admit(&self, _: Reach<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn certificates(&self, _: &HostNetwork) -> Certificates {
        Certificates::default()
    }
}

/// A provider whose answers tell the rate limit as GitHub's do.
struct Plugin;

impl Providers for Plugin {
    fn list(&self) -> Vec<Arc<Description>> {
        Vec::new()
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        let named = |name: &str| format!("x-ratelimit-{name}");
        Some(Arc::new(Description {
            rate_limits: RateLimitHeaders {
                limit: named("limit"),
                remaining: named("remaining"),
                reset: named("reset"),
            },
            ..empty(provider.clone())
        }))
    }

    fn start<'a>(
        &'a self,
        _: &'a ProviderName,
        _: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        unreachable!("nothing is started in these tests")
    }
}

fn empty(provider: ProviderName) -> Description {
    Description {
        provider,
        version: String::new(),
        display_name: String::new(),
        platform_versions: String::new(),
        trigger_limits: String::new(),
        operations: Vec::new(),
        endpoints: bindery_core::provider::Endpoints::default(),
        auth_methods: Vec::new(),
        token_kinds: Vec::new(),
        permissions: Vec::new(),
        revocation: bindery_core::provider::RevocationSupport::default(),
        rate_limits: RateLimitHeaders::default(),
        isolation: String::new(),
        sha256: String::new(),
        edition: String::new(),
        edition_webs: Vec::new(),
        hooks: HookSupport::default(),
        editions: Vec::new(),
        app_install_uri: String::new(),
    }
}

struct World {
    budgeted: Arc<Budgeted>,
    clock: Arc<VirtualClock>,
    forge: Arc<Forge>,
    host: Host,
}

const START_S: u64 = 1_800_000_000;

impl World {
    fn new(change: impl FnOnce(&mut Host)) -> Self {
        let clock = Arc::new(VirtualClock(watch::channel(START_S * 1000).0));
        let forge = Arc::new(Forge::new());
        let budgeted = Arc::new(Budgeted {
            inner: Arc::clone(&forge) as _,
            clock: Arc::clone(&clock) as _,
            providers: Arc::new(Plugin),
            hosts: Mutex::default(),
        });
        let name = HostName::parse("forge").expect("name");
        let provider = ProviderName::parse("forge").expect("name");
        let web = "https://forge.example".to_owned();
        let mut host = Host::new(name, provider, web, Timestamp::default());
        change(&mut host);
        Self {
            budgeted,
            clock,
            forge,
            host,
        }
    }

    /// Asks with a token; the task that does it goes on by itself.
    fn ask(&self, token: &str) -> tokio::task::JoinHandle<Result<u16, Problem>> {
        let (budgeted, host) = (Arc::clone(&self.budgeted), self.host.clone());
        let mut secrets = SecretSet::new();
        secrets.insert("access_token", Secret::new(token.to_owned()));
        tokio::spawn(async move {
            let route = Route {
                reach: Reach {
                    host: &host,
                    secrets: &HostSecrets::default(),
                },
                origins: &OriginSet::default(),
                secrets: &secrets,
            };
            let sent = budgeted.send(&request(), route).await;
            sent.map(|exchanged| exchanged.response.status)
        })
    }

    async fn asked(&self, token: &str) -> Result<u16, Problem> {
        self.ask(token).await.expect("no panic")
    }

    async fn refresh(&self) -> Reason {
        let call = TokenCall {
            endpoint: "https://forge.example/token",
            client_id: "client",
            method: &AuthMethod::new(AuthKind::OAuthCode),
            reach: Reach {
                host: &self.host,
                secrets: &HostSecrets::default(),
            },
            origins: &OriginSet::default(),
            grant: TokenGrant::Refresh {
                refresh_token: &Secret::new("refresh".to_owned()),
                redirect_uri: None,
            },
        };
        match self.budgeted.token(call).await.outcome {
            TokenOutcome::NotNow(problem) => problem.reason,
            other => panic!("{other:?}"),
        }
    }
}

fn request() -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: "https://forge.example/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        capture: Vec::new(),
        max_response_bytes: 0,
    }
}

/// Lets all tasks run until they wait for something.
async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Eight requests run at the same time unless the operator says otherwise; the others wait for their turn, and all are sent.
#[tokio::test]
async fn places_are_limited_and_all_come_to_their_turn() {
    for (at_once, expected) in [(0, 8), (2, 2)] {
        let world = World::new(|host| host.rate_budget.at_once = at_once);
        world.forge.open.send_replace(false);
        let asked: Vec<_> = (0..20).map(|_| world.ask("a")).collect();
        settle().await;
        assert_eq!(world.forge.sent(), expected);
        world.forge.open.send_replace(true);
        for one in asked {
            one.await.expect("no panic").expect("sent");
        }
        assert_eq!(world.forge.sent(), 20);
        assert_eq!(world.forge.most.load(Ordering::SeqCst), expected);
    }
}

/// Nobody waits for a place for ever: after the longest wait the caller learns that the host is busy, and nothing was sent.
#[tokio::test]
async fn waiting_has_an_end() {
    let world = World::new(|host| host.rate_budget.at_once = 1);
    world.forge.open.send_replace(false);
    let first = world.ask("a");
    settle().await;
    let second = world.ask("a");
    settle().await;
    world.clock.advance(LONGEST_WAIT);
    let problem = second.await.expect("no panic").expect_err("too long");
    assert_eq!(problem.reason, Reason::Overloaded);
    assert!(problem.retry_after.is_some());
    assert_eq!(world.forge.sent(), 1);
    world.forge.open.send_replace(true);
    first.await.expect("no panic").expect("sent");
}

/// The hour's requests are counted over all links, and there is room again when the hour has moved on.
#[tokio::test]
async fn an_hour_has_its_number() {
    let world = World::new(|host| host.rate_budget.requests_per_hour = 3);
    for token in ["a", "b", "c"] {
        world.asked(token).await.expect("sent");
    }
    let problem = world.asked("d").await.expect_err("used up");
    assert_eq!(problem.reason, Reason::ProviderRateLimited);
    let wait = problem.retry_after.expect("until when");
    assert!(wait <= LONGEST_PAUSE + Duration::from_secs(60), "{wait:?}");
    assert_eq!(world.forge.sent(), 3);
    world.clock.advance(wait);
    world.asked("d").await.expect("room again");
}

/// A token without allowance is held back until the moment that the host named; other tokens are not.
#[tokio::test]
async fn a_used_up_token_is_held_back_alone() {
    let world = World::new(|_| ());
    let reset = (START_S + 600).to_string();
    world.forge.answer(
        200,
        &[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", &reset),
        ],
    );
    world.asked("a").await.expect("the last one");
    world.forge.answer(200, &[("x-ratelimit-remaining", "17")]);
    let problem = world.asked("a").await.expect_err("nothing left");
    assert_eq!(problem.reason, Reason::ProviderRateLimited);
    assert_eq!(problem.retry_after, Some(Duration::from_secs(600)));
    world.asked("b").await.expect("its own allowance");
    world.clock.advance(Duration::from_secs(600));
    world.asked("a").await.expect("reset");
}

/// A host that asks for a pause is left alone by all links and on all legs, for an hour at most.
#[tokio::test]
async fn a_pause_holds_for_all() {
    for (status, asked, held) in [(429, "120", 120), (403, "999999999", 3600), (503, "5", 5)] {
        let world = World::new(|_| ());
        world.forge.answer(status, &[("retry-after", asked)]);
        world.asked("a").await.expect("an answer");
        world.forge.answer(200, &[]);
        for token in ["a", "b"] {
            let problem = world.asked(token).await.expect_err("a pause");
            assert_eq!(problem.retry_after, Some(Duration::from_secs(held)));
        }
        assert_eq!(world.refresh().await, Reason::ProviderRateLimited);
        assert_eq!(world.forge.sent(), 1);
        world.clock.advance(Duration::from_secs(held));
        world.asked("b").await.expect("over");
    }
}

/// A limited token endpoint closes the other legs as well, for as long as it says.
#[tokio::test]
async fn a_limited_token_endpoint_pauses_the_host() {
    let world = World::new(|_| ());
    assert_eq!(world.refresh().await, Reason::ProviderRateLimited);
    let problem = world.asked("a").await.expect_err("a pause");
    assert_eq!(problem.retry_after, Some(Duration::from_secs(90)));
    world.clock.advance(Duration::from_secs(90));
    world.asked("a").await.expect("over");
}

/// A number beside no limit closes nothing, and neither does what a host did not say.
#[tokio::test]
async fn other_answers_pause_nothing() {
    let world = World::new(|_| ());
    for (status, headers) in [
        (200, vec![("retry-after", "60")]),
        (403, vec![]),
        (200, vec![("x-ratelimit-remaining", "soon")]),
        (500, vec![("retry-after", "60")]),
    ] {
        world.forge.answer(status, &headers);
        world.asked("a").await.expect("an answer");
    }
    assert_eq!(world.forge.sent(), 4);
}

/// An operator looks what is wrong whatever the budget says.
#[tokio::test]
async fn probes_are_never_held_back() {
    let world = World::new(|host| host.rate_budget.requests_per_hour = 1);
    world.forge.answer(429, &[("retry-after", "60")]);
    world.asked("a").await.expect("an answer");
    let secrets = HostSecrets::default();
    let reach = Reach {
        host: &world.host,
        secrets: &secrets,
    };
    world.budgeted.probe("https://forge.example", reach).await;
    assert_eq!(world.forge.sent(), 2);
}

/// Hours of providers begin anywhere: what was sent at the end of a minute counts until an hour later.
#[tokio::test]
async fn an_hour_may_begin_anywhere() {
    let world = World::new(|host| host.rate_budget.requests_per_hour = 1);
    world.clock.advance(Duration::from_secs(59));
    world.asked("a").await.expect("sent");
    world.clock.advance(Duration::from_secs(3599));
    world.asked("a").await.expect_err("within the hour");
    world.clock.advance(Duration::from_secs(2));
    world.asked("a").await.expect("room again");
}

/// Two answers that cross: the token is held back until the later of their times, whichever comes last.
#[tokio::test]
async fn crossing_answers_shorten_no_hold() {
    let mut state = State::default();
    let (host, token) = (World::new(|_| ()).host, Some([1; 32]));
    let at = Timestamp::from_unix_ms;
    state.hold(token, at(9000), at(0));
    state.hold(token, at(5000), at(1000));
    assert!(state.open(&host, token.as_ref(), at(8999)).is_err());
    assert!(state.open(&host, token.as_ref(), at(9000)).is_ok());
}

/// What happens to one host.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    /// Somebody wants to ask with this token.
    Ask(u8),
    /// The host asks for a pause of so many seconds.
    Pause(u64),
    /// A token has no allowance for so many seconds, says an answer to a request that was under way.
    Hold(u8, u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0u64..1500).prop_map(Event::Wait),
        8 => (0u8..3).prop_map(Event::Ask),
        1 => (0u64..4000).prop_map(Event::Pause),
        1 => (0u8..3, 0u64..4000).prop_map(|(token, seconds)| Event::Hold(token, seconds)),
    ]
}

proptest! {
    /// M6: whatever a host and its tokens were told, nothing is asked before the time of any of it; and no hour, wherever it
    /// begins, has more requests than the operator allows.
    #[test]
    fn m6_a_host_is_asked_no_earlier_and_no_oftener(
        most in 1u32..12,
        events in prop::collection::vec(event(), 1..300),
    ) {
        let world = World::new(|host| host.rate_budget.requests_per_hour = most);
        let (host, mut state) = (&world.host, State::default());
        // Not at the beginning of a minute: the hours of providers begin anywhere.
        let (mut now, mut paused, mut held) = (START_S + 37, 0, [0; 3]);
        let mut sent: Vec<u64> = Vec::new();
        for event in events {
            let at = |seconds: u64| Timestamp::from_unix_ms(seconds * 1000);
            match event {
                Event::Wait(seconds) => now += seconds,
                Event::Pause(seconds) => {
                    paused = paused.max(now + seconds);
                    state.pause(at(now + seconds));
                }
                Event::Hold(token, seconds) => {
                    let held = &mut held[usize::from(token)];
                    *held = (*held).max(now + seconds);
                    state.hold(Some([token; 32]), at(now + seconds), at(now));
                }
                Event::Ask(token) => {
                    let until = paused.max(held[usize::from(token)]);
                    let open = state.open(host, Some(&[token; 32]), at(now));
                    prop_assert_eq!(open.is_ok(), now >= until);
                    let Err(problem) = open.and_then(|()| state.spend(host, at(now))) else {
                        sent.push(now);
                        let hour = sent.iter().filter(|then| **then + 3600 > now).count();
                        prop_assert!(hour <= most as usize, "{} in an hour", hour);
                        continue;
                    };
                    let wait = problem.retry_after.expect("until when").as_secs();
                    prop_assert!(wait > 0 && wait <= until.max(now + 3660) - now);
                }
            }
        }
    }
}
