//! User agents against each other and against a registrar, in virtual time, over a network that may lose.

extern crate std;

mod world;

mod calls;
mod registers;
mod torture;
