//! Both sides of the plugin boundary in one address space: the library, loaded as a worker loads it but without its walls,
//! and driven through its table with everything that misbehaves and lets the process live.
//!
//! `tests/asan` runs it under AddressSanitizer, which sees every byte that the SDK and the plugin touch. It sees nothing in a
//! real worker: the filter there refuses the calls that it needs, and the limit of memory its shadow.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "what crosses the boundary is raw pointers")]

use std::{ffi::CString, os::unix::ffi::OsStrExt as _, ptr, sync::LazyLock};

use bindery_plugin_sdk::{
    abi::{OK, Op, PluginV1, Slice, TABLE_SYMBOL, limits},
    v1,
};
use prost::Message as _;
use serde::Deserialize;

/// Answers in an operation, at most: some never end.
const ROUNDS: usize = 8;

/// The table of the library beside this program. It is loaded once and for good.
static TABLE: LazyLock<&'static PluginV1> = LazyLock::new(|| {
    let own = std::env::current_exe().expect("this program has a path");
    let library = own.with_file_name("libbindery_plugin_hostile.so");
    let path = CString::new(library.as_os_str().as_bytes()).expect("no zero");
    // SAFETY: the path ends with a zero; the library's constructors are those of any Rust library.
    let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!loaded.is_null(), "{} can't be loaded", library.display());
    // SAFETY: the handle is good, and the name ends with a zero.
    let table = unsafe { libc::dlsym(loaded, TABLE_SYMBOL.as_ptr()) };
    // SAFETY: the library exports a table under this name, and is never unloaded.
    unsafe { table.cast::<PluginV1>().as_ref() }.expect("the library has a table")
});

/// An operation that was started.
struct Running {
    operation: *mut Op,
    step: Slice,
}

impl Running {
    /// The operation of a request, if there is one.
    fn start(request: &[u8]) -> Option<Self> {
        let start = TABLE.start.expect("a function");
        let (mut operation, mut step) = (ptr::null_mut(), Slice::EMPTY);
        // The bytes are freed when the call is over: whoever keeps them is found out.
        let bytes = request.to_vec();
        // SAFETY: `bytes` lives during the call, and both pointers are valid for one write.
        let status = unsafe { start(Slice::new(&bytes), &raw mut operation, &raw mut step) };
        (status == OK && !operation.is_null()).then(|| Self { operation, step })
    }

    /// Goes on, and says whether that went well.
    fn resume(&mut self, results: &[u8]) -> bool {
        let resume = TABLE.resume.expect("a function");
        let (bytes, mut step) = (results.to_vec(), Slice::EMPTY);
        // SAFETY: the operation is alive, `bytes` lives during the call, and `step` is valid for one write.
        let status = unsafe { resume(self.operation, Slice::new(&bytes), &raw mut step) };
        self.step = step;
        status == OK
    }

    /// The bytes of the step, as long as a worker takes it.
    fn step(&self) -> Option<Vec<u8>> {
        let step = self.step.check(limits::STEP_LEN_HARD).ok()?;
        // SAFETY: the plugin lends these bytes until the next call, which takes the operation mutably.
        Some(unsafe { step.as_bytes() }.to_vec())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let end = TABLE.drop.expect("a function");
        // SAFETY: the operation is alive, and this is the last that is done with it.
        unsafe { end(self.operation) };
    }
}

fn description() -> Slice {
    let (describe, mut out) = (TABLE.describe.expect("a function"), Slice::EMPTY);
    // SAFETY: `out` is valid for one write.
    let status = unsafe { describe(&raw mut out) };
    assert_eq!(status, OK);
    out
}

#[derive(Deserialize)]
struct Attacks {
    attack: Vec<Attack>,
}

#[derive(Deserialize)]
struct Attack {
    name: String,
    code: String,
}

/// The attacks that end neither this process nor its patience, and ask nothing of the system.
fn attacks() -> Vec<String> {
    let text = include_str!("../attacks.toml");
    let all = toml::from_str::<Attacks>(text).expect("TOML").attack;
    let harmless = |attack: &Attack| {
        let fatal = ["Crashed", "Timeout", "PermissionDenied"].contains(&attack.code.as_str());
        let system = ["print", "sleep", "stderr_flood"].contains(&attack.name.as_str());
        !fatal && !system && !attack.name.starts_with("wire_")
    };
    let kept = all.into_iter().filter(harmless);
    kept.map(|attack| attack.name).collect()
}

