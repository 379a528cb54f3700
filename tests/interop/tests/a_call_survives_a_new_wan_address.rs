//! In the middle of a call the operator gives the WAN another address: the call goes on, with sound both ways, after a re-INVITE.

use std::time::Instant;

use dialtone_interop::eventually;
use dialtone_interop::telephony::{Manner, Telephony};

const NAME: &str = "a_call_survives_a_new_wan_address";

#[test]
fn sound_goes_on_after_the_address_changed() {
    let Some(mut telephony) = Telephony::live(NAME, &["baresip"], Manner::default()) else { return };
    let bob = telephony.party(0);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    bob.must_tell("CALL_ESTABLISHED", 1, 5);
    telephony.must_talk(0, 700.0, &bob, "the call before");
    let before = telephony.home.wan_address();

    // Another range, and the cable is out for a moment: the router asks again and is refused its old address.
    telephony.renumber();
    telephony.home.operator.ip("link set i0 down");
    telephony.home.operator.ip("link set i0 up");
    let begun = Instant::now();
    assert!(eventually(30, || telephony.home.wan_address() != before), "the address stays {before}");
    let leased = begun.elapsed();
    bob.ear.take_longest_gap();
    let phone = &telephony.telephones[0];
    phone.must_hear(&[bob.hertz], 10, "the far end at the new address");
    bob.must_hear(&[700.0], 10, "us at the new address");
    println!(
        "new address: leased {:.1} s after the cable was back, sound both ways {:.1} s later",
        leased.as_secs_f64(),
        (begun.elapsed() - leased).as_secs_f64()
    );
    assert_eq!(bob.count("CALL_CLOSED"), 0);
    phone.hang_up();
    bob.must_tell("CALL_CLOSED", 1, 10);
    telephony.must_register(30);
}
