//! What is measured, against whom, in one run.
//!
//! `dataplane` times the packet path on in-memory frames beside an ordinary NAT written here; `callgrind` counts its
//! instructions; `quick` is both, shortened, for every check. Figures of others are labelled as published.

mod baseline;
mod callgrind;
mod clock;
mod dataplane;
mod home;
mod table;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Cycles and nanoseconds per packet of the packet path, in memory.
    Dataplane {
        /// A tenth of the packets.
        #[arg(long)]
        quick: bool,
    },
    /// Instructions per packet, counted by valgrind.
    Callgrind {
        /// A fifth of the packets.
        #[arg(long)]
        quick: bool,
    },
    /// Everything that needs no root, shortened.
    Quick,
    /// What `callgrind` runs under valgrind.
    #[command(hide = true)]
    Drive(callgrind::Drive),
}

fn main() {
    match Arguments::parse().what {
        What::Dataplane { quick } => dataplane::run(quick),
        What::Callgrind { quick } => callgrind::run(quick),
        What::Quick => {
            dataplane::run(true);
            callgrind::run(true);
        }
        What::Drive(drive) => callgrind::drive(&drive),
    }
}
