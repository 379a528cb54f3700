//! The command people type.
//!
//! Each sub-command is a file of its own; this one only finds it. Without one the demo runs.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod console;
mod demo;
mod handset;
mod run;
mod settings;

#[derive(Parser)]
#[command(
    name = "dialtone",
    version,
    about = "A home router in Rust",
    args_conflicts_with_subcommands = true
)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: demo::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Be a router in a simulated home inside this program (also without any sub-command).
    Demo(demo::Options),
    /// Be the router on this machine's interfaces.
    Run(run::Arguments),
    /// Be a telephone on a running router's line, in the terminal or in a browser.
    Handset(Box<handset::Arguments>),
    /// Ask a running router: status, devices, telephone, calls, counters, events, a packet trace.
    Console(console::Arguments),
    /// Read, change and explain settings, of a running router or of its flash file.
    Settings(settings::Arguments),
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"))
        .format_timestamp(None)
        .init();
    let line = Line::parse();
    let result = match line.command.unwrap_or(Command::Demo(line.demo)) {
        Command::Demo(options) => demo::run(&options),
        Command::Run(arguments) => run::run(&arguments),
        Command::Handset(arguments) => handset::run(&arguments),
        Command::Console(arguments) => console::run(&arguments),
        Command::Settings(arguments) => settings::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dialtone: {error}");
            ExitCode::FAILURE
        }
    }
}
