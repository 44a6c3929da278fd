//! Secrets that are handed in: from files and standard input, never from the command line.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use bindery_client::Token;

use crate::problem::{Exit, Problem};

pub(crate) mod once;

/// Reads a secret from a file, or with `-` from standard input; the last line end does not belong to it.
pub(crate) fn read(path: &Path) -> Result<Token, Problem> {
    let text = read_text(path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Problem::usage(format!(
            "{} holds no secret; write it there",
            shown(path)
        )));
    }
    Ok(Token::from(secret))
}

/// Reads a whole text.
pub(crate) fn read_text(path: &Path) -> Result<String, Problem> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|error| {
        Problem::new(
            Exit::Configuration,
            format!("{} can't be read ({error})", shown(path)),
        )
    })
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.display().to_string()
}
