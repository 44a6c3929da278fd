//! Whether time tells a sender which hooks there are (THREATS W6), measured as dudect does, at the socket.
//!
//! A listener with the whole router, over a real engine, vault and store on disk, takes deliveries of two classes over
//! connections that stay, in an order that chance decides before: of a hook that is there, with a wrong signature, and of one
//! that is not, with the same bytes. The time is from the first byte sent to the last one read. Welch's t-test compares both
//! classes: of all samples, and of those below each of a hundred percentiles. The largest `|t|` of these 101 must stay below 4.5.
//!
//! An answer that is no yes waits for a millisecond or two, so that a million samples of each class take an hour over one
//! connection. Several send at once therefore, which adds noise; `BINDERY_CONNECTIONS=1` has none.
//!
//! The control is the same measure, and must be seen: a layer before the same router refuses what names no hook before
//! anything is verified, in the same words.
//!
//! ```sh
//! cargo bench -p bindery-web --bench sender               # 10⁶ samples of a class, for each kind of scheme
//! cargo bench -p bindery-web --bench sender -- --quick    # a few: does it work at all?
//! BINDERY_SAMPLES=100000 BINDERY_CONNECTIONS=1 BINDERY_SCHEMES=hmac cargo bench -p bindery-web --bench sender
//! ```
#![forbid(unsafe_code)]

#[expect(dead_code, reason = "the bench in the process needs more of it")]
#[path = "../../engine/benches/timing/measure.rs"]
mod measure;
#[path = "sender/socket.rs"]
mod socket;
#[expect(dead_code, reason = "the tests need more of it")]
#[allow(unused_imports, reason = "the tests need more of it")]
#[path = "../../engine/tests/engine/support.rs"]
mod support;
#[path = "../../engine/benches/timing/welch.rs"]
mod welch;

use std::{process::ExitCode, thread};

use crate::{
    measure::drawn,
    socket::{Server, Variant},
    welch::{Found, Samples, largest},
};

/// Beyond this a difference is seen.
const SEEN: f64 = 4.5;

/// Samples of a class.
const EACH: usize = 1_000_000;

/// Connections that send at once.
const CONNECTIONS: usize = 8;

/// Samples of each connection that are thrown away: nothing is measured cold.
const WARM: usize = 500;

/// A body that is signed, one in which only a token stands for that, and one in which a signed time does.
const SCHEMES: [&str; 3] = ["hmac", "token", "time"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if has("--list") {
        return ExitCode::SUCCESS;
    }
    // Only `cargo bench` says `--bench`; what `cargo test` wants to know is whether it works.
    let full = has("--bench") && !has("--quick");
    let each = match full {
        true => wanted("BINDERY_SAMPLES", EACH),
        false => 500,
    };
    let schemes = std::env::var("BINDERY_SCHEMES").unwrap_or_else(|_| SCHEMES.join(","));
    let mut right = true;
    for scheme in SCHEMES.into_iter().filter(|name| schemes.contains(name)) {
        right &= judge(scheme, each, full);
    }
    match right || !full {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A number that the caller asks for.
fn wanted(variable: &str, otherwise: usize) -> usize {
    let wanted = std::env::var(variable).ok();
    wanted.map_or(otherwise, |count| count.parse().expect("a number"))
}

/// Measures the listener and the control with one scheme. Says whether the one shows nothing and the other is seen.
fn judge(scheme: &'static str, each: usize, full: bool) -> bool {
    let server = Server::start(scheme);
    let real = measured(&server, Variant::Real, each);
    let of_control = each.min(EACH / 10);
    let control = measured(&server, Variant::RefusesAtOnce, of_control);
    let right = real.t.abs() < SEEN && control.t.abs() > SEEN;
    let verdict = match (full, right) {
        (false, _) => "not judged",
        (true, true) => "nothing is seen",
        (true, false) => "NOT as it is to be",
    };
    println!(
        "{scheme}: {each} samples of a class: {real}; control, {of_control}: {control}; {verdict}"
    );
    right
}

fn measured(server: &Server, variant: Variant, each: usize) -> Found {
    let connections = wanted("BINDERY_CONNECTIONS", CONNECTIONS);
    let mut samples = Samples::with_capacity(2 * each);
    thread::scope(|scope| {
        let send = || sent(server, variant, each / connections);
        let senders: Vec<_> = (0..connections).map(|_| scope.spawn(send)).collect();
        for sender in senders {
            for (known, took) in sender.join().expect("a sender") {
                samples.push(known, took);
            }
        }
    });
    largest(&samples)
}

/// So many samples of each class, over one connection.
fn sent(server: &Server, variant: Variant, each: usize) -> Vec<(bool, f64)> {
    let mut sender = server.sender(variant);
    for known in drawn(WARM) {
        sender.time(known);
    }
    let order = drawn(2 * each).into_iter();
    order.map(|known| (known, sender.time(known))).collect()
}
