//! The chores of this repository: `cargo xtask setup`, `test`, `soak`, `bench`, `conformance`, `fuzz`. Plain std and the tools a developer has
//! anyway (cargo, node, npm); it is deliberately no build system: each chore is a short list of commands.

use std::env;
use std::process::ExitCode;

mod compile_time;
mod conformance;
mod fuzz;
mod process;
mod python;
mod setup;
mod soak;
mod test;

use process::{Failure, cargo, run};

const USAGE: &str = "\
usage: cargo xtask <chore>

  setup           install what the tests need: npm packages, and Chromium where apt can
  test            setup, then every test: Rust unit, integration and doc tests, then the interop suites
                  and a part of the Autobahn suite, and a short soak
  soak [seconds]  mixed load against a server, and whether anything is left of it (default 600)
  bench [args]    the side-by-side benchmark (see bench/README.md)
  compile-time    how long an application of 40 gateways with 10 events each takes to compile; two numbers choose others
  conformance [cases]
                  the Autobahn suite against `ws_echo` (default: all of it, a quarter of an hour)
  fuzz [seconds]  each fuzz target for that long (default 60)";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let chore = args.next();
    let rest: Vec<String> = args.collect();
    let outcome = match chore.as_deref() {
        Some("setup") => setup::setup(),
        Some("test") => test::test(),
        Some("soak") => soak::soak(rest.first().map(String::as_str)),
        Some("bench") => run(cargo(["run", "--release", "-p", "gatewire-bench", "--", "run"]).args(rest)),
        Some("compile-time") => compile_time::compile_time(&rest),
        Some("conformance") => conformance::conformance(rest.first().map(String::as_str)),
        Some("fuzz") => fuzz::fuzz(rest.first().map(String::as_str)),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure(USAGE.to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
