//! Bytes and packets per device, by MAC address.
//!
//! A flow keeps a [`DeviceHandle`], so counting a packet is one bounds check and two additions. Bounded: when the table
//! is full, the longest silent of a few devices makes room if it was silent for a minute; otherwise the newcomer is
//! counted together with everybody else who found no room, under [`DeviceHandle::OTHERS`].

use alloc::boxed::Box;

use dialtone_base::{Duration, Instant, MacAddress, Random, Zone};

use crate::slots::{Slots, StationKey};

/// Names a device in the table; stays valid until the device made room for another, and then counts for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceHandle {
    index: u16,
    generation: u16,
}

impl DeviceHandle {
    /// Everybody who found no room.
    pub const OTHERS: Self = Self { index: 0, generation: 0 };
    /// Counts for nobody: the router's own packets.
    pub const NOBODY: Self = Self { index: u16::MAX, generation: 0 };

    /// Below the table's capacity plus one, for tables beside this one; a later device may get the same index.
    #[inline]
    pub const fn index(self) -> u16 {
        self.index
    }
}

/// What one device moved. "Sent" and "received" are the device's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The device; zero for everybody who found no room.
    pub mac: MacAddress,
    /// On which network.
    pub zone: Zone,
    /// Bytes the device sent through the router.
    pub sent_bytes: u64,
    /// Packets it sent.
    pub sent_packets: u64,
    /// Bytes it received.
    pub received_bytes: u64,
    /// Packets it received.
    pub received_packets: u64,
    /// First packet.
    pub first_seen: Instant,
    /// Last packet it sent: what is sent to it does not show that it is there.
    pub last_seen: Instant,
}

/// Usage by device.
pub struct Accounting {
    slots: Slots<StationKey, u16>,
    /// By slot plus one; the first is [`DeviceHandle::OTHERS`].
    records: Box<[Record]>,
}

#[derive(Clone, Copy)]
struct Record {
    generation: u16,
    usage: Usage,
}

/// Slots looked at for one newcomer.
const LOOK_AT: usize = 16;
/// A device heard of within this time keeps its place.
const KEEPS_PLACE: Duration = Duration::from_secs(60);

impl Accounting {
    /// Room for `capacity` devices and the others.
    pub fn new(capacity: usize, random: &mut Random) -> Self {
        let slots: Slots<StationKey, u16> = Slots::new(capacity.min(usize::from(u16::MAX) - 1), random);
        let empty = Record { generation: 0, usage: Usage::new(Instant::START, Zone::Lan, MacAddress::ZERO) };
        let records = alloc::vec![empty; slots.capacity() + 1].into_boxed_slice();
        Self { slots, records }
    }

    /// The device's handle; makes a place for it when it is new.
    pub fn device(&mut self, now: Instant, zone: Zone, mac: MacAddress) -> DeviceHandle {
        let key = StationKey(zone, mac);
        if let Some(index) = self.slots.find(key) {
            return self.handle(index);
        }
        if !mac.is_station() {
            return DeviceHandle::OTHERS;
        }
        if self.slots.len() == self.slots.capacity() {
            let silent = |index: &usize| self.records.get(index + 1).map(|record| record.usage.last_seen);
            let oldest = self.slots.candidates(LOOK_AT).min_by_key(silent);
            match oldest {
                Some(index) if silent(&index).is_some_and(|last| now.since(last) >= KEEPS_PLACE) => {
                    self.slots.remove(index);
                }
                _ => return DeviceHandle::OTHERS,
            }
        }
        let Some(index) = self.slots.insert(key, 0) else { return DeviceHandle::OTHERS };
        if let Some(record) = self.records.get_mut(index + 1) {
            record.generation = record.generation.wrapping_add(1);
            record.usage = Usage::new(now, zone, mac);
        }
        self.handle(index)
    }

    /// The device sent `packets` packets of `bytes` bytes together.
    #[inline]
    pub fn sent(&mut self, now: Instant, device: DeviceHandle, packets: u64, bytes: u64) {
        if let Some(usage) = self.usage_mut(device) {
            usage.sent_packets += packets;
            usage.sent_bytes += bytes;
            usage.last_seen = now;
        }
    }

