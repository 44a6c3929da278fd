//! Collects what is wrong with the fields of a request, so that a caller learns all of it at once.

use std::collections::BTreeMap;

use bindery_proto::v1::ErrorReason;

use crate::status::Failure;

/// What is wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Notes that a field is wrong.
    pub(crate) fn refuse(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.0.push((field.into(), why.into()));
    }

    /// Notes that a field is wrong unless `right`.
    pub(crate) fn check(&mut self, right: bool, field: &str, why: &str) {
        if !right {
            self.refuse(field, why);
        }
    }

    /// Checks a text for people.
    pub(crate) fn text(&mut self, field: &str, text: &str, longest: usize) {
        if text.len() > longest {
            self.refuse(field, format!("is longer than {longest} bytes; shorten it"));
        }
        let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
        self.check(
            !text.chars().any(odd),
            field,
            "holds control characters; take them out",
        );
    }

    /// Checks pairs for selection: at most 64, keys of 1 to 63 bytes, values of at most 63.
    pub(crate) fn labels(&mut self, field: &str, pairs: &BTreeMap<String, String>) {
        let key = |key: &String| (1..=63).contains(&key.len());
        let fits = pairs.len() <= 64 && pairs.iter().all(|(k, v)| key(k) && v.len() <= 63);
        self.check(
            fits,
            field,
            "holds more than 64 pairs, or a key that is empty, or a key or value of more than 63 bytes",
        );
        self.plain_pairs(field, pairs);
    }

    /// Checks pairs for other programs: at most 64, together at most 16 KiB.
    pub(crate) fn annotations(&mut self, field: &str, pairs: &BTreeMap<String, String>) {
        let whole: usize = pairs.iter().map(|(k, v)| k.len() + v.len()).sum();
        let fits = pairs.len() <= 64 && whole <= 16 << 10 && !pairs.contains_key("");
        self.check(
            fits,
            field,
            "holds more than 64 pairs or 16 KiB, or a key that is empty",
        );
        self.plain_pairs(field, pairs);
    }

    fn plain_pairs(&mut self, field: &str, pairs: &BTreeMap<String, String>) {
        let odd = |text: &String| {
            text.chars()
                .any(|c| c.is_control() && c != '\n' && c != '\t')
        };
        self.check(
            !pairs.iter().any(|(key, value)| odd(key) || odd(value)),
            field,
            "holds control characters; take them out",
        );
    }

    /// Keeps what a parser made, or notes why it did not.
    pub(crate) fn take<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }

    /// All is well, or `INVALID_ARGUMENT` with every field.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let Some((field, why)) = self.0.first() else {
            return Ok(());
        };
        let message = match self.0.len() {
            1 => format!("{field} {why}"),
            more => format!("{field} {why} (and {} more fields)", more - 1),
        };
        let failure = Failure::new(ErrorReason::InvalidArgument, message);
        Err(self.0.into_iter().fold(failure, Failure::violation))
    }
}

/// A single wrong field.
pub(crate) fn wrong(field: &str, why: impl Into<String>) -> Failure {
    let mut fields = Fields::default();
    fields.refuse(field, why);
    match fields.finish() {
        Err(failure) => failure,
        Ok(()) => Failure::new(ErrorReason::InvalidArgument, field),
    }
}

/// A request id is empty or a UUID in its usual form.
pub(crate) fn request_id(text: &str) -> Result<(), Failure> {
    let dash = |index: usize| matches!(index, 8 | 13 | 18 | 23);
    let digit = |(index, c): (usize, u8)| {
        if dash(index) {
            c == b'-'
        } else {
            c.is_ascii_hexdigit()
        }
    };
    let uuid = text.len() == 36 && text.bytes().enumerate().all(digit);
    if text.is_empty() || uuid {
        return Ok(());
    }
    Err(wrong(
        "request_id",
        "is no UUID; write 32 hexadecimal digits in groups of 8-4-4-4-12",
    ))
}

/// The version in an etag; `None` for an empty one.
pub(crate) fn etag(text: &str) -> Result<Option<u64>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Failure::new(
            ErrorReason::EtagMismatch,
            "this etag is not of this resource; read it again and repeat the change",
        )
    })
}

/// Says that a call can't be tried without doing it.
pub(crate) fn no_validate_only(asked: bool) -> Result<(), Failure> {
    if asked {
        return Err(wrong(
            "validate_only",
            "is not served for this call by this release; leave it out",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request id is a UUID or absent; nothing else reaches the engine.
    #[test]
    fn request_ids_are_uuids() {
        assert!(request_id("").is_ok());
        assert!(request_id("0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a10").is_ok());
        for odd in [
            "x",
            "0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a1",
            "0b7e5f9c02f4f04a5109c8800d2f9a2d7a10",
        ] {
            assert!(request_id(odd).is_err(), "{odd}");
        }
    }

    /// All wrong fields are told at once.
    #[test]
    fn all_fields_are_told() {
        let mut fields = Fields::default();
        fields.text("a", "x\0", 10);
        fields.text("b", "long", 2);
        let failure = fields.finish().expect_err("wrong");
        assert_eq!(failure.violations(), ["a", "b"]);
    }
}
