//! The header, the Rust types and the exported library agree

use std::{
    fmt::Write as _,
    fs,
    mem::{align_of, offset_of, size_of},
    path::{Path, PathBuf},
    process::Command,
};

use bindery_plugin_abi as abi;

/// C expressions, each with the value that Rust has for it.
fn facts() -> Vec<(&'static str, u64)> {
    let mut facts: Vec<(&str, u64)> = vec![
        ("BINDERY_MAGIC", abi::MAGIC),
        ("BINDERY_ABI_MAJOR", abi::ABI_MAJOR.into()),
        ("BINDERY_ABI_MINOR", abi::ABI_MINOR.into()),
        ("BINDERY_FLAG_PANIC_UNWIND", abi::FLAG_PANIC_UNWIND.into()),
        ("BINDERY_FLAG_RUST_SDK", abi::FLAG_RUST_SDK.into()),
        ("BINDERY_NOTE_TYPE", abi::NOTE_TYPE.into()),
        ("BINDERY_OK", signed(abi::OK)),
        (
            "(uint64_t)(int64_t)BINDERY_ERR_PANIC",
            signed(abi::ERR_PANIC),
        ),
        ("(uint64_t)(int64_t)BINDERY_ERR_ARG", signed(abi::ERR_ARG)),
        ("(uint64_t)(int64_t)BINDERY_ERR_OOM", signed(abi::ERR_OOM)),
    ];
    facts.extend(layout().map(|(c, rust)| (c, rust as u64)));
    facts
}

fn layout() -> impl Iterator<Item = (&'static str, usize)> {
    let prefix = offset_of!(abi::PluginV1, prefix);
    [
        ("sizeof(bindery_slice)", size_of::<abi::Slice>()),
        ("offsetof(bindery_slice, ptr)", offset_of!(abi::Slice, ptr)),
        ("offsetof(bindery_slice, len)", offset_of!(abi::Slice, len)),
        ("sizeof(bindery_plugin_v1_t)", size_of::<abi::PluginV1>()),
        ("_Alignof(bindery_plugin_v1_t)", align_of::<abi::PluginV1>()),
        (
            "offsetof(bindery_plugin_v1_t, magic)",
            prefix + offset_of!(abi::Prefix, magic),
        ),
        (
            "offsetof(bindery_plugin_v1_t, abi_major)",
            prefix + offset_of!(abi::Prefix, abi_major),
        ),
        (
            "offsetof(bindery_plugin_v1_t, abi_minor)",
            prefix + offset_of!(abi::Prefix, abi_minor),
        ),
        (
            "offsetof(bindery_plugin_v1_t, struct_size)",
            prefix + offset_of!(abi::Prefix, struct_size),
        ),
        (
            "offsetof(bindery_plugin_v1_t, flags)",
            prefix + offset_of!(abi::Prefix, flags),
        ),
        (
            "offsetof(bindery_plugin_v1_t, describe)",
            offset_of!(abi::PluginV1, describe),
        ),
        (
            "offsetof(bindery_plugin_v1_t, start)",
            offset_of!(abi::PluginV1, start),
        ),
        (
            "offsetof(bindery_plugin_v1_t, resume)",
            offset_of!(abi::PluginV1, resume),
        ),
        (
            "offsetof(bindery_plugin_v1_t, drop)",
            offset_of!(abi::PluginV1, drop),
        ),
        (
            "offsetof(bindery_plugin_v1_t, reserved)",
            offset_of!(abi::PluginV1, reserved),
        ),
        ("sizeof(bindery_note)", size_of::<abi::Note>()),
        ("_Alignof(bindery_note)", align_of::<abi::Note>()),
        (
            "offsetof(bindery_note, namesz)",
            offset_of!(abi::Note, namesz),
        ),
        (
            "offsetof(bindery_note, descsz)",
            offset_of!(abi::Note, descsz),
        ),
        ("offsetof(bindery_note, type)", offset_of!(abi::Note, kind)),
        ("offsetof(bindery_note, name)", offset_of!(abi::Note, name)),
        (
            "offsetof(bindery_note, major)",
            offset_of!(abi::Note, major),
        ),
        (
            "offsetof(bindery_note, minor)",
            offset_of!(abi::Note, minor),
        ),
        (
            "offsetof(bindery_note, flags)",
            offset_of!(abi::Note, flags),
        ),
        ("offsetof(bindery_note, size)", offset_of!(abi::Note, size)),
    ]
    .into_iter()
}

