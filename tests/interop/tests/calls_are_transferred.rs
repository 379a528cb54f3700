//! Transfers: blind by star code, by hanging up after asking, and by the far end (REFER towards us).

use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephone::{BUSY, DIAL_TONE};
use dialtone_interop::telephony::{Manner, Telephony, US};

const NAME: &str = "calls_are_transferred";

#[test]
fn blind_by_a_star_code() {
    let Some(telephony) = Telephony::live(NAME, &["baresip"], Manner::default()) else { return };
    let bob = telephony.party(0);
    let carol = telephony.party(1);
    let phone = &telephony.telephones[0];
    bob.command("dial", &format!("sip:{US}@{DOMAIN}"));
    phone.must_ring(5);
    phone.lift();
    telephony.must_talk(0, 700.0, &bob, "the call in");
    phone.hum(None);
    phone.flash();
    phone.must_hear(DIAL_TONE, 3, "dial tone after a flash");
    phone.dial("*982002#");
    carol.must_tell("CALL_ESTABLISHED", 1, 8);
    bob.must_hear(&[carol.hertz], 8, "the one it was sent to");
    carol.must_hear(&[bob.hertz], 8, "the one that was sent");
    phone.hang_up();
    bob.must_hear(&[carol.hertz], 3, "the one it was sent to, after we hung up");
}

#[test]
fn by_hanging_up_after_asking() {
    let Some(telephony) = Telephony::live(NAME, &["baresip"], Manner::default()) else { return };
    let bob = telephony.party(0);
    let carol = telephony.party(1);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    telephony.must_talk(0, 700.0, &bob, "the first call");
    phone.hum(None);
    phone.flash();
    phone.must_hear(DIAL_TONE, 3, "dial tone after a flash");
    phone.dial("2002#");
    telephony.must_talk(0, 700.0, &carol, "the call to ask");
    phone.hang_up();
    bob.must_hear(&[carol.hertz], 8, "the other after we hung up");
    carol.must_hear(&[bob.hertz], 8, "the other after we hung up");
    // And the line is free again.
    phone.lift_for_dial_tone();
    phone.hang_up();
}

#[test]
fn by_the_far_end() {
    let Some(telephony) = Telephony::live(NAME, &["baresip"], Manner::default()) else { return };
    let bob = telephony.party(0);
    let carol = telephony.party(1);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    telephony.must_talk(0, 700.0, &bob, "the call to be transferred");
    bob.command("transfer", &format!("sip:2002@{DOMAIN}"));
    carol.must_tell("CALL_ESTABLISHED", 1, 8);
    telephony.must_talk(0, 700.0, &carol, "the one we were sent to");
    bob.must_tell("CALL_CLOSED", 1, 5);
    carol.command("hangup", "");
    phone.must_hear(BUSY, 10, "the tone of a call that is over");
    phone.hang_up();
}
