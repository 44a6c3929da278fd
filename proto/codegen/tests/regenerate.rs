//! The committed code of every schema is what the schema yields, and the schema keeps its promises.
#![forbid(unsafe_code)]

#[path = "regenerate/surface.rs"]
mod surface;

use anyhow::Result;

use bindery_codegen::{Generated, tree};

/// Committed generated files equal freshly generated ones; `BINDERY_REGENERATE=1` writes them.
fn check(generated: &Generated) -> Result<()> {
    if std::env::var_os("BINDERY_REGENERATE").is_some_and(|value| value == "1") {
        tree::write(generated)?;
    }
    let different = tree::differences(generated)?;
    assert!(
        different.is_empty(),
        "generated files are out of date, run `BINDERY_REGENERATE=1 cargo test -p bindery-codegen` \
         and commit: {different:#?}"
    );
    Ok(())
}

/// The public API's code, descriptor set and reference page are up to date.
#[test]
fn api_is_up_to_date() -> Result<()> {
    check(&bindery_codegen::api()?)
}

/// The plugin messages' code is up to date.
#[test]
fn plugin_messages_are_up_to_date() -> Result<()> {
    check(&bindery_codegen::plugin()?)
}

/// The store records' code is up to date.
#[test]
fn store_records_are_up_to_date() -> Result<()> {
    check(&bindery_codegen::store()?)
}

/// Generating twice yields the same bytes, so a difference always means a changed schema.
#[test]
fn generation_is_deterministic() -> Result<()> {
    assert_eq!(bindery_codegen::api()?.files, bindery_codegen::api()?.files);
    Ok(())
}
