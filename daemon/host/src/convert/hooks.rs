//! `HookSupport`: what a provider's webhooks are like

use bindery_core::provider::{HookSupport, SignatureKind, SignatureScheme};
use bindery_plugin_proto::v1;

use super::check::{Checked, at_most, header, invalid, name, optional_name};

/// Most ways to sign.
const SCHEMES: usize = 8;

/// Most headers of one kind.
const HEADERS: usize = 16;

/// Most hooks that anybody would count.
const HOOKS: u32 = 1_000_000;

/// Headers that carry credentials, and words in the names of others that do.
const SECRET_HEADERS: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];
const SECRET_WORDS: [&str; 4] = ["token", "secret", "password", "credential"];

/// What a provider's webhooks are like. The daemon verifies by it, and hands to the plugin what it names: a header that may
/// hold the secret is not handed over.
pub(crate) fn hooks(raw: v1::HookSupport) -> Checked<HookSupport> {
    at_most("hooks.schemes", raw.schemes.len(), SCHEMES)?;
    let schemes = raw
        .schemes
        .into_iter()
        .map(scheme)
        .collect::<Checked<Vec<_>>>()?;
    unique(&schemes)?;
    let plain = |field, value| not_secret(field, value, &schemes);
    let event_header = match raw.event_header.as_str() {
        "" if schemes.is_empty() => String::new(),
        _ => plain("hooks.event_header", raw.event_header)?,
    };
    if raw.hooks_per_repository > HOOKS {
        return Err(invalid("hooks.hooks_per_repository", "is too high"));
    }
    Ok(HookSupport {
        event_header,
        id_headers: each("hooks.id_headers", raw.id_headers, &plain)?,
        headers: each("hooks.headers", raw.headers, &plain)?,
        form_member: optional_name("hooks.form_member", raw.form_member)?,
        failures_disable: raw.failures_disable,
        hooks_per_repository: raw.hooks_per_repository,
        schemes,
    })
}

fn each(
    field: &'static str,
    values: Vec<String>,
    convert: &impl Fn(&'static str, String) -> Checked<String>,
) -> Checked<Vec<String>> {
    at_most(field, values.len(), HEADERS)?;
    let values = values.into_iter();
    values.map(|value| convert(field, value)).collect()
}

/// A header that the plugin may see.
fn not_secret(field: &'static str, value: String, schemes: &[SignatureScheme]) -> Checked<String> {
    let value = header(field, value)?;
    let signs = schemes.iter().any(|scheme| scheme.header == value);
    let carries = SECRET_HEADERS.contains(&value.as_str())
        || SECRET_WORDS.iter().any(|word| value.contains(word));
    if signs || carries {
        return Err(invalid(field, "is a header that may hold a secret"));
    }
    Ok(value)
}

fn unique(schemes: &[SignatureScheme]) -> Checked<()> {
    let again = |(n, one): (usize, &SignatureScheme)| {
        schemes[..n].iter().any(|before| before.name == one.name)
    };
    if schemes.iter().enumerate().any(again) {
        return Err(invalid("hooks.schemes.name", "is there twice"));
    }
    Ok(())
}

fn scheme(raw: v1::SignatureScheme) -> Checked<SignatureScheme> {
    let kind = match raw.kind() {
        v1::SignatureKind::Unspecified => {
            return Err(invalid("hooks.schemes.kind", "is not set"));
        }
        v1::SignatureKind::BodyHmacSha256 => SignatureKind::BodyHmacSha256,
        v1::SignatureKind::Token => SignatureKind::Token,
        v1::SignatureKind::StandardWebhooks => SignatureKind::StandardWebhooks,
        v1::SignatureKind::TimestampHmacSha256 => SignatureKind::TimestampHmacSha256,
    };
    Ok(SignatureScheme {
        name: name("hooks.schemes.name", raw.name)?,
        kind,
        header: header("hooks.schemes.header", raw.header)?,
        prefix: optional_name("hooks.schemes.prefix", raw.prefix)?,
        timestamp_header: timestamp_header(kind, raw.timestamp_header)?,
        // A plugin can't make a scheme stronger than it is.
        weak: raw.weak || kind == SignatureKind::TimestampHmacSha256,
    })
}

/// Required where a time is signed; nothing else has one.
fn timestamp_header(kind: SignatureKind, value: String) -> Checked<String> {
    let field = "hooks.schemes.timestamp_header";
    match kind {
        SignatureKind::StandardWebhooks | SignatureKind::TimestampHmacSha256 => {
            header(field, value)
        }
        SignatureKind::BodyHmacSha256 | SignatureKind::Token if value.is_empty() => Ok(value),
        SignatureKind::BodyHmacSha256 | SignatureKind::Token => {
            Err(invalid(field, "is set where no time is signed"))
        }
    }
}

#[cfg(test)]
mod tests;
