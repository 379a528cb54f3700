//! Calls with sipp, message by message as operators' switches send them: early media, reliable provisional answers, offers in either place,
//! changes of codec, session timers, redirections and refusals.

use dialtone_interop::sipp::{Scenario, sdp};
use dialtone_interop::telephone::BUSY;
use dialtone_interop::telephony::{Manner, SIPP_NUMBER, Telephony};

const NAME: &str = "sipp_calls_as_operators_do";

fn live() -> Option<Telephony> {
    let manner = Manner {
        codecs: r#""pcma", "pcmu""#,
        telephony: r#", "lines": [ { "incoming": ["1001"] }, { "incoming": ["1002"] } ]"#,
        ..Manner::default()
    };
    Telephony::live(NAME, &["sipp", "baresip"], manner)
}

#[test]
fn calls_out() {
    let Some(telephony) = live() else { return };
    let number = format!("{SIPP_NUMBER}#");

    // Early media behind a reliable provisional answer (RFC 3262), its PRACK answered late.
    let scenario = Scenario::called()
        .answers_call("183 Session Progress", "Require: 100rel\nRSeq: 7\n", &sdp(1, "sendrecv", 8))
        .wants("PRACK")
        .pauses(800)
        .answers("200 OK", "", "")
        .pauses(500)
        .answers_call("200 OK", "", "")
        .wants("ACK")
        .wants("BYE")
        .answers("200 OK", "", "");
    let mut sipp = telephony.sipp("early-media", &scenario);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial(&number);
    std::thread::sleep(std::time::Duration::from_secs(3));
    phone.hang_up();
    telephony.must_end_well("early-media", &mut sipp, 5);

    // Held, resumed in another codec, then an offer asked of us (RFC 3264, RFC 3261 section 14).
    let scenario = Scenario::called()
        .answers_call("180 Ringing", "", "")
        .answers_call("200 OK", "", &sdp(1, "sendrecv", 8))
        .wants("ACK")
        .pauses(1500)
        .asks("INVITE", "", &sdp(2, "sendonly", 8))
        .wants_status(200)
        .asks("ACK", "", "")
        .pauses(500)
        .asks("INVITE", "", &sdp(3, "sendrecv", 0))
        .wants_status(200)
        .asks("ACK", "", "")
        .pauses(1500)
        .asks("INVITE", "", "")
        .wants_status(200)
        .asks("ACK", "", &sdp(4, "sendrecv", 8))
        .asks("OPTIONS", "", "")
        .wants_status(200)
        .asks("UPDATE", "Session-Expires: 90;refresher=uac\nSupported: timer\n", "")
        .wants_status(200)
        .pauses(2000)
        .asks("BYE", "", "")
        .wants_status(200);
    let mut sipp = telephony.sipp("offers", &scenario);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial(&number);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    phone.must_hear(BUSY, 10, "the tone of a call that is over");
    phone.hang_up();
    telephony.must_end_well("offers", &mut sipp, 5);

    // Refused, in the ways there are.
    let refusals = [
        ("486 Busy Here", ""),
        ("480 Temporarily Unavailable", "Retry-After: 60\n"),
        ("404 Not Found", ""),
        ("600 Busy Everywhere", ""),
    ];
    for (status, more) in refusals {
        let name = format!("refused-{}", &status[..3]);
        let scenario = Scenario::called().answers_call(status, more, "").wants("ACK");
        let mut sipp = telephony.sipp(&name, &scenario);
        let phone = &telephony.telephones[0];
        phone.lift_for_dial_tone();
        phone.dial(&number);
        telephony.must_end_well(&name, &mut sipp, 8);
        phone.hang_up();
    }

    // Sent to another number.
    let bob = telephony.party(0);
    let scenario = Scenario::called()
        .answers_call("302 Moved", "Contact: <sip:2001@voice.example.net>\n", "")
        .wants("ACK");
    let mut sipp = telephony.sipp("moved", &scenario);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial(&number);
    telephony.must_end_well("moved", &mut sipp, 8);
    bob.must_tell("CALL_ESTABLISHED", 1, 8);
    phone.hang_up();
}

#[test]
fn calls_in() {
    let Some(telephony) = live() else { return };

    // Ringing must be reliable because the caller wants it; the answer is acknowledged late, so it is repeated.
    let scenario =
        Scenario::calls(SIPP_NUMBER, "Supported: 100rel\nRequire: 100rel\n", &sdp(1, "sendrecv", 8))
            .takes_reliable(180)
            .wants_status(200)
            .pauses(1600)
            .asks("ACK", "", "")
            .pauses(1000)
            .asks("INFO", "", "")
            .wants_status(200)
            .wants("BYE")
            .answers("200 OK", "", "");
    let mut sipp = telephony.sipp("reliable", &scenario);
    let phone = &telephony.telephones[0];
    phone.must_ring(5);
    phone.lift();
    std::thread::sleep(std::time::Duration::from_secs(3));
    phone.hang_up();
    telephony.must_end_well("reliable", &mut sipp, 5);

    // No offer in the INVITE: ours is in the answer.
    let scenario = Scenario::calls(SIPP_NUMBER, "", "")
        .wants_status(180)
        .wants_status(200)
        .asks("ACK", "", &sdp(1, "sendrecv", 0))
        .pauses(2000)
        .asks("BYE", "", "")
        .wants_status(200)
        .asks("BYE", "", "")
        .wants_status(481);
    let mut sipp = telephony.sipp("late-offer", &scenario);
    let phone = &telephony.telephones[0];
    phone.must_ring(5);
    phone.lift();
    phone.must_hear(BUSY, 10, "the tone of a call that is over");
    phone.hang_up();
    telephony.must_end_well("late-offer", &mut sipp, 5);
}
