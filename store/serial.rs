//! Serials of zones: the next one, the first one, and where it lies in the rdata of a SOA record.
//!
//! A zone whose serial has the date form `YYYYMMDDnn` keeps to it, any other is counted up by one: the operator's habit
//! is not changed by an edit. Serial 0 in what a client writes means "none given" and is never counted to, because the
//! PocketBase API has no serial.

use bytes::Bytes;
use domain::base::Serial;

use crate::Timestamp;

/// Whether `new` is ahead of `old` (RFC 1982 §3.2).
pub(crate) fn is_ahead(new: u32, old: u32) -> bool {
    new != old && new.wrapping_sub(old) < 1 << 31
}

/// The serial after `old` for a change made at `now`.
pub(crate) fn next(old: u32, now: Timestamp) -> u32 {
    let today = first(now);
    if is_date_form(old) && is_ahead(today, old) {
        return today;
    }
    match old.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

/// The serial of a zone that is made at `now`: the date of that day (UTC) and `00`.
pub(crate) fn first(now: Timestamp) -> u32 {
    let (year, month, day) = civil((now / MS_A_DAY) as i64);
    // A clock beyond the year 4293 has no date form; such a zone begins at 1.
    u32::try_from((year * 10_000 + month * 100 + day) * 100).unwrap_or(1)
}

/// The serial in the rdata of a SOA record; `None` if that is too short to be one.
pub(crate) fn of_soa(rdata: &[u8]) -> Option<u32> {
    let at = rdata.len().checked_sub(AFTER_NAMES)?;
    let octets = rdata.get(at..at + 4)?;
    Some(octets.iter().fold(0, |sum, &octet| sum << 8 | u32::from(octet)))
}

/// The serial in the rdata of a SOA record, for those who have only that.
pub fn soa_serial(rdata: &[u8]) -> Option<Serial> {
    of_soa(rdata).map(Serial::from)
}

/// The rdata of a SOA record with another serial; rdata too short to be one comes back as it is.
pub(crate) fn with_serial(rdata: &Bytes, serial: u32) -> Bytes {
    let Some(at) = rdata.len().checked_sub(AFTER_NAMES) else {
        return rdata.clone();
    };
    let mut octets = rdata.to_vec();
    octets[at..at + 4].copy_from_slice(&serial.to_be_bytes());
    octets.into()
}

/// Whether a serial reads as a day between 1980 and 2149 with two more digits.
fn is_date_form(serial: u32) -> bool {
    let date = serial / 100;
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    (1980..=2149).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are taken to begin in March, so that the leap day is the last of its year.
    let days = days + DAYS_TO_1970;
    let era = days.div_euclid(DAYS_IN_ERA);
    let day_of_era = days.rem_euclid(DAYS_IN_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Octets of SOA rdata from the serial on: five numbers of 32 bits (RFC 1035 §3.3.13).
const AFTER_NAMES: usize = 20;

/// Milliseconds of a day.
const MS_A_DAY: u64 = 86_400_000;

/// Days of 400 years.
const DAYS_IN_ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25 12:00 UTC.
    const NOW: Timestamp = 1_795_608_000_000;

    #[test]
    fn days_become_dates() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (19_783, (2024, 3, 1)),
            (20_782, (2026, 11, 25)),
            (20_818, (2026, 12, 31)),
        ] {
            assert_eq!(civil(day), date, "{day}");
        }
    }

    #[test]
    fn next_serial_keeps_the_zone_s_habit_and_is_always_ahead() {
        for (old, expected) in [
            (2017042745, 2026112500),
            (2026112500, 2026112501),
            (2026112599, 2026112600),
            (2026123100, 2026123101),
            (1, 2),
            (42, 43),
            (1_764_115_200, 1_764_115_201),
            (u32::MAX, 1),
            (2026139900, 2026139901),
        ] {
            assert_eq!(next(old, NOW), expected, "{old}");
            assert!(is_ahead(next(old, NOW), old));
        }
        assert_eq!(first(NOW), 2026112500);
    }

    #[test]
    fn ahead_is_as_in_rfc_1982() {
        for (new, old, ahead) in [
            (1, 0, true),
            (0, 0, false),
            (0, u32::MAX, true),
            (1 << 31, 0, false),
            ((1 << 31) - 1, 0, true),
            (0, 1, false),
        ] {
            assert_eq!(is_ahead(new, old), ahead, "{new} {old}");
        }
    }

    #[test]
    fn the_serial_lies_behind_the_names() {
        let rdata = Bytes::from([&[0, 0][..], &[0, 0, 0, 7], &[1; 16]].concat());
        assert_eq!(of_soa(&rdata), Some(7));
        assert_eq!(of_soa(&with_serial(&rdata, 9)), Some(9));
        assert_eq!(of_soa(&rdata[..10]), None);
        assert_eq!(with_serial(&Bytes::from_static(b"x"), 9), "x");
    }
}
