//! Every test of the repository in one go, with the totals at the end: Rust's unit, integration and doc tests, then
//! the suites of `interop/`, a part of the Autobahn suite and that of the Python client against the example programs just built,
//! and a short soak.

use std::fmt;
use std::ops::AddAssign;
use std::path::PathBuf;
use std::{env, fs};

use crate::conformance;
use crate::fuzz;
use crate::process::{Failure, cargo, command, find, in_ci, root, run, watch};
use crate::python;
use crate::setup::setup;
use crate::soak;

/// Installs, builds and tests; the last line printed is `N passed, N failed, N skipped`.
pub(crate) fn test() -> Result<(), Failure> {
    setup()?;
    fuzz::check_lock()?;
    // A link of the documentation that leads nowhere, for one.
    run(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    let mut totals = Totals::default();

    let mut rust = Totals::default();
    let rust_passed = watch(&mut cargo(["test", "--workspace", "--no-fail-fast"]), |line| {
        rust += rust_line(line)
    })?;
    totals += rust;

    run(&mut cargo([
        "build",
        "-p",
        "gatewire-examples",
        "--bins",
        "--examples",
    ]))?;
    let mut interop = Totals::default();
    let interop_passed = interop_suites(&mut interop)?;
    totals += interop;

    let mut autobahn = Totals::default();
    match conformance::test(&examples()?)? {
        Some(counts) => (autobahn.passed, autobahn.failed) = (counts.passed, counts.failed),
        None => autobahn.skipped = 1,
    }
    totals += autobahn;

    let mut python = Totals::default();
    match python::test(&examples()?)? {
        Some(counts) => (python.passed, python.failed) = (counts.passed, counts.failed),
        None => python.skipped = 1,
    }
    totals += python;

    let mut soaked = Totals::default();
    if soak::test()? {
        soaked.passed = 1;
    } else {
        soaked.failed = 1;
    }
    totals += soaked;

    println!(
        "\nRust:     {rust}\nInterop:  {interop}\nAutobahn: {autobahn}\nPython:   {python}\nSoak:     {soaked}\n\n{totals}"
    );
    if rust_passed && interop_passed && totals.failed == 0 {
        Ok(())
    } else {
        Err(Failure::new("some tests failed"))
    }
}

fn interop_suites(totals: &mut Totals) -> Result<bool, Failure> {
    if find("node").is_none() || !root().join("interop/node_modules").is_dir() {
        if in_ci() {
            return Err(Failure::new(
                "the interop suites cannot run without Node.js and their packages",
            ));
        }
        println!("skipped: the interop suites, without Node.js and their packages");
        return Ok(true);
    }
    // One suite after the other: heartbeats of 300 ms do not mix with a machine kept busy by the neighbours.
    let mut node = command("node");
    node.args(["--test", "--test-reporter=spec", "--test-concurrency=1"]);
    node.args(suites()?)
        .current_dir(root().join("interop"))
        .env("GATEWIRE_BIN_DIR", examples()?);
    watch(&mut node, |line| *totals += node_line(line))
}

/// The files of the suites, by name.
fn suites() -> Result<Vec<PathBuf>, Failure> {
    let folder = root().join("interop/test");
    let entries = fs::read_dir(&folder).map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.js"))
        .collect();
    files.sort();
    Ok(files)
}

/// Where cargo has put the example programs: beside this one.
fn examples() -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|error| Failure(format!("this program's own path: {error}")))?;
    Ok(own.parent().unwrap_or_else(|| root()).join("examples"))
}

/// How many tests went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// What a line of `cargo test` adds: `test result: ok. 3 passed; 0 failed; 1 ignored; ..`.
fn rust_line(line: &str) -> Totals {
    let Some(result) = line.strip_prefix("test result: ") else {
        return Totals::default();
    };
    let count = |what: &str| {
        let mut words = result.split([' ', ';']).filter(|word| !word.is_empty());
        let mut before = words.next();
        for word in words {
            if word == what {
                return before.and_then(|number| number.parse().ok()).unwrap_or(0);
            }
            before = Some(word);
        }
        0
    };
    Totals {
        passed: count("passed"),
        failed: count("failed"),
        skipped: count("ignored"),
    }
}

/// What a line of node's spec reporter adds: `ℹ pass 3`, `ℹ fail 0`, `ℹ cancelled 0`, `ℹ skipped 1`.
fn node_line(line: &str) -> Totals {
    let mut words = line.split_whitespace();
    let (Some("ℹ" | "#"), Some(what), Some(number), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Totals::default();
    };
    let number = number.parse().unwrap_or(0);
    match what {
        "pass" => Totals {
            passed: number,
            ..Totals::default()
        },
        "fail" | "cancelled" => Totals {
            failed: number,
            ..Totals::default()
        },
        "skipped" => Totals {
            skipped: number,
            ..Totals::default()
        },
        _ => Totals::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_totals_of_cargo() {
        for (line, passed, failed, skipped) in [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                12,
                0,
                1,
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
                3,
                2,
                0,
            ),
            ("test transports::polling ... ok", 0, 0, 0),
            ("running 3 tests", 0, 0, 0),
            ("", 0, 0, 0),
        ] {
            assert_eq!(
                rust_line(line),
                Totals {
                    passed,
                    failed,
                    skipped
                },
                "{line}"
            );
        }
    }

    #[test]
    fn reads_the_totals_of_node() {
        for (line, passed, failed, skipped) in [
            ("ℹ pass 52", 52, 0, 0),
            ("ℹ fail 2", 0, 2, 0),
            ("ℹ cancelled 1", 0, 1, 0),
            ("ℹ skipped 7", 0, 0, 7),
            ("ℹ tests 60", 0, 0, 0),
            ("  ✔ pass 3 (1.2ms)", 0, 0, 0),
            ("", 0, 0, 0),
        ] {
            assert_eq!(
                node_line(line),
                Totals {
                    passed,
                    failed,
                    skipped
                },
                "{line}"
            );
        }
    }
}
