//! `proto/API.md`, from the comments of the public schema.

use std::collections::HashMap;
use std::fmt::Write as _;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    ServiceDescriptorProto,
};

const HEAD: &str = "# API reference\n\n\
    Generated from the comments of the `.proto` files by bindery-codegen; do not edit. Regenerate with\n\
    `BINDERY_REGENERATE=1 cargo test -p bindery-codegen`.\n";

/// The reference page of the given packages.
#[must_use]
pub fn page(packages: &[&str], files: &[FileDescriptorProto]) -> String {
    let mut page = HEAD.to_owned();
    for package in packages {
        let _ = write!(page, "\n## Package `{package}`\n");
        for file in files.iter().filter(|file| file.package() == *package) {
            FilePage::new(file, &mut page).write();
        }
    }
    page
}

/// The comment in front of every element of a file, by its path in the descriptor.
#[must_use]
pub fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    locations
        .map(|location| (location.path.clone(), trimmed(location.leading_comments())))
        .collect()
}

fn trimmed(comment: &str) -> String {
    let lines = comment
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Writes one file's part of the page.
struct FilePage<'a> {
    file: &'a FileDescriptorProto,
    comments: HashMap<Vec<i32>, String>,
    page: &'a mut String,
}

impl<'a> FilePage<'a> {
    fn new(file: &'a FileDescriptorProto, page: &'a mut String) -> Self {
        let comments = comments(file);
        Self {
            file,
            comments,
            page,
        }
    }

    fn write(&mut self) {
        let file = self.file;
        let _ = write!(self.page, "\n### `{}`\n", file.name());
        for (index, service) in (0..).zip(&file.service) {
            self.service(&[6, index], service);
        }
        for (index, message) in (0..).zip(&file.message_type) {
            self.message(&[4, index], "", message);
        }
        for (index, enumeration) in (0..).zip(&file.enum_type) {
            self.enumeration(&[5, index], "", enumeration);
        }
    }

    fn service(&mut self, path: &[i32], service: &ServiceDescriptorProto) {
        let _ = write!(self.page, "\n#### Service `{}`\n\n", service.name());
        self.paragraph(path);
        for (index, method) in (0..).zip(&service.method) {
            let _ = write!(
                self.page,
                "\n##### `{}({}) → {}{}`\n\n",
                method.name(),
                self.short(method.input_type()),
                if method.server_streaming() {
                    "stream "
                } else {
                    ""
                },
                self.short(method.output_type()),
            );
            self.paragraph(&child(path, 2, index));
        }
    }

    fn message(&mut self, path: &[i32], scope: &str, message: &DescriptorProto) {
        if message
            .options
            .as_ref()
            .is_some_and(|options| options.map_entry())
        {
            return;
        }
        let name = format!("{scope}{}", message.name());
        let _ = write!(self.page, "\n#### `{name}`\n\n");
        self.paragraph(path);
        if !message.field.is_empty() {
            self.page
                .push_str("\n| Field | Type | Meaning |\n|---|---|---|\n");
        }
        for (index, field) in (0..).zip(&message.field) {
            let kind = self.field_type(message, field);
            let text = self.cell(&child(path, 2, index));
            let _ = writeln!(self.page, "| `{}` | {kind} | {text} |", field.name());
        }
        let scope = format!("{name}.");
        for (index, nested) in (0..).zip(&message.nested_type) {
            self.message(&child(path, 3, index), &scope, nested);
        }
        for (index, nested) in (0..).zip(&message.enum_type) {
            self.enumeration(&child(path, 4, index), &scope, nested);
        }
    }

    fn enumeration(&mut self, path: &[i32], scope: &str, enumeration: &EnumDescriptorProto) {
        let _ = write!(
            self.page,
            "\n#### `{scope}{}` (enum)\n\n",
            enumeration.name()
        );
        self.paragraph(path);
        self.page
            .push_str("\n| Value | Number | Meaning |\n|---|---|---|\n");
        for (index, value) in (0..).zip(&enumeration.value) {
            let text = self.cell(&child(path, 2, index));
            let _ = writeln!(
                self.page,
                "| `{}` | {} | {text} |",
                value.name(),
                value.number()
            );
        }
    }

    fn field_type(&self, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
        let named = |name: &str| format!("`{}`", self.short(name));
        let entry = message
            .nested_type
            .iter()
            .find(|nested| {
                field
                    .type_name()
                    .ends_with(&format!(".{}.{}", message.name(), nested.name()))
            })
            .filter(|nested| {
                nested
                    .options
                    .as_ref()
                    .is_some_and(|options| options.map_entry())
            });
        if let Some([key, value]) = entry.map(|entry| entry.field.as_slice()) {
            return format!("map of {} to {}", self.plain(key), self.plain(value));
        }
        let kind = if field.type_name.is_some() {
            named(field.type_name())
        } else {
            self.plain(field)
        };
        let oneof = field
            .oneof_index
            .filter(|_| !field.proto3_optional())
            .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?))
            .map(|oneof| format!(", one of `{}`", oneof.name()));
        let prefix = match field.label() {
            Label::Repeated => "repeated ",
            _ if field.proto3_optional() => "optional ",
            _ => "",
        };
        format!("{prefix}{kind}{}", oneof.unwrap_or_default())
    }

    fn plain(&self, field: &FieldDescriptorProto) -> String {
        if field.type_name.is_some() {
            return format!("`{}`", self.short(field.type_name()));
        }
        let name = match field.r#type() {
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Bool => "bool",
            Type::Int32 => "int32",
            Type::Int64 => "int64",
            Type::Uint32 => "uint32",
            Type::Uint64 => "uint64",
            Type::Double => "double",
            Type::Float => "float",
            other => return format!("{other:?}").to_lowercase(),
        };
        name.to_owned()
    }

    fn short(&self, name: &str) -> String {
        let name = name.trim_start_matches('.');
        let own = format!("{}.", self.file.package());
        name.strip_prefix(&own).unwrap_or(name).to_owned()
    }

    fn paragraph(&mut self, path: &[i32]) {
        if let Some(text) = self.comments.get(path) {
            let _ = writeln!(self.page, "{text}");
        }
    }

    fn cell(&self, path: &[i32]) -> String {
        let text = self.comments.get(path).map_or("", String::as_str);
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('|', "\\|")
    }
}

fn child(path: &[i32], tag: i32, index: i32) -> Vec<i32> {
    [path, &[tag, index]].concat()
}
