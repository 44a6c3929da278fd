//! Completes fixtures with what the plugin does
//!
//! An author writes down the operation and, for each exchange, method, URL and response. This plays them and adds the
//! rest of each request and the result, for a person to read before it is committed.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    Fixture, Options, Subject,
    bench::Bench,
    fixture, output,
    play::{End, Script, play},
    runtime, show,
};

/// Fills in every fixture that has no `expect`. Returns the names of those files.
///
/// # Errors
///
/// A file can't be read or written, or the plugin does not come to an end with what is there.
pub fn fill(options: &Options) -> Result<Vec<String>> {
    let subject = Subject::read(options)?;
    runtime()?.block_on(fill_all(&subject))
}

async fn fill_all(subject: &Subject) -> Result<Vec<String>> {
    let mut bench = Bench::start(subject).await?;
    let mut filled = Vec::new();
    for fixture in subject.fixtures.iter().filter(|one| one.expect.is_null()) {
        let complete = fill_one(&mut bench, fixture)
            .await
            .with_context(|| format!("{} can't be filled in", fixture.name()))?;
        let text = serde_json::to_string_pretty(&complete)? + "\n";
        fs::write(&fixture.path, text)
            .with_context(|| format!("{} can't be written", fixture.path.display()))?;
        filled.push(fixture.name());
    }
    Ok(filled)
}

async fn fill_one(bench: &mut Bench<'_>, fixture: &Fixture) -> Result<Fixture> {
    let worker = bench.worker().await?;
    let played = play(&worker, fixture.request_bytes()?, &mut Script::new(fixture)).await;
    let end = match &played.end {
        End::Outcome(end) => end,
        End::Broken(how) | End::Unanswered(how) => bail!("{how}"),
    };
    let mut complete = fixture.clone();
    let mut script = Script::new(fixture);
    for effect in &played.effects {
        let shown = show::effect(effect);
        if let Some(at) = script.find(&shown) {
            complete.exchanges[at].request = shown;
        }
    }
    complete
        .exchanges
        .iter_mut()
        .for_each(fixture::Exchange::unload);
    complete.expect = output::outcome(&played.pages, end);
    if let Some(error) = complete
        .expect
        .get_mut("error")
        .and_then(Value::as_object_mut)
    {
        // The words of a failure may change; what the daemon acts upon may not.
        error.remove("message");
    }
    Ok(complete)
}
