//! A call in each codec baresip has: sound both ways, keys both ways as events, held and resumed from both sides.

use dialtone_interop::eventually;
use dialtone_interop::telephone::DIAL_TONE;
use dialtone_interop::telephony::{Manner, Telephony};

const NAME: &str = "every_codec_carries_a_call_with_baresip";

#[test]
fn sound_keys_and_hold_in_every_codec() {
    let manner = Manner { codecs: r#""opus", "g722", "pcma", "pcmu""#, ..Manner::default() };
    let Some(telephony) = Telephony::live(NAME, &["baresip"], manner) else { return };
    let phone = &telephony.telephones[0];
    let codecs = [
        ("opus/48000/2", "opus"),
        ("G722/16000/1", "G722"),
        ("PCMA/8000/1", "PCMA"),
        ("PCMU/8000/1", "PCMU"),
    ];
    for (codec, name) in codecs {
        let bob = telephony.party_with(0, codec, true);
        phone.lift_for_dial_tone();
        phone.dial("2001#");
        bob.must_tell("CALL_ESTABLISHED", 1, 5);
        telephony.must_talk(0, 700.0, &bob, codec);
        assert!(
            bob.program.output().contains(&format!("Set audio encoder: {name}")),
            "{}",
            bob.program.output()
        );

        // Every key once, none twice (RFC 4733).
        phone.hum(None);
        phone.dial("1590*#2");
        assert!(
            eventually(3, || bob.keys() == "1590*#2"),
            "{codec}: baresip heard the keys {:?}",
            bob.keys()
        );
        bob.command("sndcode", "8");
        phone.must_hear_beside(&[852.0, 1336.0], 3, "the key pressed at the far end");
        telephony.must_talk(0, 700.0, &bob, "after the keys");

        // Held by us: dial tone here.
        phone.flash();
        phone.must_hear(DIAL_TONE, 3, "dial tone while the other is held");
        phone.flash();
        phone.must_hear(&[bob.hertz], 5, "the far end, resumed by us");

        // Held by them, and what they hear comes back.
        bob.command("hold", "");
        phone.must_hear_nothing(3, "while held by the far end");
        bob.command("resume", "");
        phone.must_hear(&[bob.hertz], 5, "the far end, resumed by them");
        bob.echo();
        phone.hum(Some(900.0));
        phone.must_hear(&[900.0], 5, "what the far end hears");
        phone.hang_up();
        bob.must_tell("CALL_CLOSED", 1, 5);
        telephony.must_log("to 2001: answered", 5);
    }
}
