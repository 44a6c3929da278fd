//! Panics in many places, each holding a secret, in a process of their own.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, Output},
    thread,
};

use super::hide_values;

/// Says what the child does: `hidden`, `logged`, or `shown` for the control.
const MODE: &str = "BINDERY_TEST_PANICS";

const CANARY: &str = "ghp_BNDRYCANARY0123456789abcdefghijklmn";

/// L8: of twenty panics with a secret in each nothing but the places is told, with a log and without one.
#[test]
fn l8_panics_tell_places_and_no_values() {
    for mode in ["hidden", "logged"] {
        let told = child(mode);
        assert!(
            told.matches("report it with this place").count() >= places().len(),
            "{told}"
        );
        assert!(!told.contains("CANARY"), "{told}");
    }
}

/// The control: without the hook the same panics tell the secret nearly everywhere.
#[test]
fn l8_the_control_tells_values() {
    let told = child("shown");
    assert!(told.matches(CANARY).count() >= 18, "{told}");
}

/// Runs [`panics_of_the_child`] in another process; returns all that it wrote to standard error.
fn child(mode: &str) -> String {
    let Output { status, stderr, .. } = Command::new(std::env::current_exe().expect("own path"))
        .args([
            "--exact",
            "panics::tests::panics_of_the_child",
            "--nocapture",
        ])
        .env(MODE, mode)
        .env_remove("RUST_BACKTRACE")
        .output()
        .expect("the child runs");
    assert!(status.success());
    String::from_utf8_lossy(&stderr).into_owned()
}

/// Does nothing but in the child.
#[test]
fn panics_of_the_child() {
    let Ok(mode) = std::env::var(MODE) else {
        return;
    };
    if mode == "logged" {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .init();
    }
    if mode != "shown" {
        hide_values();
    }
    for place in places() {
        assert!(
            catch_unwind(AssertUnwindSafe(place)).is_err(),
            "it did not panic"
        );
    }
}

struct Loud(String);

impl fmt::Display for Loud {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("{}", self.0)
    }
}

impl Drop for Loud {
    fn drop(&mut self) {
        assert!(self.0.is_empty(), "{}", self.0);
    }
}

fn secret() -> String {
    CANARY.to_owned()
}

fn failed() -> Result<(), String> {
    Err(secret())
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new()
        .expect("runtime")
        .block_on(work);
}

/// Nothing, which the compiler does not know.
fn nothing() -> Option<()> {
    secret().is_empty().then_some(())
}

/// A secret where a failure was expected.
fn given() -> Result<String, String> {
    Ok(secret())
}

/// Panics as they happen in a daemon.
fn places() -> Vec<fn()> {
    vec![
        || panic!("{}", secret()),
        || failed().unwrap(),
        || failed().expect("a token"),
        || nothing().unwrap_or_else(|| panic!("{}", secret())),
        || drop(given().unwrap_err()),
        || drop(given().expect_err("a failure")),
        || assert_eq!(secret(), "another"),
        || assert_ne!(secret(), secret()),
        || assert!(secret().is_empty(), "{}", secret()),
        || unreachable!("{}", secret()),
        || unimplemented!("{}", secret()),
        || std::panic::panic_any(secret()),
        || drop(format!("é{}", secret())[1..].to_owned()),
        || {
            drop(format!(
                "{}",
                std::mem::ManuallyDrop::new(Loud(secret()))
                    .0
                    .parse::<Number>()
                    .unwrap()
            ))
        },
        || drop(Loud(secret())),
        || drop(std::mem::ManuallyDrop::new(Loud(secret())).to_string()),
        || thread::spawn(|| panic!("{}", secret())).join().unwrap(),
        || {
            let named = thread::Builder::new().name(secret());
            named.spawn(|| panic!()).expect("thread").join().unwrap();
        },
        || {
            block_on(async {
                tokio::spawn(async { panic!("{}", secret()) })
                    .await
                    .unwrap()
            })
        },
        || {
            block_on(async {
                tokio::task::spawn_blocking(|| panic!("{}", secret()))
                    .await
                    .unwrap()
            })
        },
        || {
            drop(
                toml::from_str::<toml::Table>(&format!("a = {}", secret()))
                    .map_err(|_| anyhow::anyhow!(secret()))
                    .unwrap(),
            )
        },
        || {
            [0].iter()
                .for_each(|place| assert!(*place > 0, "{}", secret()))
        },
    ]
}

/// A type that nothing parses to; its error says what was given, as many do.
struct Number;

impl std::str::FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Err(format!("{text} is no number"))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1")
    }
}
