//! Linux as a board: its clock, its executor, its ports, its telephone lines.
//!
//! [`clock`] is the time driver behind `embassy-time`, real or virtual per thread; [`executor`] runs the firmware's
//! tasks and sleeps in epoll; [`port`] moves frames. The only crate that defines `__pender` and a time driver, so every host program (the
//! command, the demo, scenario tests) links it. `std` is welcome here, and so is `unsafe` with its `SAFETY:` line.

pub mod alsa;
mod bpf;
pub mod clock;
pub mod console;
pub mod custody;
pub mod entropy;
pub mod executor;
pub mod flash;
pub mod gpio;
pub mod handset;
pub mod interface;
pub mod line;
pub mod netlink;
pub mod port;
pub mod privileges;
pub mod signals;
pub mod socket;
pub mod virtio_header;
