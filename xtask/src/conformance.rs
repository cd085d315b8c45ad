//! The Autobahn suite for RFC 6455 and permessage-deflate, run against the example `ws_echo`. It is Python, installed by
//! `interop/autobahn/setup.sh` below `target/`; where that cannot be done it says so.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::process::{Failure, cargo, command, find, in_ci, root, run, watch};

/// More failures than this are no accident of a busy machine, so they are not tried again.
const RETRIED: usize = 10;

/// Runs `cases` (all if absent) against a release build, and prints the table of the result.
pub(crate) fn conformance(cases: Option<&str>) -> Result<(), Failure> {
    if !install()? {
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
    if !install()? {
        return Ok(None);
    }
    let results = root().join("target/autobahn-results");
    run_cases(&examples.join("ws_echo"), "test", &results).map(Some)
}

/// How many cases went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

fn folder() -> PathBuf {
    root().join("target/autobahn")
}

/// Whether the suite is installed; installs it if it can be.
fn install() -> Result<bool, Failure> {
    let missing = |what: &str| {
        if in_ci() {
            return Err(Failure::new(what));
        }
        println!("skipped: the Autobahn suite: {what}");
        Ok(false)
    };
    let names = ["python3", "python3.12", "python3.11", "python3.10"];
    let Some(python) = names.into_iter().find(|name| is_supported(name)) else {
        return missing("no Python from 3.10 to 3.12 on the PATH");
    };
    let mut setup = command("bash");
    setup
        .arg("interop/autobahn/setup.sh")
        .arg(folder())
        .env("PYTHON", python);
    match run(&mut setup) {
        Ok(()) => Ok(true),
        Err(Failure(error)) => missing(&error),
    }
}

fn is_supported(python: &str) -> bool {
    let check = "import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))";
    find(python).is_some()
        && command(python)
            .args(["-c", check])
            .output()
            .is_ok_and(|output| output.status.success())
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
        .env("AUTOBAHN_DIR", folder())
        .env("REQUIRE_DEFLATE", "1");
    let mut counts = None;
    watch(&mut suite, |line| counts = counts_of(line).or(counts))?;
    counts.ok_or_else(|| Failure::new("the Autobahn suite ended without a result"))
}

/// What the last line of the suite says: `301 passed, 0 failed`.
fn counts_of(line: &str) -> Option<Counts> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Counts {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_line_of_the_suite() {
        let counts = |passed, failed| Some(Counts { passed, failed });
        assert_eq!(counts_of("301 passed, 0 failed"), counts(301, 0));
        assert_eq!(counts_of("0 passed, 12 failed"), counts(0, 12));
        for line in [
            "",
            "  FAILED 3",
            "x passed, y failed",
            "1 passed, 0 failed, 0 skipped",
        ] {
            assert_eq!(counts_of(line), None, "{line}");
        }
    }
}
