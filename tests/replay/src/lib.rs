//! Runs the inputs of the fuzz targets in `cargo test`, each as it is and changed in many ways; and says how often tests try
//! what is tried by number.
//!
//! The fuzzer needs an unstable compiler and finds its way by coverage; this needs neither. What the fuzzer found is kept
//! as an input, so that it is tried again in every run.

#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

/// How often each input is changed, unless `BINDERY_FUZZ_ROUNDS` says otherwise.
const ROUNDS: usize = 400;

/// How often something is tried: `full` times where `BINDERY_FIGURES=full` asks for the whole figure, a share of it otherwise.
#[must_use]
pub fn figure(share: usize, full: usize) -> usize {
    match std::env::var("BINDERY_FIGURES") {
        Ok(text) if text == "full" => full,
        _ => share,
    }
}

/// Longest input that is made out of two.
const LONGEST: usize = 64 << 10;

/// Runs all inputs of `target`, in `tests/fuzz/corpus`, and what becomes of them when they are changed. Each run changes them
/// in the same way.
///
/// # Panics
///
/// When `run` panics, after the input was printed; and when there is no input, or a folder can't be read.
pub fn replay(target: &str, run: impl Fn(&[u8])) {
    let inputs = inputs(&corpus().join(target));
    assert!(!inputs.is_empty(), "no inputs for {target}");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for input in &inputs {
        once(target, input, &run);
        for _ in 0..rounds() {
            once(target, &dice.change(input, &inputs), &run);
        }
    }
    let ran = inputs.len() * (rounds() + 1);
    println!("{target}: {ran} inputs, from {} kept ones", inputs.len());
}

fn rounds() -> usize {
    let told = std::env::var("BINDERY_FUZZ_ROUNDS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder of a target's inputs");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).expect("an input");
    paths.into_iter().map(read).collect()
}

fn once(target: &str, input: &[u8], run: &impl Fn(&[u8])) {
    let shown = Shown(target, input);
    run(input);
    drop(shown);
}

/// Prints the input when the run unwinds.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{} fails on \"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

/// Numbers that look random and are the same in each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let below = u64::try_from(below.max(1)).expect("a length fits");
        usize::try_from(self.0 % below).expect("it is below a length")
    }

    /// `input` with one to four changes.
    fn change(&mut self, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.roll(4) {
            self.change_once(&mut changed, others);
        }
        changed.truncate(LONGEST);
        changed
    }

    fn change_once(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.roll(bytes.len() + 1);
        let to = at + self.roll(bytes.len() - at + 1);
        match self.roll(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.roll(8),
            1 if at < bytes.len() => bytes[at] = ODD[self.roll(ODD.len())],
            2 => drop(bytes.drain(at..to)),
            3 => bytes.insert(at, ODD[self.roll(ODD.len())]),
            4 => bytes.extend_from_within(at..to),
            _ => {
                let other = &others[self.roll(others.len())];
                let from = self.roll(other.len() + 1);
                bytes.splice(at..to, other[from..].iter().copied());
            }
        }
    }
}

/// Bytes that mean something to many formats.
const ODD: &[u8] = b"\0\x01\x7f\x80\xff\r\n\t %&+=;:/?#@\\\"'<>.,-_0aZ{}[]";

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet};

    use super::*;

    /// Changed inputs differ among each other, and are the same in the next run.
    #[test]
    fn inputs_are_changed_in_the_same_way_each_time() {
        let all = || {
            let mut dice = Dice(7);
            let others = [b"other".to_vec()];
            (0..200)
                .map(|_| dice.change(b"an input", &others))
                .collect()
        };
        let (first, second): (Vec<_>, Vec<_>) = (all(), all());
        assert_eq!(first, second);
        assert!(first.iter().collect::<BTreeSet<_>>().len() > 150);
    }

    /// Every target of the fuzzer has inputs here, and every folder of inputs belongs to a target.
    #[test]
    fn every_target_has_inputs() {
        let names = |folder: &str, end: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../fuzz")
                .join(folder);
            let entries = fs::read_dir(folder).expect("folder");
            let names = entries.map(|entry| entry.expect("entry").file_name());
            let names = names.map(|name| name.to_string_lossy().trim_end_matches(end).to_owned());
            names.collect::<BTreeSet<_>>()
        };
        assert_eq!(names("targets", ".rs"), names("corpus", ""));
    }

    /// What panics on one changed input fails the replay.
    #[test]
    #[should_panic(expected = "found")]
    fn a_panic_fails_the_replay() {
        let seen = RefCell::new(0);
        replay("origin", |_| {
            *seen.borrow_mut() += 1;
            assert!(*seen.borrow() < 100, "found");
        });
    }
}
