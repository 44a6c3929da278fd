//! The connection, and how answers are printed.

use std::{
    env,
    io::{self, Write as _},
};

use bindery_client::{Client, ClientBuilder, Endpoint};
use serde_json::Value;

use crate::{
    args::{Globals, Output},
    json,
    problem::Problem,
    record::Record,
    style::Style,
    table::{self, Cell},
};

/// One run of the command.
#[derive(Debug)]
pub(crate) struct Session {
    endpoint: Option<String>,
    pub(crate) output: Output,
    pub(crate) quiet: bool,
    /// Style of standard output.
    pub(crate) answers: Style,
    /// Style of standard error.
    pub(crate) errors: Style,
}

/// Where a caller who names no endpoint turns to: root to the admin socket, where the operator needs no policy. All others
/// are left to the client's default.
fn default_endpoint(is_root: bool) -> Option<String> {
    let public: Endpoint = Endpoint::DEFAULT.parse().ok()?;
    let admin = public.admin_sibling().filter(|_| is_root)?;
    Some(admin.to_string())
}

impl Session {
    pub(crate) fn new(globals: &Globals) -> Self {
        Self {
            endpoint: globals
                .endpoint
                .clone()
                .filter(|endpoint| !endpoint.is_empty())
                .or_else(|| default_endpoint(rustix::process::geteuid().is_root())),
            output: globals.output,
            quiet: globals.quiet,
            answers: Style::of(&io::stdout()),
            errors: Style::of(&io::stderr()),
        }
    }

    pub(crate) async fn client(&self) -> Result<Client, Problem> {
        Ok(self.builder().connect().await?)
    }

    /// A client of the admin socket.
    pub(crate) async fn admin(&self) -> Result<Client, Problem> {
        let named = env::var("BINDERY_ADMIN_ENDPOINT")
            .ok()
            .filter(|text| !text.is_empty());
        let endpoint = match named {
            Some(endpoint) => endpoint,
            None => self.admin_sibling()?,
        };
        Ok(self.builder().endpoint(endpoint).connect().await?)
    }

    fn admin_sibling(&self) -> Result<String, Problem> {
        let public = self.endpoint.as_deref().unwrap_or(Endpoint::DEFAULT);
        let public: Endpoint = public.parse()?;
        let sibling = public.admin_sibling().ok_or_else(|| {
            Problem::from(bindery_client::Error::Configuration(
                "admin calls need the daemon's admin socket; set BINDERY_ADMIN_ENDPOINT to it"
                    .to_owned(),
            ))
        })?;
        Ok(sibling.to_string())
    }

    fn builder(&self) -> ClientBuilder {
        let builder = ClientBuilder::from_env().program(concat!("cli/", env!("CARGO_PKG_VERSION")));
        match &self.endpoint {
            Some(endpoint) => builder.endpoint(endpoint),
            None => builder,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    pub(crate) fn refuse_credential_formats(&self) -> Result<(), Problem> {
        match self.output {
            Output::Env | Output::Git | Output::Token => Err(Problem::usage(
                "this output format is for credentials; choose table, json or name",
            )),
            _ => Ok(()),
        }
    }

    /// Words for people, on standard error.
    pub(crate) fn say(&self, words: &str) {
        if !self.quiet {
            // Nobody there to read it is no reason to fail.
            let _ = writeln!(io::stderr(), "{words}");
        }
    }

    /// A line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), Problem> {
        self.text(&format!("{text}\n"))
    }

    /// Data as it is.
    pub(crate) fn text(&self, text: &str) -> Result<(), Problem> {
        let mut out = io::stdout();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(Problem::writing)
    }

    pub(crate) fn json(&self, value: &Value) -> Result<(), Problem> {
        let text =
            serde_json::to_string_pretty(value).map_err(|error| Problem::writing(error.into()))?;
        self.line(&text)
    }

    /// A message of many, each on a line of its own.
    pub(crate) fn json_line(&self, value: &Value) -> Result<(), Problem> {
        self.line(&value.to_string())
    }

    /// A list, in the format that was asked for.
    pub(crate) fn list<R: Record>(&self, records: &[R]) -> Result<(), Problem> {
        match self.output {
            Output::Json => self.json(&json::list(R::MESSAGE, records)?),
            Output::Name => {
                let names = records.iter().map(|record| format!("{}\n", record.name()));
                self.text(&names.collect::<String>())
            }
            _ if records.is_empty() => {
                self.say("nothing found");
                Ok(())
            }
            _ => {
                let rows: Vec<Vec<Cell>> = records.iter().map(Record::row).collect();
                self.text(&table::render(R::COLUMNS, &rows, self.answers))
            }
        }
    }

    /// One answer, in the format that was asked for.
    pub(crate) fn show<R: Record>(&self, record: &R) -> Result<(), Problem> {
        match self.output {
            Output::Json => self.json(&json::value(R::MESSAGE, record)?),
            Output::Name => self.line(record.name()),
            _ => self.text(&table::details(&record.details(), self.answers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::default_endpoint;

    /// Root operates the daemon; everybody else is a caller whom the policy judges.
    #[test]
    fn root_uses_the_admin_socket() {
        let admin = Some("unix:///run/bindery/admin.sock".to_owned());
        assert_eq!(default_endpoint(true), admin);
        assert_eq!(default_endpoint(false), None);
    }
}
