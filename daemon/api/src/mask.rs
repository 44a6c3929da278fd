//! Update masks: which fields a request changes.

use bindery_proto::v1::ErrorReason;
use prost_types::FieldMask;

use crate::status::Failure;

/// What may be named in the mask of a resource.
pub(crate) struct Shape {
    /// Fields that can be changed.
    pub(crate) mutable: &'static [&'static str],
    /// Fields that `*` leaves alone and that must be named, since they hold secrets.
    pub(crate) secret: &'static [&'static str],
    /// Fields that never change.
    pub(crate) immutable: &'static [&'static str],
}

/// The fields that a request names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mask(Vec<&'static str>);

impl Mask {
    /// Reads a mask; `set` tells, for an absent one, which fields the request sets.
    pub(crate) fn read(
        mask: Option<FieldMask>,
        shape: &Shape,
        set: impl Fn(&str) -> bool,
    ) -> Result<Self, Failure> {
        let all = || shape.mutable.iter().chain(shape.secret).copied();
        let Some(mask) = mask else {
            return Ok(Self(all().filter(|path| set(path)).collect()));
        };
        let mut fields = Vec::new();
        for path in &mask.paths {
            if path == "*" {
                fields.extend(shape.mutable);
                continue;
            }
            let inside = |field: &&str| {
                *field == path
                    || field
                        .strip_prefix(path.as_str())
                        .is_some_and(|rest| rest.starts_with('.'))
            };
            let named: Vec<_> = all().filter(inside).collect();
            if named.is_empty() {
                return Err(refuse(path, shape));
            }
            fields.extend(named);
        }
        if fields.is_empty() {
            let message = "update_mask names no field; name at least one, or leave it out";
            return Err(Failure::new(ErrorReason::UpdateMaskInvalid, message));
        }
        Ok(Self(fields))
    }

    /// The value, if the mask names its field.
    pub(crate) fn pick<T>(&self, path: &str, value: T) -> Option<T> {
        self.has(path).then_some(value)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains(&path)
    }
}

fn refuse(path: &str, shape: &Shape) -> Failure {
    if shape.immutable.contains(&path) {
        let message = format!("{path} never changes; leave it out of update_mask");
        return Failure::new(ErrorReason::FieldImmutable, message);
    }
    let known: Vec<_> = shape.mutable.iter().chain(shape.secret).copied().collect();
    let message = format!(
        "update_mask names {path:?}, which can't be changed; it may name {}",
        known.join(", ")
    );
    Failure::new(ErrorReason::UpdateMaskInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        mutable: &["display_name", "urls.web", "urls.api"],
        secret: &["client.secrets"],
        immutable: &["provider"],
    };

    fn read(paths: &[&str]) -> Result<Mask, Failure> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Mask::read(Some(FieldMask { paths }), &SHAPE, |_| false)
    }

    /// `*` never touches secrets, a parent names its fields, and what is not known is refused.
    #[test]
    fn masks_are_read_strictly() {
        assert_eq!(read(&["*"]).expect("mask").0, SHAPE.mutable);
        assert_eq!(read(&["urls"]).expect("mask").0, ["urls.web", "urls.api"]);
        assert_eq!(
            read(&["client.secrets"]).expect("mask").0,
            ["client.secrets"]
        );
        let reason = |paths: &[&str]| read(paths).expect_err("refused").reason();
        assert_eq!(reason(&["provider"]), ErrorReason::FieldImmutable);
        assert_eq!(reason(&["url"]), ErrorReason::UpdateMaskInvalid);
        assert_eq!(
            reason(&["display_name", "name"]),
            ErrorReason::UpdateMaskInvalid
        );
        assert_eq!(reason(&[]), ErrorReason::UpdateMaskInvalid);
    }

    /// Without a mask, what is set is what changes.
    #[test]
    fn absent_masks_take_what_is_set() {
        let mask = Mask::read(None, &SHAPE, |path| path == "urls.web").expect("mask");
        assert_eq!(mask.0, ["urls.web"]);
    }
}
