//! Whether time tells which hooks there are (THREATS W6), measured as dudect does.
//!
//! The intake takes deliveries of two classes, in an order that chance decides before: of a hook that is there, with a wrong
//! signature, and of one that is not, with the same bytes. Welch's t-test compares the times of both classes: of all samples,
//! and of those below each of a hundred percentiles, since what disturbs a machine makes some samples long. `|t|` below 4.5 means
//! that 10⁶ samples of a class show no difference.
//!
//! The control is the same measure over an intake that answers at once where there is no such hook. It must be seen.
//!
//! ```sh
//! cargo bench -p bindery-engine --bench timing               # 10⁶ samples of a class, for each scheme
//! cargo bench -p bindery-engine --bench timing -- --quick    # a few: does it work at all?
//! ```
#![forbid(unsafe_code)]

#[path = "timing/measure.rs"]
mod measure;
#[expect(dead_code, reason = "the tests need more of it")]
#[allow(unused_imports, reason = "the tests need more of it")]
#[path = "../tests/engine/support.rs"]
mod support;
#[path = "timing/welch.rs"]
mod welch;

use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::{
    measure::{Intake, Variant, samples},
    support::Hooked,
    welch::largest,
};

/// Beyond this a difference is seen.
const SEEN: f64 = 4.5;

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
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut right = true;
    for scheme in SCHEMES {
        right &= runtime.block_on(judge(scheme, full));
    }
    match right || !full {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Measures the intake and the control with one scheme. Says whether the one shows nothing and the other is seen.
async fn judge(scheme: &str, full: bool) -> bool {
    let (each, of_control) = if full {
        (1_000_000, 100_000)
    } else {
        (500, 500)
    };
    let hooked = Hooked::new().await;
    let intake = Intake::new(&hooked, scheme).await;
    let real = largest(&samples(&intake, Variant::Real, each).await);
    let control = largest(&samples(&intake, Variant::AnswersAtOnce, of_control).await);
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