    /// The device received `packets` packets of `bytes` bytes together.
    #[inline]
    pub fn received(&mut self, device: DeviceHandle, packets: u64, bytes: u64) {
        if let Some(usage) = self.usage_mut(device) {
            usage.received_packets += packets;
            usage.received_bytes += bytes;
        }
    }

    /// What a device moved so far; `None` when it made room for another.
    pub fn usage(&self, device: DeviceHandle) -> Option<&Usage> {
        let record = self.records.get(usize::from(device.index))?;
        (record.generation == device.generation).then_some(&record.usage)
    }

    /// When a device last sent something.
    pub fn last_seen(&self, zone: Zone, mac: MacAddress) -> Option<Instant> {
        let record = self.records.get(self.slots.find(StationKey(zone, mac))? + 1)?;
        Some(record.usage.last_seen)
    }

    /// Every device, and everybody else if there was anybody.
    pub fn devices(&self) -> impl Iterator<Item = &Usage> + '_ {
        let others = self.usage(DeviceHandle::OTHERS);
        let others = others.filter(|usage| usage.sent_packets + usage.received_packets > 0);
        let known = self.slots.iter().filter_map(|(index, ..)| self.records.get(index + 1));
        known.map(|record| &record.usage).chain(others)
    }

    /// Devices with a place of their own.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no device has a place.
    pub fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    fn handle(&self, slot: usize) -> DeviceHandle {
        let generation = self.records.get(slot + 1).map_or(0, |record| record.generation);
        DeviceHandle { index: slot as u16 + 1, generation }
    }

    #[inline]
    fn usage_mut(&mut self, device: DeviceHandle) -> Option<&mut Usage> {
        let record = self.records.get_mut(usize::from(device.index))?;
        (record.generation == device.generation).then_some(&mut record.usage)
    }
}

impl Usage {
    const fn new(now: Instant, zone: Zone, mac: MacAddress) -> Self {
        Self {
            mac,
            zone,
            sent_bytes: 0,
            sent_packets: 0,
            received_bytes: 0,
            received_packets: 0,
            first_seen: now,
            last_seen: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use dialtone_base::Seed;

    use super::*;

    fn accounting(capacity: usize) -> Accounting {
        Accounting::new(capacity, &mut Random::new(Seed::from_number(2)))
    }

    fn mac(number: u8) -> MacAddress {
        MacAddress([2, 0, 0, 0, 0, number])
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn each_device_has_its_own_counters_in_both_directions() {
        let mut table = accounting(4);
        let laptop = table.device(at(0), Zone::Lan, mac(1));
        let phone = table.device(at(0), Zone::Lan, mac(2));
        table.sent(at(1), laptop, 1, 100);
        table.sent(at(2), laptop, 2, 3000);
        table.received(laptop, 1, 60);
        table.received(phone, 1, 7);
        let usage = table.usage(laptop).unwrap();
        assert_eq!((usage.sent_packets, usage.sent_bytes), (3, 3100));
        assert_eq!((usage.received_packets, usage.received_bytes), (1, 60));
        assert_eq!((usage.first_seen, usage.last_seen), (at(0), at(2)));
        assert_eq!(table.usage(phone).unwrap().received_bytes, 7);
        assert_eq!(table.device(at(9), Zone::Lan, mac(1)), laptop);
        assert_eq!(table.devices().count(), 2);
    }

    #[test]
    fn without_room_newcomers_are_counted_together_until_somebody_was_silent_for_a_minute() {
        let mut table = accounting(2);
        let first = table.device(at(0), Zone::Lan, mac(1));
        let second = table.device(at(0), Zone::Lan, mac(2));
        table.sent(at(50), second, 1, 10);
        let third = table.device(at(55), Zone::Lan, mac(3));
        assert_eq!(third, DeviceHandle::OTHERS);
        table.sent(at(55), third, 1, 500);
        assert_eq!(table.devices().map(|usage| usage.sent_bytes).sum::<u64>(), 510);

        let third = table.device(at(61), Zone::Lan, mac(3));
        assert_ne!(third, DeviceHandle::OTHERS);
        // The first made room; a flow that still holds its handle counts for nobody.
        assert_eq!(table.usage(first), None);
        table.sent(at(62), first, 1, 1000);
        assert_eq!(table.usage(third).unwrap().sent_bytes, 0);
        assert_eq!(table.len(), 2);
    }
}
