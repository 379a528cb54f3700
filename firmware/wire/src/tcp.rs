//! The TCP header: flags, sequence numbers, the MSS option.
//!
//! RFC 9293; MSS clamping as every home router does it (RFC 4459 section 3.2). No other option is interpreted.

use core::fmt;
use core::net::Ipv4Addr;

use dialtone_base::frame::Checksum;

use crate::checksum::{self, Delta};
use crate::ipv4::Protocol;
use crate::{Malformed, read_u16, read_u32, write_u16};

/// Bytes of the header without options.
pub const HEADER: usize = 20;
/// Where the checksum is, counted from the header's first byte.
pub const CHECKSUM_OFFSET: usize = 16;

/// The flags of a segment.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);

    /// Whether any flag of `other` is set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These flags and those.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// SYN without ACK: asks for a connection.
    pub const fn is_opening(self) -> bool {
        self.0 & (Self::SYN.0 | Self::ACK.0 | Self::RST.0) == Self::SYN.0
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::FIN, 'F'),
            (Self::SYN, 'S'),
            (Self::RST, 'R'),
            (Self::PSH, 'P'),
            (Self::ACK, 'A'),
            (Self::URG, 'U'),
        ];
        for (flag, letter) in names {
            if self.has(flag) {
                fmt::Write::write_char(f, letter)?;
            }
        }
        Ok(())
    }
}

/// View of a segment.
#[derive(Clone, Copy, Debug)]
pub struct TcpView<T>(T);

impl<T: AsRef<[u8]>> TcpView<T> {
    /// A view whose accessors do not panic; does not verify the checksum.
    pub fn new_checked(bytes: T) -> Result<Self, Malformed> {
        let view = Self(bytes);
        view.check_len()?;
        Ok(view)
    }

    /// Whether the header is all there.
    pub fn check_len(&self) -> Result<(), Malformed> {
        let bytes = self.0.as_ref();
        if bytes.len() < HEADER {
            return Err(Malformed::Truncated);
        }
        if self.header_len() < HEADER {
            return Err(Malformed::BadLength);
        }
        if self.header_len() > bytes.len() { Err(Malformed::Truncated) } else { Ok(()) }
    }

    /// Where it comes from.
    pub fn source_port(&self) -> u16 {
        read_u16(self.0.as_ref(), 0)
    }

    /// Where it goes.
    pub fn destination_port(&self) -> u16 {
        read_u16(self.0.as_ref(), 2)
    }

    /// Number of the first payload byte.
    pub fn sequence(&self) -> u32 {
        read_u32(self.0.as_ref(), 4)
    }

    /// The next byte the sender expects.
    pub fn acknowledgment(&self) -> u32 {
        read_u32(self.0.as_ref(), 8)
    }

    /// Bytes of the header with options, 20 to 60.
    pub fn header_len(&self) -> usize {
        usize::from(self.0.as_ref()[12] >> 4) * 4
    }

    /// The flags.
    pub fn flags(&self) -> TcpFlags {
        TcpFlags(self.0.as_ref()[13])
    }

    /// The window, unscaled.
    pub fn window(&self) -> u16 {
        read_u16(self.0.as_ref(), 14)
    }

    /// The checksum.
    pub fn checksum(&self) -> u16 {
        read_u16(self.0.as_ref(), CHECKSUM_OFFSET)
    }

    /// What it carries.
    pub fn payload(&self) -> &[u8] {
        &self.0.as_ref()[self.header_len()..]
    }

    /// Whether the checksum matches; the bytes must end with the segment.
    pub fn verify_checksum(&self, source: Ipv4Addr, destination: Ipv4Addr) -> bool {
        let bytes = self.0.as_ref();
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let pseudo = checksum::pseudo_header(source, destination, Protocol::TCP.0, length);
        checksum::add(checksum::sum(bytes), pseudo) == 0xffff
    }

    /// The maximum segment size the sender asks for.
    pub fn mss(&self) -> Option<u16> {
        self.mss_offset().map(|at| read_u16(self.0.as_ref(), at))
    }

    /// Where the two bytes of the MSS are; malformed options end the search.
    fn mss_offset(&self) -> Option<usize> {
        let header = &self.0.as_ref()[..self.header_len()];
        let mut at = HEADER;
        loop {
            match *header.get(at)? {
                0 => return None,
                1 => at += 1,
                kind => {
                    let length = usize::from(*header.get(at + 1)?);
                    if kind == 2 && length == 4 && at + 4 <= header.len() {
                        return Some(at + 2);
                    }
                    if length < 2 {
                        return None;
                    }
                    at += length;
                }
            }
        }
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> TcpView<T> {
    /// Lowers the MSS to `limit` when it is above, and mends the checksum unless a port still has to complete it.
    /// Whether something changed. Only sensible on segments with SYN.
    pub fn clamp_mss(&mut self, limit: u16, state: Checksum) -> bool {
        let Some(at) = self.mss_offset() else { return false };
        let old = read_u16(self.0.as_ref(), at);
        if old <= limit {
            return false;
        }
        write_u16(self.0.as_mut(), at, limit);
        if state == Checksum::Complete {
            let delta = Delta::u16(old, limit);
            let delta = if at % 2 == 1 { delta.at_odd_byte() } else { delta };
            let checksum = delta.apply(self.checksum());
            write_u16(self.0.as_mut(), CHECKSUM_OFFSET, checksum);
        }
        true
    }
}
