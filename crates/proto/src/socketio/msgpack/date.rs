//! Dates as JSON has them: the ISO string of JavaScript's `Date.prototype.toISOString`.

const MS_PER_DAY: i64 = 86_400_000;

/// The furthest that a `Date` reaches, in milliseconds around 1970 (ECMA-262 §21.4.1.1).
const MAX_MS: u64 = 8_640_000_000_000_000;

/// The date of `ms` milliseconds after 1970-01-01 UTC, like `2023-11-14T22:13:20.123Z`; `None` beyond the years that
/// JavaScript has, where its own `toJSON` gives null.
pub(super) fn iso_string(ms: i64) -> Option<String> {
    if ms.unsigned_abs() > MAX_MS {
        return None;
    }
    let (days, ms) = (ms.div_euclid(MS_PER_DAY), ms.rem_euclid(MS_PER_DAY));
    let (year, month, day) = civil(days);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{year:+07}"),
    };
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let ms = ms % 1_000;
    Some(format!(
        "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
    ))
}

/// Year, month and day of the proleptic Gregorian calendar, for days after 1970-01-01. Years are counted from March on,
/// so that the leap day is the last, in eras of 400 years (146,097 days).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
    let month = (months_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"),
            (-8_640_000_000_000_000, "-271821-04-20T00:00:00.000Z"),
        ];
        for (ms, text) in table {
            assert_eq!(iso_string(ms).as_deref(), Some(text), "{ms}");
        }
        for ms in [8_640_000_000_000_001, -8_640_000_000_000_001, i64::MIN, i64::MAX] {
            assert_eq!(iso_string(ms), None);
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = civil(-800_000);
        for day in -799_999..800_000 {
            let (year, month, date) = civil(day);
            let follows = match last {
                (y, 12, 31) => (year, month, date) == (y + 1, 1, 1),
                (y, m, d) => {
                    (year, month, date) == (y, m, d + 1) || (year, month, date) == (y, m + 1, 1) && d >= 28
                }
            };
            assert!(follows, "{last:?} {year}-{month}-{date}");
            last = (year, month, date);
        }
    }
}
