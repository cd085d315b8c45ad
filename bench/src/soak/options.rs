//! The options of `soak`.

use std::path::PathBuf;

use lexopt::Parser;
use lexopt::prelude::{Long, Short, ValueExt};

/// What `--help` prints of it.
pub(crate) const HELP: &str = "\
  gatewire-bench soak [options]    mixed load against a server of its own; what it leaves behind, loses or mixes up
      --seconds N      how long, without the warm-up before and the rest after it (600)
      --clients N      clients at a time (80)
      --seed N         repeats the plan of an earlier run (another one each time)
      --program PATH   the server (examples/soak_server beside this program)
      --out FOLDER     where soak.json goes (artefacts/soak)
      --no-official    without the official clients, which need Node
";

/// The longest run, in seconds.
const LONGEST: u64 = 24 * 3_600;

/// Options of `soak`.
#[derive(Debug)]
pub(crate) struct Options {
    /// How long the load goes on, in seconds.
    pub(crate) seconds: u64,
    /// How many clients there are at a time.
    pub(crate) clients: usize,
    /// What repeats the plan.
    pub(crate) seed: u64,
    /// The server, if not the one beside this program.
    pub(crate) program: Option<PathBuf>,
    /// Where the report goes.
    pub(crate) out: Option<PathBuf>,
    /// Whether official clients take part.
    pub(crate) has_official: bool,
}

impl Options {
    /// Reads the arguments; `None` if help was asked for.
    pub(crate) fn parse(parser: &mut Parser) -> Result<Option<Self>, lexopt::Error> {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut options = Self {
            seconds: 600,
            clients: 80,
            seed: now.as_nanos() as u64 % 1_000_000_000,
            program: None,
            out: None,
            has_official: true,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Long("seconds") => options.seconds = parser.value()?.parse::<u64>()?.clamp(1, LONGEST),
                Long("clients") => options.clients = parser.value()?.parse::<usize>()?.clamp(1, 2_000),
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("program") => options.program = Some(parser.value()?.into()),
                Long("out") => options.out = Some(parser.value()?.into()),
                Long("no-official") => options.has_official = false,
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }
}
