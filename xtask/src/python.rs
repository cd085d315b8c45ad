//! Suites in Python, installed by a script of theirs below `target/`; where that cannot be done it is said, and in CI it is
//! a failure. The one here is that of the client `websockets`; Autobahn's is in `conformance`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::process::{Failure, command, find, in_ci, root, run, watch};

/// What a suite in Python needs.
pub(crate) struct Suite {
    /// Its name, for people.
    pub(crate) name: &'static str,
    /// The script that installs it into the folder that it is given.
    pub(crate) setup: &'static str,
    /// The folder below `target/`.
    pub(crate) folder: &'static str,
    /// The minor versions of Python 3 that it runs on.
    pub(crate) versions: RangeInclusive<u32>,
}

/// How many cases went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

const WEBSOCKETS: Suite = Suite {
    name: "the suite of the Python client",
    setup: "interop/python/setup.sh",
    folder: "python",
    versions: 11..=14,
};

/// The suite of the Python client against the programs just built in `examples`. `None` if it is not there, which is an
/// error in CI.
pub(crate) fn test(examples: &Path) -> Result<Option<Counts>, Failure> {
    if !WEBSOCKETS.install()? {
        return Ok(None);
    }
    let mut suite = command(WEBSOCKETS.folder().join("bin/python"));
    suite
        .arg("interop/python/test_websockets.py")
        .current_dir(root())
        .env("GATEWIRE_BIN_DIR", examples);
    let mut counts = None;
    watch(&mut suite, |line| counts = counts_of(line).or(counts))?;
    counts
        .map(Some)
        .ok_or_else(|| Failure::new("the suite of the Python client ended without a result"))
}

impl Suite {
    /// Where it is.
    pub(crate) fn folder(&self) -> PathBuf {
        root().join("target").join(self.folder)
    }

    /// Whether it is installed; installs it if it can be.
    pub(crate) fn install(&self) -> Result<bool, Failure> {
        let missing = |what: &str| {
            if in_ci() {
                return Err(Failure::new(what));
            }
            println!("skipped: {}: {what}", self.name);
            Ok(false)
        };
        let (first, last) = (self.versions.start(), self.versions.end());
        let mut names = vec!["python3".to_owned()];
        names.extend(
            self.versions
                .clone()
                .rev()
                .map(|minor| format!("python3.{minor}")),
        );
        let Some(python) = names.into_iter().find(|name| self.runs_on(name)) else {
            return missing(&format!("no Python from 3.{first} to 3.{last} on the PATH"));
        };
        let mut setup = command("bash");
        setup.arg(self.setup).arg(self.folder()).env("PYTHON", python);
        match run(&mut setup) {
            Ok(()) => Ok(true),
            Err(Failure(error)) => missing(&error),
        }
    }

    fn runs_on(&self, python: &str) -> bool {
        let (first, last) = (self.versions.start(), self.versions.end());
        let check = format!(
            "import sys, venv, ensurepip; sys.exit(not (3, {first}) <= sys.version_info[:2] <= (3, {last}))"
        );
        find(python).is_some()
            && command(python)
                .args(["-c", &check])
                .output()
                .is_ok_and(|output| output.status.success())
    }
}

/// What the last line of a suite says: `301 passed, 0 failed`.
pub(crate) fn counts_of(line: &str) -> Option<Counts> {
    let (passed, failed) = line.strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Counts {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_line_of_a_suite() {
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
