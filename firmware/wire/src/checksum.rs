//! The Internet checksum: summing it, and changing it without summing again.
//!
//! RFC 1071 sums and RFC 1624 (equation 3) deltas. A *sum* is folded to 16 bits and not inverted; a *checksum* is the
//! inverted sum that sits in a header. A field left `Partial` for a port to complete holds a sum: the
//! pseudo-header's (see `dialtone_base::frame::Checksum`).

use core::net::Ipv4Addr;

/// Folds carries until 16 bits remain.
#[inline(always)]
pub const fn fold(mut sum: u32) -> u16 {
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}

/// RFC 1071 sum of `bytes`, an odd last byte padded with zero.
pub fn sum(bytes: &[u8]) -> u16 {
    // Four bytes at a time into 64 bits: carries gather in the upper half and are folded once.
    let mut total: u64 = 0;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_be_bytes(*word));
    }
    total += match *rest {
        [a] => u64::from(a) << 24,
        [a, b] => u64::from(u16::from_be_bytes([a, b])) << 16,
        [a, b, c] => u64::from(u32::from_be_bytes([a, b, c, 0])),
        _ => 0,
    };
    total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 32) + (total & 0xffff_ffff);
    fold(total as u32)
}

/// The sum of two sums. The bytes behind `left` must be even in number.
#[inline]
pub const fn add(left: u16, right: u16) -> u16 {
    fold(left as u32 + right as u32)
}

/// Sum of the IPv4 pseudo-header of UDP and TCP: addresses, protocol, length of the L4 header and payload.
pub const fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: u16) -> u16 {
    let source = source.to_bits();
    let destination = destination.to_bits();
    let total = (source >> 16)
        + (source & 0xffff)
        + (destination >> 16)
        + (destination & 0xffff)
        + protocol as u32
        + length as u32;
    fold(total)
}

/// How a sum changes when words under it change. Deltas of several words add up, so a NAT record keeps one.
///
/// ```
/// use dialtone_wire::checksum::{Delta, sum};
/// let mut bytes = [0x45, 0, 0, 20, 1, 2, 3, 4];
/// let checksum = !sum(&bytes);
/// bytes[4..8].copy_from_slice(&[9, 8, 7, 6]);
/// let delta = Delta::u32(0x0102_0304, 0x0908_0706);
/// assert_eq!(delta.apply(checksum), !sum(&bytes));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta(u16);

impl Delta {
    /// Nothing changes.
    pub const NONE: Self = Self(0);

    /// One aligned 16-bit word changes.
    #[inline]
    pub const fn u16(old: u16, new: u16) -> Self {
        Self(fold(!old as u32 + new as u32))
    }

    /// One aligned 32-bit word changes, such as an address.
    #[inline]
    pub const fn u32(old: u32, new: u32) -> Self {
        let old = !old;
        Self(fold((old >> 16) + (old & 0xffff) + (new >> 16) + (new & 0xffff)))
    }

    /// This change and another one.
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(add(self.0, other.0))
    }

    /// The change that undoes this one.
    #[inline]
    pub const fn reversed(self) -> Self {
        Self(!self.0)
    }

    /// The same change when the word starts at an odd byte under the checksum (RFC 1071 section 2(B)).
    #[inline]
    pub const fn at_odd_byte(self) -> Self {
        Self(self.0.swap_bytes())
    }

    /// The new checksum: RFC 1624 equation 3, `~(~HC + ~m + m')`.
    #[inline(always)]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(!checksum as u32 + self.0 as u32)
    }

    /// The new sum in a field that is not inverted, as partial checksums are.
    #[inline(always)]
    pub const fn apply_to_sum(self, sum: u16) -> u16 {
        fold(sum as u32 + self.0 as u32)
    }

    /// The new checksum of UDP, where 0 means "none" and stays 0, and a checksum of 0 is sent as 0xffff (RFC 768).
    #[inline(always)]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            new => new,
        }
    }
}
