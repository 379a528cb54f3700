//! A call through Kamailio to baresip, and one from it: sound both ways, the caller's number shown, the call in the log.

use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephone::RINGBACK;
use dialtone_interop::telephony::{Manner, NUMBERS, Telephony, US};

const NAME: &str = "baresip_calls_and_is_called_behind_kamailio";

#[test]
fn a_call_out_and_a_call_in_with_sound_both_ways() {
    let Some(mut telephony) = Telephony::live(NAME, &["baresip"], Manner::default()) else { return };
    let bob = telephony.party_with(0, "PCMA/8000/1", false);
    let phone = &telephony.telephones[0];

    phone.lift_for_dial_tone();
    phone.dial("2001#");
    bob.must_tell("CALL_INCOMING", 1, 5);
    phone.must_hear(RINGBACK, 5, "ringback");
    bob.command("accept", "");
    bob.must_tell("CALL_ESTABLISHED", 1, 5);
    telephony.must_talk(0, 700.0, &bob, "the call out");
    phone.hang_up();
    bob.must_tell("CALL_CLOSED", 1, 5);
    telephony.must_log("to 2001: answered", 5);

    bob.command("dial", &format!("sip:{US}@{DOMAIN}"));
    phone.must_ring(5);
    phone.lift();
    bob.must_tell("CALL_ESTABLISHED", 2, 5);
    telephony.must_talk(0, 800.0, &bob, "the call in");
    bob.command("hangup", "");
    telephony.must_log(&format!("from {} \"bob\": answered", NUMBERS[0]), 5);
    phone.hang_up();
    let router = telephony.home.router_program().output();
    assert!(!router.contains("panicked"), "{router}");
}
