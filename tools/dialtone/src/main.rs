//! The command people type.
//!
//! Each sub-command is a file of its own; this one only finds it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod run;

#[derive(Parser)]
#[command(name = "dialtone", version, about = "A home router in Rust")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Be the router on this machine's interfaces.
    Run(run::Arguments),
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"))
        .format_timestamp(None)
        .init();
    let result = match Line::parse().command {
        Command::Run(arguments) => run::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dialtone: {error}");
            ExitCode::FAILURE
        }
    }
}
