//! Times as people say them.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// A time from now: `in 3 h`, `2 d ago`; empty where there is none.
pub(crate) fn relative(time: Option<&prost_types::Timestamp>) -> String {
    let Some(time) = time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok()) else {
        return String::new();
    };
    let distance = time.duration_since(Timestamp::now());
    let words = span(distance.abs());
    if distance.is_negative() {
        format!("{words} ago")
    } else {
        format!("in {words}")
    }
}

/// How long until a time; zero where it is past, `None` where there is none.
pub(crate) fn until(time: Option<&prost_types::Timestamp>) -> Option<SignedDuration> {
    let time = time?;
    let time = Timestamp::new(time.seconds, time.nanos).ok()?;
    Some(
        time.duration_since(Timestamp::now())
            .max(SignedDuration::ZERO),
    )
}

/// A time in full: `2026-11-30T04:20:21Z`; empty where there is none.
pub(crate) fn exact(time: Option<&prost_types::Timestamp>) -> String {
    let time = time.and_then(|time| Timestamp::new(time.seconds, 0).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// A time in the past, as people write it: `10m`, `2h` or `3d` ago, or `2026-11-30T04:20:00Z`.
pub(crate) fn past(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.into());
    }
    let how = "write it like 10m, 2h, 3d or 2026-11-30T04:20:00Z";
    let ago: Duration = crate::link::ahead(text).map_err(|_| how.to_owned())?;
    SystemTime::now()
        .checked_sub(ago)
        .ok_or_else(|| how.to_owned())
}

/// A length of time in its largest unit.
pub(crate) fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_570 => format!("{} min", rounded(seconds, 60)),
        3_570..172_800 => format!("{} h", rounded(seconds, 3_600)),
        _ => format!("{} d", rounded(seconds, 86_400)),
    }
}

fn rounded(seconds: i64, unit: i64) -> i64 {
    (seconds + unit / 2) / unit
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use std::time::{Duration, SystemTime};

    use super::{exact, past, relative, span};

    /// Lengths are said in the unit that fits.
    #[test]
    fn lengths_have_fitting_units() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (10_790, "3 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(SignedDuration::from_secs(seconds)), words);
        }
    }

    /// What is past and what is to come is told apart, and what is unknown is empty.
    #[test]
    fn times_have_a_direction() {
        let past = prost_types::Timestamp {
            seconds: 0,
            nanos: 0,
        };
        assert!(relative(Some(&past)).ends_with(" ago"));
        assert_eq!(relative(None), "");
        assert_eq!(exact(Some(&past)), "1970-01-01T00:00:00Z");
    }

    /// A start is written as a time ago or as a time.
    #[test]
    fn a_start_is_a_time_or_a_time_ago() {
        let second = Duration::from_secs(1);
        let zero = SystemTime::UNIX_EPOCH;
        assert_eq!(past("1970-01-01T00:00:01Z").unwrap(), zero + second);
        let two_days = past("2d").unwrap();
        let ago = SystemTime::now().duration_since(two_days).unwrap();
        assert!(ago >= second * 172_800 && ago < second * 180_000);
        for wrong in ["", "yesterday", "2 d", "-1h", "1970-01-01"] {
            assert!(past(wrong).is_err(), "{wrong}");
        }
    }
}
