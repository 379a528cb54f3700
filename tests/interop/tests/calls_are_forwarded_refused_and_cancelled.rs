//! What happens to calls nobody takes: forwarded, busy, cancelled from either side, missed.

use dialtone_interop::eventually;
use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephone::{BUSY, RINGBACK};
use dialtone_interop::telephony::{ALL_CODECS, Manner, Telephony, US};

const NAME: &str = "calls_are_forwarded_refused_and_cancelled";

#[test]
fn forwarded_always_and_when_nobody_answers() {
    let manner = Manner {
        telephony: r#", "lines": [ { "incoming": ["1001"], "forward_no_answer": "2002", "forward_no_answer_seconds": 5 }, { "incoming": ["1002"] } ]"#,
        ..Manner::default()
    };
    let Some(telephony) = Telephony::live(NAME, &["baresip"], manner) else { return };
    let bob = telephony.party(0);
    let carol = telephony.party(1);
    let phone = &telephony.telephones[0];
    let number = format!("sip:{US}@{DOMAIN}");

    bob.command("dial", &number);
    phone.must_ring(5);
    carol.must_tell("CALL_ESTABLISHED", 1, 10);
    bob.must_hear(&[carol.hertz], 5, "the one it was forwarded to");
    carol.must_hear(&[bob.hertz], 5, "the one that was forwarded");
    bob.command("hangup", "");
    carol.must_tell("CALL_CLOSED", 1, 5);
    telephony.must_log("from 2001 \"bob\": forwarded", 5);

    phone.lift_for_dial_tone();
    phone.dial("*722002#");
    phone.must_hear(&[350.0, 440.0], 5, "confirmation");
    phone.hang_up();
    let rang = phone.ring_count();
    bob.command("dial", &number);
    carol.must_tell("CALL_ESTABLISHED", 2, 5);
    bob.must_hear(&[carol.hertz], 5, "the one it was forwarded to");
    assert_eq!(phone.ring_count(), rang, "a telephone whose calls are forwarded does not ring");
    bob.command("hangup", "");
    carol.must_tell("CALL_CLOSED", 2, 5);
}

#[test]
fn busy_cancelled_and_missed() {
    let manner = Manner {
        telephony: r#", "lines": [ { "incoming": ["1001"], "call_waiting": false }, { "incoming": ["1002"] } ]"#,
        ..Manner::default()
    };
    let Some(telephony) = Telephony::live(NAME, &["baresip"], manner) else { return };
    let bob = telephony.party_with(0, ALL_CODECS, false);
    let phone = &telephony.telephones[0];
    let number = format!("sip:{US}@{DOMAIN}");

    // They give up.
    bob.command("dial", &number);
    phone.must_ring(5);
    bob.must_tell("CALL_RINGING", 1, 5);
    bob.command("hangup", "");
    telephony.must_log("from 2001 \"bob\": missed", 5);
    assert!(eventually(8, || !phone.rings()), "it rings on");

    // We are busy.
    phone.lift_for_dial_tone();
    bob.command("dial", &number);
    assert!(eventually(5, || bob.told().contains("486 ")), "{}", bob.told());

    // We give up.
    phone.dial("2001#");
    phone.must_hear(RINGBACK, 5, "ringback");
    phone.hang_up();
    bob.must_tell("CALL_CLOSED", 3, 5);
    assert!(
        telephony
            .console("calls")
            .lines()
            .next()
            .is_some_and(|line| line.contains("to 2001: ") && !line.contains("answered"))
    );

    // They are busy, and refuse.
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    bob.must_tell("CALL_INCOMING", 2, 5);
    bob.command("hangup", "");
    phone.must_hear(BUSY, 5, "busy");
    phone.hang_up();

    // There is no such number.
    phone.lift_for_dial_tone();
    phone.dial("2999#");
    telephony.must_log("to 2999: failed", 5);
    phone.hang_up();
}
