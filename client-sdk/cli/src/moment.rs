//! Times as people say them.

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

    use super::{relative, span};

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
    }
}
