//! What is measured, against whom, in one run.
//!
//! `dataplane` times the packet path on in-memory frames beside an ordinary NAT written here; `callgrind` counts its
//! instructions; `host` and `dns` measure `dialtone run` beside the kernel and dnsmasq; `echo`, `voice` and `call` are about
//! telephony; `quick` is all of it, shortened, for every check. Figures of others are labelled as published.

mod baseline;
mod call;
mod callgrind;
mod clock;
mod dataplane;
mod echo;
mod home;
mod host;
mod table;
mod voice;

use clap::{Parser, Subcommand};

use host::{Effort, Part};

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
    /// `dialtone run` between namespaces beside nftables: packets, TCP, round trips. Needs root.
    Host(host::Choice),
    /// Cached answers and leases of `dialtone run` beside dnsmasq. Needs root.
    Dns(host::Choice),
    /// The line echo canceller on the line models of G.168, beside Speex and OSLEC.
    Echo {
        /// Three lines instead of eight.
        #[arg(long)]
        quick: bool,
    },
    /// What a call costs, per codec, with its echo canceller.
    Voice {
        /// A sixth of the frames.
        #[arg(long)]
        quick: bool,
    },
    /// Calls of `dialtone run` in real time: processor time beside baresip's, calls at once, set-up. Needs root.
    Call {
        /// Seconds instead of minutes.
        #[arg(long)]
        quick: bool,
        /// Only these.
        #[arg(long, value_delimiter = ',')]
        only: Vec<call::Part>,
    },
    /// The kernel and dnsmasq beside themselves: how far ratios wander on this machine. Needs root.
    Control,
    /// Everything, shortened.
    Quick,
    /// Everything.
    All,
    /// What `callgrind` runs under valgrind.
    #[command(hide = true)]
    Drive(callgrind::Drive),
    /// What `voice` runs under valgrind.
    #[command(hide = true)]
    DriveVoice(voice::DriveVoice),
}

fn main() {
    match Arguments::parse().what {
        What::Dataplane { quick } => dataplane::run(quick),
        What::Callgrind { quick } => callgrind::run(quick),
        What::Echo { quick } => echo::run(quick),
        What::Voice { quick } => voice::run(quick),
        What::Call { quick, only } => call::run(quick, &only),
        What::Quick => {
            dataplane::run(true);
            callgrind::run(true);
            echo::run(true);
            voice::run(true);
            call::run(true, call::ALL);
            host::run(Effort::quick(), &[Part::Packets, Part::Services]);
        }
        What::All => {
            dataplane::run(false);
            callgrind::run(false);
            echo::run(false);
            voice::run(false);
            call::run(false, call::ALL);
            host::run(Effort::full(), &[Part::Packets, Part::Services]);
        }
        What::Host(choice) => host::run(choice.into(), &[Part::Packets]),
        What::Dns(choice) => host::run(choice.into(), &[Part::Services]),
        What::Control => host::run(Effort::control(), &[Part::Packets, Part::Services]),
        What::Drive(drive) => callgrind::drive(&drive),
        What::DriveVoice(drive) => voice::drive(&drive),
    }
}
