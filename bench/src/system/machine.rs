//! What the results were measured on: enough to judge them by, nothing that names the machine.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// The machine and the moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// The day, UTC, as `YYYY-MM-DD`.
    pub(crate) date: String,
    /// The processor's model.
    pub(crate) processor: String,
    /// How many CPUs there are.
    pub(crate) cpus: usize,
    /// The memory in MiB.
    pub(crate) memory: u64,
    /// The kernel's release.
    pub(crate) kernel: String,
}

impl Machine {
    /// Asks the system.
    pub(crate) fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            text.lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split_once(':'))
                .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let kib = field("/proc/meminfo", "MemTotal");
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            date: date(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    .as_secs()
                    / 86_400,
            ),
            processor: field("/proc/cpuinfo", "model name"),
            cpus: std::thread::available_parallelism().map_or(1, Into::into),
            memory: kib.trim_end_matches(" kB").parse().unwrap_or(0) / 1024,
            // Up to the first dash: what follows names a build, not a version.
            kernel: format!("Linux {}", release.trim().split('-').next().unwrap_or_default()),
        }
    }
}

/// The Gregorian date of a day counted from 1970-01-01.
fn date(mut day: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        let table = [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
        ];
        for (day, text) in table {
            assert_eq!(date(day), text);
        }
    }
}
