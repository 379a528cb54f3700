//! User agents against each other and against a registrar, in virtual time, over a network that may lose.

extern crate std;

mod world;

mod abuse;
mod calls;
mod herd;
mod in_calls;
mod long;
mod registers;
mod scripted;
mod torture;
