//! What a library with `export_provider!` exports

use std::{env, fs, path::PathBuf};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

fn example() -> PathBuf {
    // target/debug/deps/sdk-hash
    let mut path = env::current_exe().unwrap_or_default();
    path.pop();
    path.pop();
    path.join("examples/libcomplete_plugin.so")
}

/// P6: the library exports exactly one symbol, and the note says what the loader needs before it loads.
#[test]
#[cfg(target_os = "linux")]
fn p6_a_library_exports_one_symbol() {
    let bytes = fs::read(example()).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let exported: Vec<_> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.is_global())
        .map(|symbol| symbol.name().unwrap().to_owned())
        .collect();
    assert_eq!(exported, ["bindery_plugin_v1"]);
    let note = file.section_by_name(".note.bindery").unwrap();
    let note = bindery_plugin_sdk::abi::Note::parse(note.data().unwrap()).unwrap();
    assert_eq!((note.major, note.flags), (1, 3));
}

/// P1: the library imports nothing with which it could reach the network or start a program.
#[test]
#[cfg(target_os = "linux")]
fn p1_a_library_imports_no_socket() {
    let bytes = fs::read(example()).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let banned = [
        "socket",
        "connect",
        "bind",
        "listen",
        "fork",
        "vfork",
        "execve",
        "posix_spawn",
        "dlopen",
        "ptrace",
    ];
    for symbol in file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_undefined())
    {
        assert!(
            !banned.contains(&symbol.name().unwrap()),
            "{:?}",
            symbol.name()
        );
    }
}
