//! `Debug` for messages that hold a secret.
//!
//! The derived `Debug` would print every field. For a message with a field marked
//! `debug_redact = true` none is derived, and one is written that prints `[redacted]` instead.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

/// A message with at least one redacted field.
#[derive(Debug)]
pub struct Message {
    descriptor: MessageDescriptor,
}

impl Message {
    /// The path by which the code generator knows the message.
    #[must_use]
    pub fn path(&self) -> String {
        format!(".{}", self.descriptor.full_name())
    }

    /// The Rust path inside of the package's module.
    fn rust_path(&self) -> String {
        let mut parts = vec![self.descriptor.name().to_owned()];
        let mut parent = self.descriptor.parent_message();
        while let Some(message) = parent {
            parts.push(snake_case(message.name()));
            parent = message.parent_message();
        }
        parts.reverse();
        parts.join("::")
    }

    fn implementation(&self) -> String {
        let mut fields = String::new();
        for (name, value) in self.members() {
            let _ = writeln!(fields, "            .field(\"{name}\", &{value})");
        }
        format!(
            "impl ::core::fmt::Debug for {path} {{\n    \
             fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\n        \
             f.debug_struct(\"{name}\")\n{fields}            .finish()\n    }}\n}}\n",
            path = self.rust_path(),
            name = self.descriptor.name(),
        )
    }

    /// Name and printed expression of every member, in the order of the declaration.
    fn members(&self) -> Vec<(String, String)> {
        let mut members: Vec<(String, String)> = Vec::new();
        for field in self.descriptor.fields() {
            let member = match field
                .containing_oneof()
                .filter(|oneof| !oneof.is_synthetic())
            {
                Some(oneof) => (
                    oneof.name().to_owned(),
                    format!("self.{}", identifier(oneof.name())),
                ),
                None => (field.name().to_owned(), printed(&field)),
            };
            if !members.contains(&member) {
                members.push(member);
            }
        }
        members
    }
}

/// Every message of the packages that has a redacted field.
///
/// # Errors
/// A redacted field is a direct member of a `oneof`, whose generated enum could still print it.
pub fn messages(packages: &[&str], pool: &DescriptorPool) -> Result<Vec<Message>> {
    let mut found = Vec::new();
    for descriptor in pool.all_messages() {
        let ours = packages.contains(&descriptor.package_name());
        if !ours || !descriptor.fields().any(|field| is_redacted(&field)) {
            continue;
        }
        for field in descriptor.fields().filter(is_redacted) {
            ensure!(
                field
                    .containing_oneof()
                    .is_none_or(|oneof| oneof.is_synthetic()),
                "{} is redacted inside of a oneof: put it into a message of its own",
                field.full_name()
            );
        }
        found.push(Message { descriptor });
    }
    found.sort_by_key(Message::path);
    Ok(found)
}

/// Whether the field is marked `debug_redact = true`.
#[must_use]
pub fn is_redacted(field: &FieldDescriptor) -> bool {
    let options = field.options();
    options
        .get_field_by_name("debug_redact")
        .and_then(|value| value.as_bool())
        .unwrap_or(false)
}

/// The implementations for the messages of one package.
#[must_use]
pub fn implementations(package: &str, messages: &[Message]) -> String {
    messages
        .iter()
        .filter(|message| message.descriptor.package_name() == package)
        .map(Message::implementation)
        .collect()
}

/// Enumerations are printed by name: their accessor gives the enum, the field only a number.
fn printed(field: &FieldDescriptor) -> String {
    let name = identifier(field.name());
    if is_redacted(field) {
        "::core::format_args!(\"[redacted]\")".to_owned()
    } else if matches!(field.kind(), Kind::Enum(_)) && !field.is_list() && !field.is_map() {
        format!("self.{name}()")
    } else {
        format!("self.{name}")
    }
}

fn identifier(name: &str) -> String {
    const KEYWORDS: &[&str] = &[
        "as", "async", "await", "box", "break", "const", "continue", "dyn", "else", "enum",
        "extern", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match",
        "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct",
        "trait", "try", "type", "unsafe", "use", "virtual", "where", "while", "yield",
    ];
    if KEYWORDS.contains(&name) {
        format!("r#{name}")
    } else {
        name.to_owned()
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
