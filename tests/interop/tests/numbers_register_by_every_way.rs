//! Registration and calls over UDP, over TCP and as DNS says (NAPTR, SRV), with MD5 and SHA-256, also when nonces go stale.

use dialtone_interop::kamailio::DOMAIN;
use dialtone_interop::telephony::{Manner, Telephony, US};

const NAME: &str = "numbers_register_by_every_way";

#[test]
fn over_tcp_with_sha_256() {
    let Some(telephony) =
        call_both_ways(Manner { transport: "tcp", algorithm: "SHA-256", ..Manner::default() })
    else {
        return;
    };
    let said = telephony.operator_said();
    assert!(
        said.contains("REGISTERED 1001 by tcp") && said.contains("CALL from 1001 to 2001 by tcp"),
        "{said}"
    );
}

#[test]
fn as_dns_says_while_nonces_go_stale() {
    let Some(telephony) = call_both_ways(Manner { transport: "auto", nonce_seconds: 1, ..Manner::default() })
    else {
        return;
    };
    let said = telephony.operator_said();
    assert!(said.contains("REGISTERED 1001 by udp"), "{said}");
    let dns = telephony.home.programs[0].output();
    assert!(dns.contains(&format!("query[NAPTR] {DOMAIN}")), "{dns}");
}

fn call_both_ways(manner: Manner) -> Option<Telephony> {
    let telephony = Telephony::live(NAME, &["baresip"], manner)?;
    let bob = telephony.party(0);
    let phone = &telephony.telephones[0];
    phone.lift_for_dial_tone();
    phone.dial("2001#");
    bob.must_tell("CALL_ESTABLISHED", 1, 5);
    telephony.must_talk(0, 700.0, &bob, "the call out");
    phone.hang_up();
    bob.must_tell("CALL_CLOSED", 1, 5);
    bob.command("dial", &format!("sip:{US}@{DOMAIN}"));
    phone.must_ring(5);
    phone.lift();
    telephony.must_talk(0, 800.0, &bob, "the call in");
    bob.command("hangup", "");
    bob.must_tell("CALL_CLOSED", 2, 5);
    telephony.must_log("from 2001 \"bob\": answered", 5);
    phone.hang_up();
    Some(telephony)
}
