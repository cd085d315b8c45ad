//! The Autobahn suite for RFC 6455 and permessage-deflate, run against the example `ws_echo`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::process::{Failure, cargo, command, root, run, watch};
use crate::python::{Counts, Suite, counts_of};

/// More failures than this are no accident of a busy machine, so they are not tried again.
const RETRIED: usize = 10;

const AUTOBAHN: Suite = Suite {
    name: "the Autobahn suite",
    setup: "interop/autobahn/setup.sh",
    folder: "autobahn",
    versions: 10..=12,
};

/// Runs `cases` (all if absent) against a release build, and prints the table of the result.
pub(crate) fn conformance(cases: Option<&str>) -> Result<(), Failure> {
    if !AUTOBAHN.install()? {
        return Err(Failure::new("the Autobahn suite cannot be installed here"));
    }
    run(&mut cargo([
        "build",
        "--release",
        "-p",
        "gatewire-examples",
        "--example",
        "ws_echo",
    ]))?;
    let results = root().join("target/autobahn-results");
    let program = root().join("target/release/examples/ws_echo");
    let counts = run_cases(&program, cases.unwrap_or("all"), &results)?;
    let table = results.join("table.md");
    let table =
        fs::read_to_string(&table).map_err(|error| Failure(format!("{}: {error}", table.display())))?;
    println!("\n{table}");
    if counts.failed == 0 {
        Ok(())
    } else {
        Err(Failure::new("some cases failed"))
    }
}

/// The cases that are run with every change, against the programs just built in `examples`. `None` if the suite is not
/// there, which is an error in CI.
pub(crate) fn test(examples: &Path) -> Result<Option<Counts>, Failure> {
    if !AUTOBAHN.install()? {
        return Ok(None);
    }
    let results = root().join("target/autobahn-results");
    run_cases(&examples.join("ws_echo"), "test", &results).map(Some)
}

/// Runs the cases; what fails is run once more, for a case waits only half a second for its answer.
fn run_cases(program: &Path, cases: &str, results: &Path) -> Result<Counts, Failure> {
    let server = Server::start(program)?;
    let mut counts = run_once(&server.url, cases, results)?;
    let failed = fs::read_to_string(results.join("failed.txt")).unwrap_or_default();
    let again = failed.split(',').filter(|case| !case.is_empty()).count();
    if counts.failed > 0 && (1..=RETRIED).contains(&again) {
        println!("once more: {failed}");
        let second = run_once(&server.url, &failed, &results.join("again"))?;
        counts.passed += second.passed;
        counts.failed = second.failed;
    }
    Ok(counts)
}

fn run_once(url: &str, cases: &str, results: &Path) -> Result<Counts, Failure> {
    let mut suite = command("bash");
    suite
        .args(["interop/autobahn/run.sh", url])
        .arg(results)
        .arg(cases)
        .env("AUTOBAHN_DIR", AUTOBAHN.folder())
        .env("REQUIRE_DEFLATE", "1");
    let mut counts = None;
    watch(&mut suite, |line| counts = counts_of(line).or(counts))?;
    counts.ok_or_else(|| Failure::new("the Autobahn suite ended without a result"))
}

/// The program under test, ended with this value.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(program: &Path) -> Result<Self, Failure> {
        let failure = |what: &dyn std::fmt::Display| Failure(format!("{}: {what}", program.display()));
        let mut child = command(program)
            .envs([("PORT", "0"), ("HOST", "127.0.0.1")])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failure(&error))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(|error| failure(&error))?;
        }
        let address = line
            .trim_end()
            .strip_prefix("listening on http://")
            .map(str::to_owned);
        let mut server = Self {
            child,
            url: String::new(),
        };
        let address = address.ok_or_else(|| failure(&"it does not say where it listens"))?;
        server.url = format!("ws://{address}/");
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; the suite has said so then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
