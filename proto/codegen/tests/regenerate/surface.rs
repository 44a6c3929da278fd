//! What every schema promises to its readers.

use std::collections::BTreeSet;

use anyhow::Result;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use bindery_codegen::schema::{self, Schema};
use bindery_codegen::{generate, reference};

/// Paths of all elements of a file that need a comment, with their names.
fn elements(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut found = Vec::new();
    for (index, message) in (0..).zip(&file.message_type) {
        message_elements(vec![4, index], file.package(), message, &mut found);
    }
    for (index, enumeration) in (0..).zip(&file.enum_type) {
        enum_elements(vec![5, index], file.package(), enumeration, &mut found);
    }
    for (index, service) in (0..).zip(&file.service) {
        let name = format!("{}.{}", file.package(), service.name());
        for (place, method) in (0..).zip(&service.method) {
            found.push((
                vec![6, index, 2, place],
                format!("{name}.{}", method.name()),
            ));
        }
        found.push((vec![6, index], name));
    }
    found
}

fn message_elements(
    path: Vec<i32>,
    scope: &str,
    message: &DescriptorProto,
    found: &mut Vec<(Vec<i32>, String)>,
) {
    if message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
    {
        return;
    }
    let name = format!("{scope}.{}", message.name());
    let below = |tag, index| [path.as_slice(), &[tag, index]].concat();
    for (index, field) in (0..).zip(&message.field) {
        found.push((below(2, index), format!("{name}.{}", field.name())));
    }
    let synthetic: BTreeSet<_> = message
        .field
        .iter()
        .filter(|field| field.proto3_optional())
        .filter_map(|field| field.oneof_index)
        .collect();
    for (index, oneof) in (0..).zip(&message.oneof_decl) {
        if !synthetic.contains(&index) {
            found.push((below(8, index), format!("{name}.{}", oneof.name())));
        }
    }
    for (index, nested) in (0..).zip(&message.nested_type) {
        message_elements(below(3, index), &name, nested, found);
    }
    for (index, nested) in (0..).zip(&message.enum_type) {
        enum_elements(below(4, index), &name, nested, found);
    }
    found.push((path, name));
}

fn enum_elements(
    path: Vec<i32>,
    scope: &str,
    enumeration: &EnumDescriptorProto,
    found: &mut Vec<(Vec<i32>, String)>,
) {
    let name = format!("{scope}.{}", enumeration.name());
    for (index, value) in (0..).zip(&enumeration.value) {
        let path = [path.as_slice(), &[2, index]].concat();
        found.push((path, format!("{name}.{}", value.name())));
    }
    found.push((path, name));
}

/// The comment of every element of a schema, by name; an absent one is empty.
fn documented(schema: &Schema) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for file in generate::compile(schema)?.file_descriptor_set().file {
        if !schema.packages.contains(&file.package()) {
            continue;
        }
        let comments = reference::comments(&file);
        for (path, name) in elements(&file) {
            texts.push((name, comments.get(&path).cloned().unwrap_or_default()));
        }
    }
    Ok(texts)
}

/// Every element of every schema has a comment.
#[test]
fn every_element_has_a_comment() -> Result<()> {
    let mut bare = Vec::new();
    for schema in [schema::API, schema::PLUGIN, schema::STORE] {
        bare.extend(
            documented(&schema)?
                .into_iter()
                .filter(|(_, text)| text.is_empty()),
        );
    }
    assert!(bare.is_empty(), "without a comment: {bare:#?}");
    Ok(())
}

/// Comments of the public schema are sentences.
#[test]
fn comments_of_the_public_schema_are_sentences() -> Result<()> {
    for (name, text) in documented(&schema::API)? {
        assert!(
            text.ends_with('.'),
            "the comment of {name} does not end with a full stop"
        );
        let first = text.chars().next().unwrap_or_default();
        assert!(
            first.is_uppercase() || first == '`',
            "the comment of {name} starts small"
        );
    }
    Ok(())
}

/// The first value of every enum of the public schema means "not set".
#[test]
fn enums_start_with_unspecified() -> Result<()> {
    for schema in [schema::API] {
        for enumeration in generate::compile(&schema)?.descriptor_pool().all_enums() {
            let ours = schema.packages.contains(&enumeration.package_name());
            let zero = enumeration.default_value();
            assert!(
                !ours || zero.name().ends_with("_UNSPECIFIED"),
                "{}",
                zero.full_name()
            );
        }
    }
    Ok(())
}

/// Every reason says its status code, whether to try again, and what to do.
#[test]
fn every_error_reason_says_code_retry_and_remedy() -> Result<()> {
    const CODES: &str = "UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS \
        PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED \
        INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED";
    let reasons = documented(&schema::API)?;
    for (name, text) in reasons
        .iter()
        .filter(|(name, _)| name.contains(".ErrorReason."))
    {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let code = text
            .split("Code: `")
            .nth(1)
            .and_then(|rest| rest.split('`').next());
        assert!(
            code.is_some_and(|code| CODES.split(' ').any(|known| known == code)),
            "{name}"
        );
        assert!(
            text.contains("Retry: no") || text.contains("Retry: yes"),
            "{name}"
        );
        assert!(text.contains(" Do: "), "{name}");
    }
    Ok(())
}

/// Every call says which errors it answers, and each is a reason that exists.
#[test]
fn every_call_names_existing_error_reasons() -> Result<()> {
    let texts = documented(&schema::API)?;
    let reasons: Vec<&str> = texts
        .iter()
        .filter_map(|(name, _)| name.split(".ErrorReason.").nth(1))
        .collect();
    let calls: BTreeSet<String> = generate::compile(&schema::API)?
        .descriptor_pool()
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| method.full_name().to_owned())
        .collect();
    for (name, text) in texts.iter().filter(|(name, _)| calls.contains(name)) {
        let service_wide = name.contains(".RepositoryService.");
        let errors = text.split("Errors").nth(1).unwrap_or_default();
        assert!(
            service_wide || !errors.is_empty(),
            "{name} does not say its errors"
        );
        for quoted in errors
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| is_reason(word))
        {
            let known = match quoted.strip_suffix('*') {
                Some(family) => reasons.iter().any(|reason| reason.starts_with(family)),
                None => reasons.contains(&quoted),
            };
            assert!(known, "{name} names {quoted}, which is no reason");
        }
    }
    Ok(())
}

fn is_reason(word: &str) -> bool {
    word.contains('_')
        && word
            .chars()
            .all(|letter| letter.is_ascii_uppercase() || "_*".contains(letter))
}

/// Every file of the schema is in a folder named like its package, so that imports can be found.
#[test]
fn packages_match_their_folders() -> Result<()> {
    for schema in [schema::API, schema::PLUGIN, schema::STORE] {
        for file in generate::compile(&schema)?.file_descriptor_set().file {
            if schema.packages.contains(&file.package()) {
                let folder = file.package().replace('.', "/");
                assert!(
                    file.name().starts_with(&folder),
                    "{} is in {folder}",
                    file.name()
                );
            }
        }
    }
    Ok(())
}
