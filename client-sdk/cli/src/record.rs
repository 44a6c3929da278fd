//! What an answer looks like.

use prost::Message;

use crate::table::Cell;

/// An answer that can be printed in every format.
pub(crate) trait Record: Message {
    /// Full name of the message.
    const MESSAGE: &'static str;
    /// Titles of the columns.
    const COLUMNS: &'static [&'static str];

    /// Its resource name.
    fn name(&self) -> &str;

    /// Its entries in a table.
    fn row(&self) -> Vec<Cell>;

    /// What is known about it.
    fn details(&self) -> Vec<(&'static str, Cell)>;
}

/// The name of an enum's value as people read it: `STAGE_NEEDS_REAUTHORIZATION` without its prefix, in lower
/// case and with spaces. Empty for `UNSPECIFIED`.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        word => word.to_lowercase().replace('_', " "),
    }
}

/// The last part of a resource name.
pub(crate) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
