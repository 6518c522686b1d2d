//! Times as the API writes them: `YYYY-MM-DD HH:MM:SS.mmmZ`, UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use store::Timestamp;

/// Milliseconds since 1970; 0 if the clock stands before that.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as Timestamp
}

/// The text of a time.
pub(super) fn to_text(time: Timestamp) -> String {
    let (seconds, millis) = (time / 1000, time % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day is the last one; 400 of them have 146,097 days, and months
/// from March on begin on day (153·month + 2) / 5.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_FROM_MARCH_0_TO_1970;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let january = month >= 10;
    let month = if january { month - 9 } else { month + 3 };
    (400 * era + year + u64::from(january), month, day_of_month)
}

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_FROM_MARCH_0_TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_in_the_calendar() {
        for (time, text) in [
            (0, "1970-01-01 00:00:00.000Z"),
            (951_782_400_000, "2000-02-29 00:00:00.000Z"),
            (951_868_799_999, "2000-02-29 23:59:59.999Z"),
            (951_868_800_000, "2000-03-01 00:00:00.000Z"),
            (1_795_295_418_723, "2026-11-21 21:10:18.723Z"),
            (4_107_542_399_000, "2100-02-28 23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31 23:59:59.000Z"),
        ] {
            assert_eq!(to_text(time), text);
        }
    }
}
