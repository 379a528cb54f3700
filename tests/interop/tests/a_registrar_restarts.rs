//! Kamailio is killed, has forgotten who was registered when it starts again, and calls come in again soon.

use std::thread::sleep;
use std::time::{Duration, Instant};

use dialtone_interop::eventually;
use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephony::{FIRST, Manner, Telephony, US};

const NAME: &str = "a_registrar_restarts";

#[test]
fn over_tcp_the_broken_connection_tells() {
    let Some(mut telephony) =
        Telephony::live(NAME, &["baresip"], Manner { transport: "tcp", ..Manner::default() })
    else {
        return;
    };
    // Gone for as long as a restart takes.
    telephony.first = None;
    sleep(Duration::from_secs(4));
    telephony.first = Some(telephony.kamailio(FIRST));
    let back = Instant::now();
    let registered = eventually(30, || telephony.operator_said().contains("REGISTERED 1001"));
    assert!(registered, "not registered again:\n{}", telephony.console("phone"));
    println!("registrar restarted: registered again after {:.1} s", back.elapsed().as_secs_f64());
    let bob = telephony.party(0);
    let phone = &telephony.telephones[0];
    bob.command("dial", &format!("sip:{US}@{DOMAIN}"));
    phone.must_ring(5);
    phone.lift();
    telephony.must_talk(0, 800.0, &bob, "the call after the restart");
    bob.command("hangup", "");
    phone.hang_up();
}
