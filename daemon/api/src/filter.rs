//! Filters of listings. The language is the domain's, since subscriptions know it too.

pub(crate) use bindery_core::filter::{Filter, LABELS, label_of};
