//! The server under load: its process, what it tells of itself, and what the system tells of it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Result, wrong};
use super::link::Link;
use super::tally::Entry;
use crate::system::server::die_with_parent;

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(30);

/// How long it may take to tell what it holds.
const ANSWER: Duration = Duration::from_secs(60);

/// A server's process.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

/// What it holds at one moment.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Counts {
    pub(super) sessions: usize,
    pub(super) timers: usize,
    pub(super) namespaces: usize,
    pub(super) sockets: usize,
    pub(super) rooms: usize,
    pub(super) pending_acks: usize,
    /// Sockets that were not dropped, in any table or none.
    pub(super) socket_objects: usize,
    pub(super) tasks: usize,
    /// Bytes that are allocated, without those that are kept.
    pub(super) heap: u64,
    /// Bytes that threads keep for the next large messages: of those there may be more than before, up to a bound.
    pub(super) kept: u64,
    /// Bytes that are resident.
    #[serde(default)]
    pub(super) resident: u64,
    /// Files that are open.
    #[serde(default)]
    pub(super) files: usize,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(super) fn start(program: &Path) -> std::io::Result<Self> {
        let log = std::env::temp_dir().join(format!("gatewire-soak-{}.log", std::process::id()));
        let output = File::create(&log)?;
        let child = die_with_parent(program)
            .env("PORT", "0")
            .env("HOST", "127.0.0.1")
            .env("NO_COLOR", "1")
            .env("RUST_LOG", "warn")
            // What is freed goes back to the system, as far as glibc can: the resident set is then what is in use.
            .env("MALLOC_ARENA_MAX", "2")
            .env("MALLOC_TRIM_THRESHOLD_", "131072")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
        };
        let deadline = Instant::now() + START;
        while Instant::now() < deadline && server.child.try_wait()?.is_none() {
            let words = server.last_words();
            let address = words
                .lines()
                .find_map(|line| line.strip_prefix("listening on http://"));
            if let Some(address) = address.and_then(|address| address.parse().ok()) {
                server.address = address;
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let words = server.last_words();
        Err(std::io::Error::other(format!(
            "it does not listen; its last words:\n{words}"
        )))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it still runs.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The end of what it has printed.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(4_000)..]).into_owned()
    }

    /// What its threads do: whether they run or wait, where, and how much CPU time they have had.
    pub(super) fn threads(&self) -> String {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.into_iter().flatten().filter_map(|task| {
            let path = task.ok()?.path();
            let stat = fs::read_to_string(path.join("stat")).ok()?;
            let (_, fields) = stat.rsplit_once(") ")?;
            let mut fields = fields.split(' ');
            let (state, user) = (fields.next()?, fields.nth(10)?);
            let place = fs::read_to_string(path.join("wchan")).unwrap_or_default();
            Some(format!("state {state}, {user} ticks, in {place:?}"))
        });
        tasks.collect::<Vec<_>>().join("\n")
    }

    /// What it holds now.
    pub(super) fn counts(&self) -> Result<Counts> {
        let mut counts: Counts = self.fetch("/counts")?;
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(process.join("status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        counts.resident = kib.unwrap_or(0) * 1_024;
        counts.files = fs::read_dir(process.join("fd"))?.count();
        Ok(counts)
    }

    /// Who has left since the last call.
    pub(super) fn left(&self) -> Result<Vec<Entry>> {
        self.fetch("/ledger")
    }

    fn fetch<T: DeserializeOwned>(&self, target: &str) -> Result<T> {
        let mut link = Link::connect(self.address)?;
        link.request("GET", target, b"")?;
        let response = link.response_within(ANSWER)?;
        if response.status != 200 {
            return wrong(format!("{target} was answered with {}", response.status));
        }
        Ok(serde_json::from_slice(&response.body)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}

impl From<Fault> for std::io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Gone(error) => error,
            Fault::Wrong(what) => Self::other(what),
        }
    }
}
