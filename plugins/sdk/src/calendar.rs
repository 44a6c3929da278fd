//! The little of a calendar that providers' headers need

/// Seconds since the epoch of a UTC date and time of the Gregorian calendar; none when a part is out of range.
///
/// ```
/// use bindery_plugin_sdk::calendar::unix_from_utc;
///
/// assert_eq!(unix_from_utc(1970, 1, 1, 0, 0, 0), Some(0));
/// assert_eq!(unix_from_utc(2021, 10, 7, 19, 7, 53), Some(1_633_633_673));
/// ```
pub fn unix_from_utc(
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
) -> Option<i64> {
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=23).contains(&hour)
        && (0..=59).contains(&minute)
        && (0..=60).contains(&second);
    sane.then(|| days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Seconds since the epoch at which the UTC day `2021-10-07` begins.
///
/// ```
/// use bindery_plugin_sdk::calendar::parse_date;
///
/// assert_eq!(parse_date("1970-01-02"), Some(86_400));
/// assert_eq!(parse_date("tomorrow"), None);
/// ```
pub fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse().ok());
    unix_from_utc(parts.next()??, parts.next()??, parts.next()??, 0, 0, 0)
}

/// Year, month and day of the UTC day that holds a second since the epoch; none before 1970 and after 9999.
///
/// ```
/// use bindery_plugin_sdk::calendar::date_of_unix;
///
/// assert_eq!(date_of_unix(1_633_633_673), Some((2021, 10, 7)));
/// ```
pub fn date_of_unix(unix: i64) -> Option<(i64, i64, i64)> {
    // The last second of 9999.
    (0..=253_402_300_799)
        .contains(&unix)
        .then(|| civil_from_days(unix / 86_400))
}

/// Seconds since the epoch of an HTTP date in its only current form: `Thu, 07 Oct 2021 19:07:53 GMT`.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let mut words = text.trim().split_once(", ")?.1.split(' ');
    let day = words.next()?.parse().ok()?;
    let month = month(words.next()?)?;
    let year = words.next()?.parse().ok()?;
    let (hour, minute, second) = parse_clock(words.next()?)?;
    (words.next() == Some("GMT"))
        .then(|| unix_from_utc(year, month, day, hour, minute, second))
        .flatten()
}

/// Hours, minutes and seconds of `19:07:53`.
pub fn parse_clock(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.splitn(3, ':').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// Milliseconds since the epoch of a time as JSON has it: `2021-10-07T19:07:53Z`, with a fraction, with an offset (`+02:00`,
/// `+0200`). 0, which stands for no time, for anything else, and for what is before 1970.
///
/// ```
/// use bindery_plugin_sdk::calendar::unix_ms;
///
/// assert_eq!(unix_ms("2021-10-07T21:07:53.5+02:00"), 1_633_633_673_500);
/// assert_eq!(unix_ms("yesterday"), 0);
/// ```
pub fn unix_ms(text: &str) -> u64 {
    let ms = parse_rfc3339(text).and_then(|ms| u64::try_from(ms).ok());
    ms.unwrap_or(0)
}

fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', ' '])?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(zone_at)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let (hour, minute, second) = parse_clock(clock)?;
    let seconds = parse_date(date)? + unix_from_utc(1970, 1, 1, hour, minute, second)?;
    Some((seconds - offset(zone)?) * 1000 + milliseconds(fraction)?)
}

/// The first three digits of a fraction.
fn milliseconds(fraction: &str) -> Option<i64> {
    if !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.chars().chain(std::iter::repeat('0')).take(3);
    digits.collect::<String>().parse().ok()
}

/// Seconds east of Greenwich of `Z`, `+02:00` or `+0200`.
fn offset(zone: &str) -> Option<i64> {
    let digits = zone.get(1..)?.replacen(':', "", 1);
    let (hours, minutes) = digits.split_at_checked(2).unwrap_or(("", ""));
    match (zone, zone.as_bytes().first()?, digits.len()) {
        ("Z", _, _) => Some(0),
        (_, b'Z', _) => None,
        (_, sign, 4) => {
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn month(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    (1..)
        .zip(NAMES)
        .find_map(|(n, known)| (known == name).then_some(n))
}

/// Days since the epoch, counted in eras of 400 years that start on the first of March, so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The other way round.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every day of the calendar is found again from its number, and the days are in order without a gap.
    #[test]
    fn days_are_found_again() {
        for day in 0..2_932_897 {
            let unix = day * 86_400;
            let (year, month, of_month) = date_of_unix(unix + 86_399).unwrap();
            assert_eq!(unix_from_utc(year, month, of_month, 0, 0, 0), Some(unix));
        }
        assert_eq!(date_of_unix(2_932_897 * 86_400), None);
        assert_eq!(date_of_unix(-1), None);
        assert_eq!(
            parse_date("2027-02-28"),
            unix_from_utc(2027, 2, 28, 0, 0, 0)
        );
        for bad in [
            "",
            "2027",
            "2027-02",
            "2027-02-28T00",
            "2027-13-01",
            "-1-1-1",
        ] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    /// Leap years and both ends of a year are counted as everybody counts them.
    #[test]
    fn dates_are_counted() {
        assert_eq!(unix_from_utc(2000, 2, 29, 0, 0, 0), Some(951_782_400));
        assert_eq!(unix_from_utc(2026, 12, 31, 23, 59, 59), Some(1_798_761_599));
        assert_eq!(unix_from_utc(2027, 1, 1, 0, 0, 0), Some(1_798_761_600));
        assert_eq!(unix_from_utc(2027, 13, 1, 0, 0, 0), None);
    }

    /// The times of deliveries are read in every form that providers write, and nothing is guessed at.
    #[test]
    fn times_of_deliveries_are_read() {
        let at = 1_571_207_113_000;
        for same in [
            "2019-10-16T06:25:13Z",
            "2019-10-16T08:25:13+02:00",
            "2019-10-16T01:25:13-0500",
            "2019-10-16 06:25:13.000Z",
        ] {
            assert_eq!(unix_ms(same), at, "{same}");
        }
        assert_eq!(unix_ms("2019-10-16T06:25:13.123456Z"), at + 123);
        for bad in [
            "",
            "2019-10-16",
            "2019-10-16T06:25:13",
            "2019-10-16T06:25:13Zulu",
            "2019-10-16T06:25:13+2",
            "2019-10-16T06:25:13+aa:bb",
            "2019-10-16T06:25:13.-1Z",
            "2019-10-16T25:25:13Z",
            "0001-01-01T00:00:00Z",
            "2019-10-16T06:25:13Zä",
            "2019-10-16T06:25:13+ä:0",
        ] {
            assert_eq!(unix_ms(bad), 0, "{bad}");
        }
    }

    /// An HTTP date is read, and anything else is not guessed at.
    #[test]
    fn http_dates_are_read() {
        assert_eq!(
            parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
        for bad in [
            "",
            "60",
            "Sun, 06 Nov 1994 08:49:37 +0100",
            "Sun, 06 Foo 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse_http_date(bad), None, "{bad}");
        }
    }
}