fn inputs() -> Vec<v1::operation_request::Input> {
    use v1::operation_request::Input;
    vec![
        Input::Identify(v1::Identify::default()),
        Input::ListRepositories(v1::ListRepositories::default()),
        Input::GetRepository(v1::GetRepository {
            repository: "a/b".to_owned(),
        }),
        Input::Revoke(v1::Revoke::default()),
        Input::Probe(v1::Probe::default()),
        Input::CreateHook(v1::CreateHook::default()),
        Input::ParseDelivery(v1::ParseDelivery {
            event: "push".to_owned(),
            ..v1::ParseDelivery::default()
        }),
    ]
}

fn request(input: v1::operation_request::Input, attack: &str) -> Vec<u8> {
    v1::OperationRequest {
        schema: 1,
        random_seed: vec![7; 32],
        api_base: "https://git.corp/api/v1".to_owned(),
        web_base: "https://git.corp".to_owned(),
        settings: [("attack".to_owned(), attack.to_owned())].into(),
        input: Some(input),
        ..v1::OperationRequest::default()
    }
    .encode_to_vec()
}

/// How the effects of a step are answered, well and badly.
#[derive(Clone, Copy, Debug)]
enum Style {
    Honest,
    Broken,
    OtherIds,
    Twice,
    OtherKind,
    Nothing,
    NoMessage,
}

impl Style {
    const ALL: [Self; 7] = [
        Self::Honest,
        Self::Broken,
        Self::OtherIds,
        Self::Twice,
        Self::OtherKind,
        Self::Nothing,
        Self::NoMessage,
    ];

    fn answer(self, effects: &[v1::Effect]) -> Vec<u8> {
        let results = effects.iter().map(|effect| self.result(effect.id));
        let mut results: Vec<_> = results.collect();
        match self {
            Self::Twice => results.extend_from_within(..),
            Self::Nothing => results.clear(),
            Self::NoMessage => return vec![0xff; 60],
            _ => {}
        }
        v1::Resume { results }.encode_to_vec()
    }

    fn result(self, id: u32) -> v1::EffectResult {
        use v1::effect_result::Kind;
        let body = match self {
            Self::Broken => vec![b'['; 4096],
            _ => br#"{"id":1,"login":"octo","full_name":"a/b","clone_url":"https://git.corp/a/b"}"#
                .to_vec(),
        };
        let kind = match self {
            Self::OtherKind => Kind::Verified(true),
            _ => Kind::Http(v1::HttpResponse {
                status: 200,
                headers: Vec::new(),
                body,
            }),
        };
        v1::EffectResult {
            id: match self {
                Self::OtherIds => id.wrapping_add(0x8000_0000),
                _ => id,
            },
            kind: Some(kind),
        }
    }
}

/// Drives an operation to its end, or for a while, and gives the number of its steps.
fn drive(request: &[u8], style: Style) -> usize {
    let Some(mut running) = Running::start(request) else {
        return 0;
    };
    for round in 1..=ROUNDS {
        let Some(bytes) = running.step() else {
            return round;
        };
        let Ok(step) = v1::Step::decode(bytes.as_slice()) else {
            return round;
        };
        // What was lent is still what it was.
        assert_eq!(running.step(), Some(bytes));
        if step.outcome.is_some() || !running.resume(&style.answer(&step.effects)) {
            return round;
        }
    }
    ROUNDS
}

/// P6, P8: no attack makes the SDK or the plugin touch what is not theirs, however its requests are answered; and what was
/// lent for ever stays as it was.
#[test]
fn p6_attacks_stay_within_their_memory() {
    let lent = description();
    // SAFETY: these bytes stay valid for ever, by the boundary.
    let bytes = || unsafe { lent.as_bytes() };
    let before = bytes().to_vec();
    v1::Description::decode(before.as_slice()).expect("a description");
    let (attacks, mut steps) = (attacks(), 0);
    assert!(attacks.len() > 60, "{}", attacks.len());
    for attack in attacks.iter().map(String::as_str).chain([""]) {
        let asks = request(inputs().swap_remove(0), attack);
        if attack.contains("many") {
            // Ten thousand of something: once is enough.
            steps += drive(&asks, Style::Nothing);
            continue;
        }
        for input in inputs() {
            steps += drive(&request(input, attack), Style::Honest);
        }
        for style in Style::ALL {
            steps += drive(&asks, style);
        }
    }
    assert_eq!(bytes(), before);
    println!(
        "figure: P6: {} attacks at the boundary, {steps} steps",
        attacks.len()
    );
}

/// P6: whatever bytes come as a request, and as the results of an operation that waits or is over.
#[test]
fn p6_any_bytes_may_cross_the_boundary() {
    let honest = request(inputs().swap_remove(1), "");
    for target in ["plugin_answer", "abi_message", "token_reply"] {
        bindery_replay::replay(target, |bytes| {
            drop(Running::start(bytes));
            let mut running = Running::start(&honest).expect("an operation");
            for _ in 0..3 {
                running.resume(bytes);
                running.step();
            }
        });
    }
}
