//! Points in time, in the forms that GitHub writes

use bindery_plugin_sdk::calendar::{parse_clock, unix_from_utc};

/// `2021-10-07 19:07:53 UTC`, or with an offset: `2021-10-07 21:07:53 +0200`.
pub(crate) fn spoken(text: &str) -> Option<i64> {
    let mut words = text.split(' ');
    let local = unix(words.next()?, words.next()?)?;
    Some(local - offset(words.next()?)?)
}

/// `2016-07-11T22:14:10Z`
pub(crate) fn iso(text: &str) -> Option<i64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    unix(date, clock)
}

fn unix(date: &str, clock: &str) -> Option<i64> {
    let mut date = date.splitn(3, '-').map(|part| part.parse().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (hour, minute, second) = parse_clock(clock)?;
    unix_from_utc(year, month, day, hour, minute, second)
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone == "UTC" {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some(sign * (hours * 3600 + minutes * 60))
}
