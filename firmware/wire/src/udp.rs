//! The UDP header.
//!
//! RFC 768. A checksum of zero means "none" and is left alone.

use core::net::Ipv4Addr;

use crate::ipv4::Protocol;
use crate::{Malformed, checksum, read_u16, write_u16};

/// Bytes of the header.
pub const HEADER: usize = 8;
/// Where the checksum is, counted from the header's first byte.
pub const CHECKSUM_OFFSET: usize = 6;

/// View of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct UdpView<T>(T);

impl<T: AsRef<[u8]>> UdpView<T> {
    /// A view whose accessors do not panic; does not verify the checksum.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let view = Self(bytes);
        view.check_len()?;
        Ok(view)
    }

    /// Whether the datagram is all there.
    pub fn check_len(&self) -> Result<(), Malformed> {
        let bytes = self.0.as_ref();
        if bytes.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        let length = usize::from(self.len());
        if length < HEADER {
            return Err(Malformed::BadLength);
        }
        if length > bytes.len() { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// Where it comes from.
    pub fn source_port(&self) -> u16 {
        read_u16(self.0.as_ref(), 0)
    }

    /// Where it goes.
    pub fn destination_port(&self) -> u16 {
        read_u16(self.0.as_ref(), 2)
    }

    /// Bytes of header and payload, as the header says.
    #[allow(clippy::len_without_is_empty, reason = "a datagram always has a header")]
    pub fn len(&self) -> u16 {
        read_u16(self.0.as_ref(), 4)
    }

    /// The checksum, zero for none.
    pub fn checksum(&self) -> u16 {
        read_u16(self.0.as_ref(), CHECKSUM_OFFSET)
    }

    /// What it carries.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[HEADER..usize::from(self.len())]
    }

    /// Whether the checksum matches, or there is none.
    pub fn verify_checksum(&self, source: Ipv4Addr, destination: Ipv4Addr) -> bool {
        if self.checksum() == 0 {
            return true;
        }
        let length = self.len();
        let pseudo = checksum::pseudo_header(source, destination, Protocol::UDP.0, length);
        checksum::add(checksum::sum(&self.0.as_ref()[..usize::from(length)]), pseudo) == 0xffff
    }
}

/// Writes a header in front of the payload that already stands at `bytes[8..]`, which reaches to the end of `bytes`
/// (at most 65 535 bytes), with checksum.
///
/// # Panics
/// When `bytes` is shorter than [`HEADER`].
pub fn emit(bytes: &mut [u8], source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    write_u16(bytes, 0, source.1);
    write_u16(bytes, 2, destination.1);
    write_u16(bytes, 4, length);
    write_u16(bytes, CHECKSUM_OFFSET, 0);
    let pseudo = checksum::pseudo_header(source.0, destination.0, Protocol::UDP.0, length);
    let value = match !checksum::add(checksum::sum(bytes), pseudo) {
        0 => 0xffff,
        value => value,
    };
    write_u16(bytes, CHECKSUM_OFFSET, value);
}
