//! The fuzz body of the packet path.
#[doc(hidden)]
pub fn fuzz(_data: &[u8]) {}
