//! The soak of `bench/`: mixed load against a server, and whether anything is left of it, lost or mixed up. Ten minutes by
//! itself, twenty seconds among the tests.

use crate::process::{Failure, cargo, run, watch};

/// The whole one, with optimised programs.
pub(crate) fn soak(seconds: Option<&str>) -> Result<(), Failure> {
    run(&mut cargo([
        "build",
        "--release",
        "-p",
        "gatewire-examples",
        "--example",
        "soak_server",
    ]))?;
    let seconds = seconds.unwrap_or("600");
    run(&mut cargo([
        "run",
        "--release",
        "-p",
        "gatewire-bench",
        "--",
        "soak",
        "--seconds",
        seconds,
    ]))
}

/// The short one, with the programs of the tests; whether all is well.
pub(crate) fn test() -> Result<bool, Failure> {
    let mut soak = cargo([
        "run",
        "-p",
        "gatewire-bench",
        "--",
        "soak",
        "--seconds",
        "20",
        "--clients",
        "40",
    ]);
    watch(&mut soak, |_| {})
}
