//! Recorded responses of real providers, where a folder of them is at hand
//!
//! The folder is named by `BINDERY_CORPUS` and is no part of the product. A test that needs it says so when it is not
//! there, and does not claim to have checked anything.

use std::{env, fs, io::Write, path::PathBuf};

use serde_json::Value;

use super::Reply;

/// A folder of recordings.
#[derive(Clone, Debug)]
pub struct Corpus(PathBuf);

impl Corpus {
    /// The folder, or nothing and a line that says so.
    pub fn from_env() -> Option<Self> {
        let folder = env::var_os("BINDERY_CORPUS").filter(|folder| !folder.is_empty());
        if folder.is_none() {
            // Past the test runner, which keeps what a passing test prints to itself.
            let _ = writeln!(std::io::stderr(), "not run: BINDERY_CORPUS is not set");
        }
        folder.map(|folder| Self(folder.into()))
    }

    /// A JSON file of the folder.
    ///
    /// # Panics
    ///
    /// If it is not there or not JSON.
    #[track_caller]
    pub fn json(&self, file: &str) -> Value {
        match serde_json::from_slice(&self.bytes(file)) {
            Ok(value) => value,
            Err(error) => panic!("{file}: {error}"),
        }
    }

    /// The bytes of a file.
    #[track_caller]
    pub(super) fn bytes(&self, file: &str) -> Vec<u8> {
        let path = self.0.join(file);
        match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// The names of a folder's files, in order.
    #[track_caller]
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let path = self.0.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// A file that is the body of a good response.
    #[track_caller]
    pub fn body(&self, file: &str) -> Reply {
        Reply::json(200, self.json(file))
    }

    /// A file `{request, response: {status, headers, body}}`, as a reply.
    #[track_caller]
    pub fn exchange(&self, file: &str) -> Reply {
        let recorded = self.json(file);
        let response = &recorded["response"];
        recording(&response["status"], &response["headers"], &response["body"])
    }

    /// Every answer below a folder, with its file's name: a file of one exchange, of a list of exchanges
    /// (`{status, headers, response}`), or a bare body.
    ///
    /// # Panics
    ///
    /// If the folder is not there, or a file is not JSON.
    #[track_caller]
    pub fn replies(&self, folder: &str) -> Vec<(String, Reply)> {
        let names = self.names(folder).into_iter();
        names
            .flat_map(|name| {
                let file = self.file_replies(&format!("{folder}/{name}"));
                file.into_iter().map(move |reply| (name.clone(), reply))
            })
            .collect()
    }

    #[track_caller]
    fn file_replies(&self, file: &str) -> Vec<Reply> {
        if !file.ends_with(".exchange.json") {
            return vec![self.body(file)];
        }
        let Value::Array(scenario) = self.json(file) else {
            return vec![self.exchange(file)];
        };
        scenario
            .iter()
            .map(|one| recording(&one["status"], &one["headers"], &one["response"]))
            .collect()
    }
}

/// A reply with recorded status, headers and JSON body.
pub fn recording(status: &Value, headers: &Value, body: &Value) -> Reply {
    let status = status
        .as_u64()
        .and_then(|status| u16::try_from(status).ok())
        .unwrap_or(0);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let headers = headers.as_object().into_iter().flatten();
    headers.fold(
        Reply::bytes(status, body),
        |reply, (name, value)| match value.as_str() {
            Some(text) => reply.header(name, text),
            None => reply.header(name, &value.to_string()),
        },
    )
}
