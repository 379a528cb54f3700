//! The fuzz body on seeded noise and on damaged real messages.

extern crate std;

use std::vec::Vec;

use dialtone_base::{Random, Seed};

use crate::fuzz::fuzz;
use crate::message::{MessageType, code};
use crate::test_home::{Ask, Home, ip};

#[test]
fn noise_and_damaged_messages_break_nothing() {
    let mut random = Random::new(Seed::from_number(0xd4c9));
    let offer = Home::small().ask(&Ask::discover(1)).unwrap().bytes;
    let mut ack = offer.clone();
    ack[242] = MessageType::Ack as u8;
    let long =
        Ask::discover(3).with(code::CLASSLESS_ROUTES, &[0; 250]).with(code::CLASSLESS_ROUTES, &[0; 250]);
    let templates = [
        Ask::discover(1).bytes(),
        Ask::select(1, ip(100)).with(code::PARAMETER_LIST, &[1, 3, 6, 114]).bytes(),
        Ask::renew(2, ip(101)).with(code::FULL_NAME, b"\x04\x00\x00\x04desk").bytes(),
        Ask::new(MessageType::Decline, 1).with(code::REQUESTED_ADDRESS, &ip(100).octets()).bytes(),
        long.bytes(),
        offer,
        ack,
    ];
    for _ in 0..20_000 {
        let mut data: Vec<u8> = [random.next_u32() as u8].into();
        for _ in 0..=random.below(4) {
            let mut piece = templates[random.below(templates.len() as u32) as usize].clone();
            for _ in 0..random.below(6) {
                let at = random.below(piece.len() as u32) as usize;
                piece[at] = random.next_u32() as u8;
            }
            if random.below(8) == 0 {
                piece.truncate(random.below(piece.len() as u32) as usize);
            }
            data.extend_from_slice(&piece);
            data.extend_from_slice(b"\xfe\xedCU");
        }
        fuzz(&data);
    }
    for _ in 0..2_000 {
        let mut data = std::vec![0; random.below(400) as usize];
        random.fill(&mut data);
        fuzz(&data);
    }
}
