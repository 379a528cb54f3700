//! Any sequence of sightings, leases and names.

use dialtone_base::text::Text;
use dialtone_base::{Instant, MacAddress, PortId, Zone};

use crate::{Devices, Given, Input, Output};

/// Bytes as a sequence of inputs; the table's promises hold after each.
pub fn fuzz(data: &[u8]) {
    let mut devices = Devices::new(8, Text::lossy("dialtone"));
    let mut rest = data;
    let mut now = Instant::START;
    while let Some(([kind, a, b, length], tail)) = rest.split_first_chunk::<4>() {
        let (name, tail) = tail.split_at(tail.len().min(usize::from(length % 70)));
        rest = tail;
        now = Instant::from_micros(now.as_micros() + u64::from(*b) * 400_000);
        let mac = MacAddress([a & 3, 0, 0, 0, 0, a % 16]);
        let address = [10, 0, 0, b % 16].into();
        let zone = if a & 4 == 0 { Zone::Lan } else { Zone::Guest };
        let name = Text::<63>::from_wire(name);
        // A refusal is an ordinary outcome.
        let _ = match kind % 5 {
            0 => devices.handle(now, Input::Seen { mac, zone, port: PortId(b % 4), at: now }),
            1 => devices.handle(now, Input::Leased { mac, zone, address, name: &name }),
            2 => devices.handle(now, Input::LeaseEnded { address }),
            3 => devices.handle(now, Input::LinkDown(PortId(b % 4))),
            _ => devices.handle(now, Input::Given(&[Given { mac, name, address, zone }])),
        };
        if kind & 0x80 == 0 {
            while !matches!(devices.poll(now), Output::Wait(_)) {}
        }
        check(&devices);
    }
}

fn check(devices: &Devices) {
    assert!(devices.iter().count() <= 8, "the table is bounded");
    for (index, device) in devices.iter().enumerate() {
        let others = || devices.iter().skip(index + 1);
        assert!(others().all(|other| other.mac != device.mac), "a device is there once");
        assert!(device.address.is_none() || others().all(|other| other.address != device.address));
        if device.label.is_empty() {
            continue;
        }
        assert!(others().all(|other| other.label != device.label), "labels are unique");
        let ldh = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(device.label.bytes().all(ldh) && device.label.as_str() != "dialtone");
        assert!(!device.label.starts_with('-') && !device.label.ends_with('-'));
    }
}
