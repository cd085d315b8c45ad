//! Reads the CPU time and the memory of a server, and the CPU time of this program, from `/proc`.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::load::LoadError;

/// What is known at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When.
    pub(crate) at: Instant,
    /// The server's CPU time so far, user and system, all its threads.
    pub(crate) server_cpu: Option<Duration>,
    /// The CPU time of the calling thread so far.
    pub(crate) own_cpu: Duration,
    /// The server's resident set, in bytes.
    pub(crate) resident: Option<u64>,
}

/// Samples one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// Its process; without it, only the generator itself is sampled.
    pub(crate) pid: Option<u32>,
}

impl Probe {
    /// Takes a sample.
    ///
    /// # Errors
    /// When the server's process is gone.
    pub(crate) fn sample(&self) -> Result<Sample, LoadError> {
        let server_cpu = self.pid.map(cpu_time).transpose().map_err(LoadError::Probe)?;
        let resident = self.pid.map(resident).transpose().map_err(LoadError::Probe)?;
        // Elsewhere than on Linux there is no such file, and no measurement that would need it.
        let own_cpu = fs::read_to_string("/proc/thread-self/schedstat")
            .ok()
            .and_then(|text| run_time(&text));
        Ok(Sample {
            at: Instant::now(),
            server_cpu,
            own_cpu: own_cpu.unwrap_or_default(),
            resident,
        })
    }
}

/// The sum over the threads, in nanosecond steps. The times of the process itself (`/proc/<pid>/stat`) come in
/// steps of 10 ms, which is too coarse for a short run.
fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        sum += run_time(&text)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "schedstat holds no number"))?;
    }
    Ok(sum)
}

fn run_time(schedstat: &str) -> Option<Duration> {
    schedstat
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

fn resident(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    rss_of(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "smaps_rollup has no line Rss"))
}

fn rss_of(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read() {
        assert_eq!(run_time("204004 17 1\n"), Some(Duration::from_nanos(204_004)));
        assert_eq!(run_time(""), None);
        let rollup = "5587a21c2000-7fffe5cfb000 ---p 00000000 00:00 0   [rollup]\nRss:                1768 kB\nPss: 1 kB\n";
        assert_eq!(rss_of(rollup), Some(1768 * 1024));
        assert_eq!(rss_of("Pss: 1 kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_can_be_sampled() {
        let sample = Probe {
            pid: Some(std::process::id()),
        }
        .sample()
        .unwrap();
        assert!(sample.resident.unwrap() > 0);
        assert!(sample.server_cpu.unwrap() > Duration::ZERO);
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Probe { pid: Some(u32::MAX) }.sample().is_err());
    }
}
