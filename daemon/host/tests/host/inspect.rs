//! Libraries that are refused before anything of them runs

use std::{fs, process::Command};

use bindery_host::inspect::{InspectError, inspect};
use tempfile::TempDir;

use crate::support::{description, library};

fn built(options: &[&str]) -> Vec<u8> {
    library(&description("1.0.0"), options)
}

/// P6: a plugin in C is admitted, and its note is read.
#[test]
fn p6_a_plugin_is_admitted() {
    let inspected = inspect(&built(&[]), None).expect("it is a plugin");
    assert_eq!(inspected.abi, (1, 0));
    assert!(inspected.glibc.is_some_and(|version| version >= (2, 2)));
}

/// P1, P6: each kind of wrong file has its own answer.
#[test]
fn p6_each_wrong_file_has_its_own_answer() {
    let other = TempDir::new().expect("a folder");
    fs::write(
        other.path().join("other.c"),
        "int other(void) { return 1; }",
    )
    .expect("a source");
    let made = Command::new("cc")
        .args(["-shared", "-o", "libother.so", "other.c"])
        .current_dir(other.path())
        .status();
    assert!(made.expect("cc runs").success());
    let library_path = format!("-L{}", other.path().display());
    let mut foreign = built(&[]);
    foreign[18] = 0xf3;
    let mut object = built(&[]);
    object[16] = 1;
    let mut small = built(&[]);
    small[4] = 1;
    for (image, expected) in [
        (Vec::new(), "NotElf64"),
        (b"#!/bin/sh\n".to_vec(), "NotElf64"),
        (small, "NotElf64"),
        (foreign, "WrongMachine(243)"),
        (object, "NotShared(1)"),
        (fs::read("/bin/true").expect("a program"), "Program"),
        (built(&["-DNO_NOTE"]), "NoNote"),
        (built(&["-DMAJOR=9"]), "WrongMajor(9)"),
        (built(&["-DNO_TABLE"]), "NoSymbol"),
        (built(&["-Wl,-z,execstack"]), "ExecutableStack"),
        (built(&["-Wl,-rpath,/tmp"]), "RunPath"),
        (built(&["-Wl,-rpath,/tmp,--disable-new-dtags"]), "RunPath"),
        (built(&["-Wl,--filter=libevil.so"]), "Filter"),
        (
            built(&["-DNEEDS_OTHER", &library_path, "-lother"]),
            "Needs(\"libother.so\")",
        ),
    ] {
        let refused = inspect(&image, Some((2, 99))).map_err(|error| format!("{error:?}"));
        assert_eq!(refused, Err(expected.to_owned()));
    }
}

/// P6: a plugin that was built for a newer C library is told so, with both versions.
#[test]
fn p6_an_old_system_is_named() {
    let refused = inspect(&built(&[]), Some((1, 9))).expect_err("it needs more");
    assert!(
        matches!(refused, InspectError::Glibc { has: (1, 9), .. }),
        "{refused:?}"
    );
}

/// P6: no change of single bits makes the inspector panic, or admit what lies outside the file.
#[test]
fn p6_twenty_thousand_bit_flips() {
    let image = built(&[]);
    let len = image.len();
    // Headers at both ends: program headers and tables first, section headers last.
    let positions = (0..4096.min(len)).chain(len.saturating_sub(4096)..len);
    let mut tried = 0;
    for at in positions.cycle().take(20_000) {
        let mut bad = image.clone();
        bad[at] ^= 1 << (tried * 5 % 8);
        let _ = inspect(&bad, Some((2, 36)));
        tried += 1;
    }
    assert_eq!(tried, 20_000);
}

/// P6: an image that is cut off is refused wherever the cut is, as long as something of it would be mapped.
#[test]
fn p6_five_hundred_truncations() {
    let image = built(&[]);
    let mut refused = 0;
    for part in 0..500 {
        let cut = image.len() * part / 500;
        refused += usize::from(inspect(&image[..cut], None).is_err());
    }
    assert_eq!(refused, 500);
}
