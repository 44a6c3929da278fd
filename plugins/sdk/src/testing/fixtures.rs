//! The fixtures of a plugin, as what its tests hold against descriptions
//!
//! The conformance kit plays the same files and compares each request with the one that the plugin sends: what is written in
//! a fixture is what the plugin emits.

use std::{fs, path::Path};

use serde_json::Value;

use super::Sent;

/// All fixtures of a plugin, by name.
#[derive(Clone, Debug)]
pub struct Fixtures(Vec<(String, Value)>);

/// A request that a fixture records.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// Name of the fixture.
    pub fixture: String,
    /// Edition of the host; empty where there is none.
    pub edition: String,
    /// The request.
    pub sent: Sent,
}

impl Fixtures {
    /// Reads the folder `fixtures` of a crate: `Fixtures::of(env!("CARGO_MANIFEST_DIR"))`.
    ///
    /// # Panics
    ///
    /// If a file can't be read or is not JSON.
    #[track_caller]
    pub fn of(crate_folder: &str) -> Self {
        let folder = Path::new(crate_folder).join("fixtures");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => panic!("{}: {error}", folder.display()),
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut all: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .map(|path| read(&path))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self(all)
    }

    /// Every HTTP request, in order.
    ///
    /// # Panics
    ///
    /// If a request is not written as fixtures write it.
    #[track_caller]
    pub fn requests(&self) -> Vec<Asked> {
        let mut all = Vec::new();
        for (name, fixture) in &self.0 {
            let exchanges = fixture["exchanges"].as_array().into_iter().flatten();
            let requests = exchanges.map(|exchange| &exchange["request"]);
            // The others ask the daemon for a signature.
            let requests = requests.filter(|request| request.get("url").is_some());
            all.extend(requests.map(|request| Asked {
                fixture: name.clone(),
                edition: fixture["edition"].as_str().unwrap_or_default().to_owned(),
                sent: sent(request),
            }));
        }
        all
    }

    /// Every body of a delivery that is JSON and written in the fixture, with the fixture's name and the event.
    pub fn deliveries(&self) -> Vec<(String, String, Value)> {
        let of_hooks = self
            .0
            .iter()
            .filter(|(_, fixture)| fixture["operation"] == "parse_delivery");
        let read = |(name, fixture): &(String, Value)| {
            let event = fixture["input"]["event"].as_str().unwrap_or_default();
            let body = match &fixture["input"]["body"] {
                Value::String(text) => serde_json::from_str(text).ok()?,
                Value::Null => return None,
                other => other.clone(),
            };
            Some((name.clone(), event.to_owned(), body))
        };
        of_hooks.filter_map(read).collect()
    }
}

#[track_caller]
fn read(path: &Path) -> (String, Value) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{name}: {error}"),
    };
    match serde_json::from_slice(&bytes) {
        Ok(fixture) => (name.into_owned(), fixture),
        Err(error) => panic!("{name}: {error}"),
    }
}

#[track_caller]
fn sent(request: &Value) -> Sent {
    let text = |name: &str| match request[name].as_str() {
        Some(text) => text.to_owned(),
        None => panic!("a request without {name}: {request}"),
    };
    let headers = request["headers"].as_object().into_iter().flatten();
    let headers = headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.into())));
    Sent {
        method: text("method"),
        url: text("url"),
        headers: headers.collect(),
        body: match &request["body"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        },
        captures: Vec::new(),
    }
}
