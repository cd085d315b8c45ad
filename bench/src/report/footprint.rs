//! Build times and sizes.

use std::fmt::Write as _;

use serde::Serialize;

/// What small programs take to build and to store.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Footprint {
    /// The programs.
    pub(crate) programs: Vec<Program>,
}

/// One program.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    /// Whose.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) title: &'static str,
    /// How long its own crate takes to build, all others being built, in seconds.
    pub(crate) seconds: f64,
    /// How large it is, in bytes.
    pub(crate) bytes: u64,
    /// The same without symbols.
    pub(crate) stripped: Option<u64>,
}

impl Footprint {
    pub(super) fn put_markdown(&self, text: &mut String) {
        *text += "With thin link-time optimisation, on one CPU; the own crate alone, when what it depends on is built.\n\n\
                  | program | build | size | without symbols |\n|---|---:|---:|---:|\n";
        for program in &self.programs {
            let stripped = program.stripped.map_or_else(|| "–".to_owned(), mib);
            let _ = writeln!(
                text,
                "| {}: {} | {:.1} s | {} | {stripped} |",
                program.name,
                program.title,
                program.seconds,
                mib(program.bytes)
            );
        }
    }
}

impl Program {
    /// One line about it.
    pub(crate) fn describe(&self) -> String {
        format!("{:.1} s, {}", self.seconds, mib(self.bytes))
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}
