//! Colour, where it is wanted.

use std::{env, io::IsTerminal};

/// Whether a stream gets colour and redrawn lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colour: bool,
    /// Whether a person looks at it.
    pub(crate) terminal: bool,
}

impl Style {
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let terminal = stream.is_terminal();
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        Self {
            colour: !set("NO_COLOR") && (forced || terminal),
            terminal,
        }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint(Some(Tone::Bad), text)
    }

    pub(crate) fn paint(self, tone: Option<Tone>, text: &str) -> String {
        match tone {
            Some(tone) if self.colour => format!("\x1b[{}m{text}\x1b[0m", tone as u8),
            _ => text.to_owned(),
        }
    }
}

/// What a colour says; the text says it, too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tone {
    Good = 32,
    Waiting = 33,
    Bad = 31,
}
