//! The side-by-side benchmark of Gatewire and its peers: a single-threaded load generator, the starting and
//! measuring of the servers, and the report. It is a program of its own and shares no protocol code with the
//! crates it measures, so that a mistake there cannot hide here. See `bench/README.md`.

mod cli;
mod cluster;
mod load;
mod parts;
mod peers;
mod report;
mod run;
mod slow;
mod soak;
mod stats;
mod system;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match cli::parse() {
        Ok(cli::Command::Help) => {
            print!("{}{}", cli::HELP, soak::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(cli::Command::Run(options)) => run::run(&options),
        Ok(cli::Command::Load(options)) => run::load(&options),
        Ok(cli::Command::Cluster(options)) => cluster::run(&options),
        Ok(cli::Command::Slow(options)) => slow::run(&options),
        Ok(cli::Command::Soak(options)) => soak::run(&options).map_err(run::RunError::Soak),
        Err(error) => {
            eprintln!("{error}\n\n{}{}", cli::HELP, soak::HELP);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gatewire-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
