//! Bytes nobody can guess, from the kernel.

use std::io;

use dialtone_base::Seed;

/// A seed from getrandom(2). Waits on a machine that has just started and gathered no entropy yet.
///
/// # Errors
/// On kernels without getrandom (before 3.17).
pub fn seed() -> io::Result<Seed> {
    let mut bytes = [0; 32];
    // SAFETY: the pointer and length describe `bytes`. 32 bytes come whole or not at all.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if count == bytes.len() as isize { Ok(Seed(bytes)) } else { Err(io::Error::last_os_error()) }
}
