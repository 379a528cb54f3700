//! Which external ports are free, and which one a new mapping gets.
//!
//! RFC 4787 REQ-3 (no overloading, classes 0–1023 and 1024–65535 kept) and REQ-4 (parity kept): the inside port itself
//! where it is free; else a random free one of its class and parity; else a random free one of its class. RFC 6056 asks
//! for randomness. ICMP identifiers have neither class nor parity.

use alloc::boxed::Box;
use alloc::vec;

use dialtone_base::Random;

const WORDS: usize = 65_536 / 64;
/// Port 0 is none.
const FIRST_LOW: usize = 1;
const FIRST_HIGH: usize = 1024;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// Ports of one protocol at the external address.
pub(crate) struct PortAllocator {
    /// A set bit is a port in use.
    used: Box<[u64]>,
    /// Whether classes and parity count.
    ports: bool,
}

impl PortAllocator {
    /// `ports` is false for ICMP identifiers.
    pub(crate) fn new(ports: bool) -> Self {
        Self { used: vec![0; WORDS].into_boxed_slice(), ports }
    }

    pub(crate) fn is_used(&self, port: u16) -> bool {
        self.used.get(port as usize / 64).is_none_or(|word| word >> (port % 64) & 1 != 0)
    }

    /// Marks a port in use; `false` when it was.
    pub(crate) fn take(&mut self, port: u16) -> bool {
        let free = !self.is_used(port);
        if let Some(word) = self.used.get_mut(port as usize / 64) {
            *word |= 1 << (port % 64);
        }
        free
    }

    pub(crate) fn release(&mut self, port: u16) {
        if let Some(word) = self.used.get_mut(port as usize / 64) {
            *word &= !(1 << (port % 64));
        }
    }

    /// Takes a port for `wanted`; `is_reserved` ports only go to those who ask for them through a forward. `None` when
    /// the class has no free port.
    pub(crate) fn allocate(
        &mut self,
        wanted: u16,
        random: &mut Random,
        is_reserved: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let preserved = (wanted != 0 || !self.ports) && !self.is_used(wanted) && !is_reserved(wanted);
        let port = if preserved {
            Some(wanted)
        } else {
            let parity = if wanted.is_multiple_of(2) { EVEN } else { !EVEN };
            let same_parity = self.ports.then(|| self.search(wanted, parity, random, &is_reserved)).flatten();
            same_parity.or_else(|| self.search(wanted, u64::MAX, random, &is_reserved))
        }?;
        self.take(port);
        Some(port)
    }

    /// A random free port of `wanted`'s class and of `parity`. At most one pass over the class, 64 ports at a time.
    fn search(
        &self,
        wanted: u16,
        parity: u64,
        random: &mut Random,
        is_reserved: &impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let (first, last) = match (self.ports, usize::from(wanted)) {
            (false, _) => (0, WORDS * 64 - 1),
            (true, wanted) if wanted < FIRST_HIGH => (FIRST_LOW, FIRST_HIGH - 1),
            (true, _) => (FIRST_HIGH, WORDS * 64 - 1),
        };
        let words = last / 64 - first / 64 + 1;
        let start = random.below(words as u32) as usize;
        let turn = random.below(64);
        for step in 0..words {
            let at = first / 64 + (start + step) % words;
            let used = self.used.get(at)?;
            let mut free = !used & parity;
            while free != 0 {
                // From a random bit on, round the word.
                let bit = (free.rotate_right(turn).trailing_zeros() + turn) % 64;
                let port = at * 64 + bit as usize;
                if port >= first && !is_reserved(port as u16) {
                    return Some(port as u16);
                }
                free &= !(1 << bit);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use dialtone_base::Seed;

    use super::*;

    fn never(_: u16) -> bool {
        false
    }

    #[test]
    fn the_inside_port_is_kept_where_it_is_free_rfc4787_req_3() {
        let mut ports = PortAllocator::new(true);
        let mut random = Random::new(Seed::from_number(1));
        assert_eq!(ports.allocate(5_000, &mut random, never), Some(5_000));
        assert_ne!(ports.allocate(5_000, &mut random, never), Some(5_000));
    }

    #[test]
    fn class_and_parity_are_kept_rfc4787_req_3_req_4() {
        let mut ports = PortAllocator::new(true);
        let mut random = Random::new(Seed::from_number(2));
        for wanted in [500, 501, 5_000, 5_001] {
            for _ in 0..200 {
                let port = ports.allocate(wanted, &mut random, never).unwrap();
                assert_eq!(port % 2, wanted % 2);
                assert_eq!(port < 1024, wanted < 1024);
                assert_ne!(port, 0);
            }
        }
    }

    #[test]
    fn no_port_is_given_twice_until_the_class_is_empty_rfc4787_req_3() {
        let mut ports = PortAllocator::new(true);
        let mut random = Random::new(Seed::from_number(3));
        let given = core::iter::from_fn(|| ports.allocate(7, &mut random, never)).count();
        assert_eq!(given, 1023);
        let given = core::iter::from_fn(|| ports.allocate(2_000, &mut random, never)).count();
        assert_eq!(given, 64_512);
        ports.release(40_000);
        assert_eq!(ports.allocate(2_001, &mut random, never), Some(40_000));
    }

    #[test]
    fn reserved_ports_are_left_alone() {
        let mut ports = PortAllocator::new(true);
        let mut random = Random::new(Seed::from_number(4));
        let port = ports.allocate(443, &mut random, |port| port == 443).unwrap();
        assert_ne!(port, 443);
    }
}
