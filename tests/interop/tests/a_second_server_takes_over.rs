//! Two Kamailios, and DNS prefers the first: when it stops, registrations and calls go by the second; when a registrar forgot everything, it knows
//! us again soon.

use std::time::{Duration, Instant};

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

    // The first comes back, the second goes.
    telephony.first = Some(telephony.kamailio(FIRST));
    telephony.second = None;
    let begun = Instant::now();
    assert!(
        eventually(60, || telephony.operator_said().matches("REGISTERED 100").count() >= 2),
        "not back at the first:\n{}",
        telephony.console("phone")
    );
    println!(
        "failover: back at the first server {:.1} s after the second stopped",
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn a_registrar_that_forgot_everything_knows_us_again() {
    for transport in ["udp", "tcp"] {
        let Some(mut telephony) =
            Telephony::live(NAME, &["baresip"], Manner { transport, ..Manner::default() })
        else {
            return;
        };
        let bob = telephony.party(0);
        telephony.first = None;
        let gone = eventually(90, || telephony.console("phone").matches(": registered").count() == 0);
        assert!(gone, "nobody noticed that the registrar is gone:\n{}", telephony.console("phone"));
        telephony.first = Some(telephony.kamailio(FIRST));
        let begun = Instant::now();
        let took = telephony.must_register(60);
        assert!(eventually(5, || telephony.operator_said().matches("REGISTERED 100").count() >= 2));
        println!(
            "registration: {:.1} s after a restarted registrar is there, over {transport}",
            begun.elapsed().as_secs_f64()
        );
        assert!(took < Duration::from_secs(40));
        let phone = &telephony.telephones[0];
        bob.command("dial", &format!("sip:{US}@{DOMAIN}"));
        phone.must_ring(5);
        phone.lift();
        telephony.must_talk(0, 700.0, &bob, "a call in");
        phone.hang_up();
        bob.must_tell("CALL_CLOSED", 1, 5);
    }
}
