//! Two Kamailios, and DNS prefers the first: when it stops, registrations and calls go by the second.

use std::time::Instant;

use dialtone_interop::eventually;
use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephony::{FIRST, Manner, SECOND, Telephony, US};

const NAME: &str = "a_second_server_takes_over";

#[test]
fn calls_go_on_when_the_first_server_stops() {
    let Some(mut telephony) =
        Telephony::wire(NAME, &["baresip"], Manner { transport: "auto", ..Manner::default() })
    else {
        return;
    };
    telephony.first = Some(telephony.kamailio(FIRST));
    telephony.second = Some(telephony.kamailio(SECOND));
    telephony.start_router();
    telephony.must_register(20);
    assert!(telephony.second.as_ref().is_some_and(|second| !second.output().contains("REGISTERED")));
    let bob = telephony.party_by(0, SECOND);

    // A call out before anything else has noticed: INVITE gets no answer, the next server does.
    telephony.first = None;
    let begun = Instant::now();
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    let dialled = Instant::now();
    bob.must_tell("CALL_ESTABLISHED", 1, 20);
    println!(
        "failover: a call placed at once is through {:.1} s after the last digit",
        dialled.elapsed().as_secs_f64()
    );
    telephony.must_talk(0, 700.0, &bob, "the call by the second server");
    phone.hang_up();
    bob.must_tell("CALL_CLOSED", 1, 5);

    let registered = eventually(60, || telephony.operator_said().matches("REGISTERED 100").count() >= 2);
    assert!(registered, "not registered at the second:\n{}", telephony.console("phone"));
    println!(
        "failover: registered at the second server {:.1} s after the first stopped",
        begun.elapsed().as_secs_f64()
    );
    bob.command("dial", &format!("sip:{US}@{DOMAIN}"));
    phone.must_ring(5);
    phone.lift();
    telephony.must_talk(0, 800.0, &bob, "the call in by the second server");
    bob.command("hangup", "");
    phone.hang_up();
}
