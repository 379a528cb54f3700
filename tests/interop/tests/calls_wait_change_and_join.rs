//! A second caller knocks and is taken, the two are changed between, and all three talk.

use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephone::DIAL_TONE;
use dialtone_interop::telephony::{Manner, Telephony, US};

const NAME: &str = "calls_wait_change_and_join";

#[test]
fn a_second_caller_knocks_and_all_three_talk() {
    let Some(telephony) = Telephony::live(NAME, &["baresip"], Manner::default()) else { return };
    let bob = telephony.party(0);
    let carol = telephony.party(1);
    let phone = &telephony.telephones[0];

    phone.lift_for_dial_tone();
    phone.dial("2001#");
    bob.must_tell("CALL_ESTABLISHED", 1, 5);
    telephony.must_talk(0, 700.0, &bob, "the first call");
    carol.command("dial", &format!("sip:{US}@{DOMAIN}"));
    carol.must_tell("CALL_RINGING", 1, 5);
    phone.must_hear_beside(&[440.0], 5, "the tone of call waiting");

    phone.flash();
    carol.must_tell("CALL_ESTABLISHED", 1, 5);
    telephony.must_talk(0, 700.0, &carol, "the second caller");
    bob.must_hear_nothing(3, "while held");
    phone.flash();
    telephony.must_talk(0, 700.0, &bob, "back at the first");
    carol.must_hear_nothing(3, "while held");

    phone.flash();
    telephony.must_talk(0, 700.0, &carol, "at the second again");
    phone.hum(None);
    phone.flash();
    phone.dial("3");
    phone.must_hear(&[bob.hertz, carol.hertz], 5, "both of the others");
    phone.hum(Some(700.0));
    bob.must_hear(&[700.0, carol.hertz], 5, "both of the others");
    carol.must_hear(&[700.0, bob.hertz], 5, "both of the others");

    // The telephone leaves; the two others stay joined.
    phone.hang_up();
    bob.must_hear(&[carol.hertz], 8, "the other after we left");
    carol.must_hear(&[bob.hertz], 8, "the other after we left");
}

#[test]
fn two_called_by_us_are_joined_and_one_is_dropped() {
    let Some(telephony) = Telephony::live(NAME, &["baresip"], Manner::default()) else { return };
    let bob = telephony.party(0);
    let carol = telephony.party(1);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    telephony.must_talk(0, 700.0, &bob, "the first call");
    phone.hum(None);
    phone.flash();
    phone.must_hear(DIAL_TONE, 3, "dial tone for the second call");
    phone.dial("2002#");
    telephony.must_talk(0, 700.0, &carol, "the second call");
    phone.hum(None);
    phone.flash();
    phone.dial("3");
    phone.must_hear(&[bob.hertz, carol.hertz], 5, "both of the others");
    bob.command("hangup", "");
    phone.must_hear(&[carol.hertz], 5, "the one who stays");
    telephony.must_talk(0, 700.0, &carol, "the one who stays");
    phone.hang_up();
    carol.must_tell("CALL_CLOSED", 1, 5);
}
