//! Changes of resources.

use prost_types::FieldMask;

/// Asks for a change of a resource: its new values, and which fields are meant. Where the resource has an
/// `etag`, the change is refused if somebody else changed it since.
///
/// ```
/// use bindery_client::{Change, proto::v1::Source};
///
/// let source = Source {
///     name: "namespaces/acme/links/8c1f/sources/api".to_owned(),
///     max_triggers_per_minute: 10,
///     ..Source::default()
/// };
/// let change = Change::new(source, ["max_triggers_per_minute"]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Change<T> {
    pub(crate) resource: T,
    pub(crate) mask: FieldMask,
    pub(crate) preview: bool,
}

impl<T> Change<T> {
    /// Changes the fields of the resource that the mask names, such as `display_name`.
    pub fn new<P: Into<String>>(resource: T, mask: impl IntoIterator<Item = P>) -> Self {
        let paths = mask.into_iter().map(Into::into).collect();
        Self {
            resource,
            mask: FieldMask { paths },
            preview: false,
        }
    }

    /// Checks everything and changes nothing.
    pub fn preview(mut self, preview: bool) -> Self {
        self.preview = preview;
        self
    }
}
