//! Secrets that the daemon shows once: to standard output, or into a file that nobody else can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
};

use bindery_client::Token;

use crate::{
    args::Output,
    json,
    problem::{Exit, Problem},
    record::Record,
    session::Session,
    table,
};

/// Where a new secret goes. It is made before the secret is, so that a secret is not lost for want of a place.
#[derive(Debug)]
pub(crate) enum Place {
    Output,
    File(Reserved),
}

/// A file with mode 0600 beside the one that is meant; it takes its place when it is written.
#[derive(Debug)]
pub(crate) struct Reserved {
    file: File,
    draft: PathBuf,
    target: PathBuf,
}

impl Place {
    /// The file, or else standard output, if its format has room for a secret.
    pub(crate) fn reserve(
        file: Option<&Path>,
        option: &str,
        session: &Session,
    ) -> Result<Self, Problem> {
        match (file, session.output) {
            (_, Output::Env | Output::Git) => {
                session.refuse_credential_formats()?;
                Ok(Self::Output)
            }
            (Some(path), _) => Reserved::new(path).map(Self::File),
            (None, Output::Name) => Err(Problem::usage(format!(
                "the secret is shown once, and names have no room for it; add {option}"
            ))),
            (None, _) => Ok(Self::Output),
        }
    }
}

impl Reserved {
    fn new(target: &Path) -> Result<Self, Problem> {
        let unusable = |error: io::Error| {
            let message = format!("{} can't be written ({error})", target.display());
            Problem::new(Exit::Configuration, message)
        };
        let name = target
            .file_name()
            .ok_or_else(|| unusable(io::ErrorKind::IsADirectory.into()))?;
        if target.is_dir() {
            return Err(unusable(io::ErrorKind::IsADirectory.into()));
        }
        let draft = format!(".{}.{}", name.to_string_lossy(), process::id());
        let draft = target.with_file_name(draft);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        Ok(Self {
            file: options.open(&draft).map_err(unusable)?,
            draft,
            target: target.to_owned(),
        })
    }

    fn keep(mut self, secret: &Token) -> io::Result<()> {
        writeln!(self.file, "{}", secret.expose())?;
        self.file.sync_all()?;
        fs::rename(&self.draft, &self.target)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // After it took its place there is nothing left to remove.
        let _ = fs::remove_file(&self.draft);
    }
}

/// Prints what was made with its secret, or puts the secret into its file. `what` is the secret's name, such
/// as `token`.
pub(crate) fn show<R: Record>(
    record: &R,
    what: &'static str,
    secret: &Token,
    place: Place,
    session: &Session,
) -> Result<(), Problem> {
    match place {
        Place::File(reserved) => {
            let target = reserved.target.display().to_string();
            if let Err(error) = reserved.keep(secret) {
                let message = format!(
                    "{target} can't be written ({error}), so the {what} is lost; rotate it"
                );
                return Err(Problem::new(Exit::Failure, message));
            }
            if session.output != Output::Token {
                session.show(record)?;
            }
            session.say(&format!(
                "the {what} is in {target}, and is not shown again"
            ));
        }
        Place::Output => {
            print(record, what, secret, session)?;
            session.say(&format!("the {what} is not shown again; keep it"));
        }
    }
    Ok(())
}

fn print<R: Record>(
    record: &R,
    what: &'static str,
    secret: &Token,
    session: &Session,
) -> Result<(), Problem> {
    match session.output {
        Output::Json => {
            let mut value = json::value(R::MESSAGE, record)?;
            value[what] = secret.expose().into();
            session.json(&value)
        }
        Output::Token => session.line(secret.expose()),
        _ => {
            let mut facts = record.details();
            facts.push((what, secret.expose().into()));
            session.text(&table::details(&facts, session.answers))
        }
    }
}