fn signed(status: i32) -> u64 {
    i64::from(status).cast_unsigned()
}

fn cc(source: &str, name: &str, more: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, out) = (folder.join(format!("{name}.c")), folder.join(name));
    fs::write(&file, source).expect("the folder for test files is writable");
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let done = Command::new("cc")
        .args(["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I"])
        .args([include.as_path(), "-o".as_ref(), &out, &file])
        .args(more)
        .output()
        .expect("a C compiler called cc is on the path");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    out
}

/// Every size, offset and constant of the header is what the Rust types have.
#[test]
#[cfg_attr(miri, ignore = "runs a compiler")]
fn p6_the_header_matches_the_types() {
    let facts = facts();
    let mut source =
        "#include <stdio.h>\n#include \"bindery_plugin.h\"\nint main(void) {\n".to_owned();
    for (c, _) in &facts {
        writeln!(source, "  printf(\"%llu\\n\", (unsigned long long)({c}));").expect("a string");
    }
    source.push_str("  return 0;\n}\n");
    let out = Command::new(cc(&source, "facts", &[]))
        .output()
        .expect("the program runs")
        .stdout;
    let values: Vec<u64> = String::from_utf8(out)
        .expect("text")
        .lines()
        .map(|l| l.parse().expect("a number"))
        .collect();
    assert_eq!(values.len(), facts.len());
    for ((c, rust), value) in facts.iter().zip(values) {
        assert_eq!(*rust, value, "{c}");
    }
}

/// The note that the header's macro writes is one that the reader takes, as is.
#[test]
#[cfg_attr(miri, ignore = "runs a compiler")]
fn p6_the_note_of_the_header_is_read() {
    let source = "#include <stdio.h>\n#include \"bindery_plugin.h\"\nBINDERY_NOTE(BINDERY_FLAG_RUST_SDK);\n\
        int main(void) { return fwrite(&bindery_note_, sizeof bindery_note_, 1, stdout) != 1; }\n";
    let out = Command::new(cc(source, "note", &[]))
        .output()
        .expect("the program runs")
        .stdout;
    assert_eq!(
        abi::Note::parse(&out),
        Some(abi::Note::new(abi::FLAG_RUST_SDK))
    );
}

/// A library built with the macro exports the table as a data symbol and has the note, whose flags are the table's.
#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "runs a compiler")]
fn the_macro_exports_table_and_note() {
    let library = test_folder().join("examples/libnull_plugin.so");
    let bytes = fs::read(&library).expect("cargo builds the examples with the tests");
    let notes: Vec<_> = bytes
        .windows(12)
        .enumerate()
        .filter(|(_, w)| w[..4] == 8u32.to_ne_bytes() && w[8..] == abi::NOTE_TYPE.to_ne_bytes())
        .filter_map(|(at, _)| abi::Note::parse(&bytes[at..]))
        .collect();
    assert_eq!(notes, [abi::Note::new(abi::FLAG_PANIC_UNWIND)]);
    let source = "#include <dlfcn.h>\n#include \"bindery_plugin.h\"\n\
        int main(int n, char **v) {\n  void *l = n == 2 ? dlopen(v[1], RTLD_NOW | RTLD_LOCAL) : 0;\n\
        const bindery_plugin_v1_t *t = l ? dlsym(l, \"bindery_plugin_v1\") : 0;\n  bindery_slice s = {0, 0};\n\
        return !(t && t->magic == BINDERY_MAGIC && t->struct_size == sizeof *t && \
        t->flags == BINDERY_FLAG_PANIC_UNWIND && t->describe(&s) == BINDERY_OK && s.len == 4);\n}\n";
    let status = Command::new(cc(source, "load", &[]))
        .arg(library)
        .status()
        .expect("the program runs");
    assert!(status.success());
}

/// The profile's folder, in which this test binary lies under `deps`.
#[cfg(target_os = "linux")]
fn test_folder() -> PathBuf {
    let me = std::env::current_exe().expect("a test binary has a path");
    me.ancestors().nth(2).expect("it lies in deps").to_owned()
}
