//! The soak: clients of all kinds, honest and not, against a server of its own, for minutes or hours. Each client lives many
//! short lives, one after the other, as a seed has it; the server keeps a ledger, and so do they. A warm-up goes before, so
//! that what a server keeps for good (tables that have grown, threads, pages of the allocator) is not taken for a leak.

mod client;
mod dice;
mod fault;
mod life;
mod link;
mod official;
mod options;
mod report;
mod server;
mod tally;
mod way;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fault::Fault;
use life::Life;
use official::Official;
use report::Report;
use server::{Counts, Server};
use tally::{Noted, Tally};

pub(crate) use options::{HELP, Options};

/// After the load, until the last session has timed out and the last connection of a vanished client is gone.
const REST: Duration = Duration::from_secs(60);

/// Samples that the report keeps.
const MAX_SAMPLES: usize = 600;

/// A client's thread needs little more than its buffers.
const STACK: usize = 512 << 10;

/// Why a soak did not come to its end, or not to a good one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SoakError {
    /// No server.
    #[error(
        "cannot start {program}: {source}; build it with `cargo build -p gatewire-examples --example soak_server`"
    )]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// Threads, files, the server's counts.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It died.
    #[error("the server has ended under load (seed {seed}); its last words:\n{words}")]
    Died {
        /// The seed.
        seed: u64,
        /// What it printed last.
        words: String,
    },
    /// The report says what.
    #[error("the soak has failed, see above; its report is {0}")]
    Failed(PathBuf),
}

impl From<Fault> for SoakError {
    fn from(fault: Fault) -> Self {
        Self::Io(fault.into())
    }
}

/// Runs it, and writes the report.
pub(crate) fn run(options: &Options) -> Result<(), SoakError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = match &options.program {
        Some(program) => program.clone(),
        None => beside()?,
    };
    let mut server = Server::start(&program).map_err(|source| SoakError::Start {
        program: program.display().to_string(),
        source,
    })?;
    let has_official = options.has_official && Official::is_there(&root);
    println!("soak: seed {}, the server at {}", options.seed, server.address());
    if options.has_official && !has_official {
        println!("without official clients: Node or the packages of interop/ are missing");
    }

    let tally = Tally::default();
    let mut soak = Soak {
        options,
        server: &mut server,
        root: &root,
        has_official,
        tally: &tally,
        highest: Counts::default(),
        samples: Vec::new(),
    };
    let (before, after) = match soak.run() {
        Ok(counts) => counts,
        Err(error) => {
            let threads = soak.server.threads();
            thread::sleep(Duration::from_secs(1));
            eprintln!(
                "the server's threads:\n{threads}\na second later:\n{}",
                soak.server.threads()
            );
            for Noted { life, kind, what } in tally.close().1 {
                eprintln!("client {life} ({kind}): {what}");
            }
            return Err(error);
        }
    };

    let Soak {
        highest, mut samples, ..
    } = soak;
    let step = samples.len().div_ceil(MAX_SAMPLES).max(1);
    samples = samples.into_iter().step_by(step).collect();
    let (totals, faults) = tally.close();
    let report = Report {
        seed: options.seed,
        seconds: options.seconds,
        clients: options.clients,
        has_official,
        totals,
        before,
        highest,
        after,
        leaks: report::leaks(&before, &after),
        faults,
        samples,
    };
    let folder = options.out.clone().unwrap_or_else(|| root.join("artefacts/soak"));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("soak.json");
    std::fs::write(
        &path,
        serde_json::to_vec_pretty(&report).map_err(io::Error::other)?,
    )?;
    print!("{}", report.text());
    if report.is_clean() {
        return Ok(());
    }
    eprintln!("the server's last words:\n{}", server.last_words());
    Err(SoakError::Failed(path))
}

/// The server's program: an example that was built as this program was.
fn beside() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own
        .parent()
        .unwrap_or_else(|| Path::new("."))
        .join("examples/soak_server"))
}

struct Soak<'a> {
    options: &'a Options,
    server: &'a mut Server,
    root: &'a Path,
    has_official: bool,
    tally: &'a Tally,
    highest: Counts,
    samples: Vec<Counts>,
}

impl Soak<'_> {
    /// The warm-up, the load and the rest after each; what the server holds before and after the load.
    fn run(&mut self) -> Result<(Counts, Counts), SoakError> {
        self.load((self.options.seconds / 10).clamp(4, 30), "w")?;
        let before = self.rest(None)?;
        self.samples.clear();
        self.load(self.options.seconds, "l")?;
        Ok((before, self.rest(Some(&before))?))
    }

    /// All clients for so many seconds; the lives of the two rounds differ.
    fn load(&mut self, seconds: u64, round: &str) -> Result<(), SoakError> {
        let until = Instant::now() + Duration::from_secs(seconds);
        let (address, seed) = (self.server.address(), self.options.seed);
        let official = self
            .has_official
            .then(|| Official::start(self.root, address, seed, seconds, round))
            .transpose()?;
        let (clients, tally) = (self.options.clients, self.tally);
        let first = if round == "w" { 1 << 32 } else { 0 };
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let mut threads = Vec::with_capacity(clients);
            for client in 0..clients {
                let is_over = &is_over;
                let lives = move || live(address, seed, client, first, until, is_over, tally);
                let builder = thread::Builder::new().stack_size(STACK);
                threads.push(builder.spawn_scoped(scope, lives)?);
            }
            while threads.iter().any(|thread| !thread.is_finished()) {
                thread::sleep(Duration::from_secs(1));
                if let Err(error) = self.sample() {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(())
        })?;
        match official {
            Some(official) => Ok(official.finish(self.tally)?),
            None => Ok(()),
        }
    }

    fn sample(&mut self) -> Result<Counts, SoakError> {
        if !self.server.lives() {
            return Err(SoakError::Died {
                seed: self.options.seed,
                words: self.server.last_words(),
            });
        }
        self.tally.left(self.server.left()?);
        let counts = self.server.counts()?;
        self.highest = report::higher(&self.highest, &counts);
        self.samples.push(counts);
        Ok(counts)
    }

    /// Waits until the server holds nothing any more, or no less than before for a long time; what it holds then.
    fn rest(&mut self, before: Option<&Counts>) -> Result<Counts, SoakError> {
        let deadline = Instant::now() + REST;
        let mut last = self.sample()?;
        loop {
            thread::sleep(Duration::from_millis(500));
            let counts = self.sample()?;
            let is_quiet = match before {
                // Tasks and files that end by themselves have done so when their number stays.
                None => {
                    let is_still = (counts.tasks, counts.files) == (last.tasks, last.files);
                    is_still && report::leaks(&counts, &counts).is_empty()
                }
                Some(before) => report::leaks(before, &counts).is_empty() && self.tally.missing() == 0,
            };
            if is_quiet || Instant::now() > deadline {
                return Ok(counts);
            }
            last = counts;
        }
    }
}

/// The lives of one client.
fn live(
    address: SocketAddr,
    seed: u64,
    client: usize,
    first: u64,
    until: Instant,
    is_over: &AtomicBool,
    tally: &Tally,
) {
    let mut number = first;
    while Instant::now() < until && !is_over.load(Ordering::Relaxed) {
        let mut life = Life::new(address, seed, client, number);
        number += 1;
        let kind = life.kind.name();
        if let Err(fault) = life.live() {
            tally.fault(life.key(), kind, fault.to_string());
        }
        tally.ended(life.key(), kind, life.account);
    }
}
