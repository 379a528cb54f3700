//! The tree's parts as flash knows them: a number, a version, bytes.
//!
//! Numbers are never used twice. A section whose shape changes gets a higher version and keeps a reader for the older
//! ones in `decode`; in postcard the fields have no names, only an order.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::tree::{Settings, Telephony};

/// A part of the tree that is stored on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    System,
    Wan,
    Lan,
    Guest,
    Reservations,
    Dns,
    Nat,
    Firewall,
    Telephony,
    PhoneBook,
}

impl Section {
    pub(super) const ALL: [Self; 10] = [
        Self::System,
        Self::Wan,
        Self::Lan,
        Self::Guest,
        Self::Reservations,
        Self::Dns,
        Self::Nat,
        Self::Firewall,
        Self::Telephony,
        Self::PhoneBook,
    ];

    /// Its number in flash, for ever.
    pub(super) const fn id(self) -> u8 {
        match self {
            Self::System => 1,
            Self::Wan => 2,
            Self::Lan => 3,
            Self::Guest => 4,
            Self::Reservations => 5,
            Self::Dns => 6,
            Self::Nat => 7,
            Self::Firewall => 8,
            Self::Telephony => 9,
            Self::PhoneBook => 10,
        }
    }

    /// The version this firmware writes.
    pub(super) const fn version(self) -> u8 {
        1
    }

    /// Its bytes into `out`, which is emptied first.
    pub(super) fn encode(self, tree: &Settings, out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        match self {
            Self::System => write(&tree.system, out),
            Self::Wan => write(&tree.wan, out),
            Self::Lan => write(&tree.lan, out),
            Self::Guest => write(&tree.guest, out),
            Self::Reservations => write(&tree.reservations, out),
            Self::Dns => write(&tree.dns, out),
            Self::Nat => write(&tree.nat, out),
            Self::Firewall => write(&tree.firewall, out),
            Self::Telephony => write(&without_phone_book(&tree.telephony), out),
            Self::PhoneBook => write(&tree.telephony.phone_book, out),
        }
    }

    /// From bytes of `version` into the tree; `None` when they are no such section.
    pub(super) fn decode(self, version: u8, bytes: &[u8], tree: &mut Settings) -> Option<()> {
        if version != self.version() {
            return None;
        }
        match self {
            Self::System => read(bytes, &mut tree.system),
            Self::Wan => read(bytes, &mut tree.wan),
            Self::Lan => read(bytes, &mut tree.lan),
            Self::Guest => read(bytes, &mut tree.guest),
            Self::Reservations => read(bytes, &mut tree.reservations),
            Self::Dns => read(bytes, &mut tree.dns),
            Self::Nat => read(bytes, &mut tree.nat),
            Self::Firewall => read(bytes, &mut tree.firewall),
            Self::Telephony => {
                let phone_book = core::mem::take(&mut tree.telephony.phone_book);
                let done = read(bytes, &mut tree.telephony);
                tree.telephony.phone_book = phone_book;
                done
            }
            Self::PhoneBook => read(bytes, &mut tree.telephony.phone_book),
        }
    }

    /// Whether `tree` holds the factory settings here.
    pub(super) fn is_default(self, tree: &Settings) -> bool {
        let factory = Settings::default();
        match self {
            Self::System => tree.system == factory.system,
            Self::Wan => tree.wan == factory.wan,
            Self::Lan => tree.lan == factory.lan,
            Self::Guest => tree.guest == factory.guest,
            Self::Reservations => tree.reservations == factory.reservations,
            Self::Dns => tree.dns == factory.dns,
            Self::Nat => tree.nat == factory.nat,
            Self::Firewall => tree.firewall == factory.firewall,
            Self::Telephony => without_phone_book(&tree.telephony) == without_phone_book(&factory.telephony),
            Self::PhoneBook => tree.telephony.phone_book == factory.telephony.phone_book,
        }
    }
}

/// The phone book is a section of its own: a new entry does not write the accounts again.
fn without_phone_book(telephony: &Telephony) -> Telephony {
    Telephony { phone_book: heapless::Vec::new(), ..telephony.clone() }
}

fn write(part: &impl Serialize, out: &mut Vec<u8>) -> Option<()> {
    *out = postcard::to_extend(part, core::mem::take(out)).ok()?;
    Some(())
}

fn read<T: DeserializeOwned>(bytes: &[u8], part: &mut T) -> Option<()> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    *part = value;
    rest.is_empty().then_some(())
}
