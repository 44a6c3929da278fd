//! Milliseconds since 1970, and how forges write them

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// A day in milliseconds
pub const DAY: u64 = 86_400_000;

fn timestamp(ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// As `2012-05-23T08:00:58.000Z`
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    timestamp(ms).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The date in UTC, as `2012-05-23`
#[must_use]
pub fn date(ms: u64) -> String {
    timestamp(ms).strftime("%Y-%m-%d").to_string()
}

/// As in a `Date` header: `Wed, 23 May 2012 08:00:58 GMT`
#[must_use]
pub fn http_date(ms: u64) -> String {
    timestamp(ms)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// 00:00 UTC of a date written as `2012-05-23`
#[must_use]
pub fn midnight(date: &str) -> Option<u64> {
    let date: Date = date.parse().ok()?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(midnight.as_millisecond()).ok()
}

/// Whole seconds since 1970
#[must_use]
pub const fn seconds(ms: u64) -> u64 {
    ms / 1_000
}
