//! While somebody talks, the operator's own address and strangers send thousands of INVITEs, OPTIONS and rubbish a second: the sound of the
//! call does not break, what is not taken is counted, and afterwards everything works.

use std::net::{Ipv4Addr, SocketAddrV4};

use dialtone_base::{Duration, Random, Seed};
use dialtone_netsim::operator::Settings as OperatorSettings;
use dialtone_scenarios::Setup;
use dialtone_scenarios::telephone::{call, longest_gap, tone, wait, wait_millis, with_plain_voice};

const SECONDS: u64 = 6;
/// From each of the two, operator and strangers.
const A_MILLISECOND: u32 = 2;

#[test]
fn a_storm_of_calls_does_not_stop_a_call() {
    let (mut setup, operator) = Setup::default().with_operator(OperatorSettings::default());
    setup.settings = |settings| {
        with_plain_voice(settings);
        // A knocking call would be heard.
        settings.telephony.lines[0].call_waiting = false;
    };
    let mut scenario = setup.start();
    let (ann, bob) = (scenario.telephone(0), scenario.telephone(1));
    scenario.expect_registered(Duration::from_secs(30));
    let wan = scenario.expect_wan();
    let server = SocketAddrV4::new(operator.borrow().settings.servers[0], 5060);

    let (caller, world) = (ann.clone(), scenario.home.world.clone());
    let other = bob.clone();
    let mut random = Random::new(Seed::from_number(scenario.seed()));
    let heard = scenario.script("a call in a storm", Duration::from_secs(40), async move {
        call(&caller, "600#").await;
        wait(1).await;
        caller.say(&tone(&caller, 1000.0, 30));
        assert!(caller.until_hears(&[1000.0], Duration::from_secs(5)).await, "the echo");
        wait(1).await;
        let from = caller.heard_so_far();
        let mut number = 0;
        // Somebody else wants to call in the middle of it.
        let calling = async {
            wait(1).await;
            call(&other, "600#").await;
            wait(1).await;
            other.say(&tone(&other, 700.0, 10));
            let heard = other.until_hears(&[700.0], Duration::from_secs(3)).await;
            other.hang_up().await;
            heard
        };
        let storm = async {
            for _ in 0..SECONDS * 1000 {
                for _ in 0..A_MILLISECOND {
                    number += 1;
                    let stranger = SocketAddrV4::new(
                        Ipv4Addr::from(0xc612_0000 + random.below(1 << 16)),
                        1024 + random.next_u16() % 60_000,
                    );
                    for source in [server, stranger] {
                        let message = message(number, source, wan, &mut random);
                        // Strangers try the ports of the voice, too.
                        let voice = source == stranger && number % 4 == 0;
                        let port = if voice { 5060 + random.next_u16() % 1000 } else { 5060 };
                        world.borrow_mut().isp.send_udp(source, SocketAddrV4::new(wan, port), &message);
                    }
                }
                world.borrow().touch();
                wait_millis(1).await;
            }
        };
        let (called, ()) = embassy_futures::join::join(calling, storm).await;
        assert!(called, "a second call in the storm");
        let heard = caller.heard_since(from);
        caller.hang_up().await;
        (heard, caller.sample_rate)
    });
    let gap = longest_gap(&heard.0, heard.1, 1000.0);
    println!(
        "seed {}: {} s of sound, longest gap {} ms",
        scenario.seed(),
        heard.0.len() as u32 / heard.1,
        gap.as_millis()
    );
    assert!(heard.0.len() as u64 >= SECONDS * u64::from(heard.1) * 99 / 100, "the line's clock went on");
    assert!(
        gap <= Duration::from_millis(20),
        "seed {}: {} ms without the echo",
        scenario.seed(),
        gap.as_millis()
    );
    let refused = ["overloaded", "no-transaction", "malformed"].map(|reason| scenario.not_taken(reason));
    let unsolicited = scenario.console("counters").unwrap();
    let unsolicited =
        unsolicited.lines().find_map(|line| line.strip_prefix("dropped ")?.strip_suffix(": unsolicited"));
    let unsolicited: u64 = unsolicited.expect("strangers are counted").parse().unwrap();
    println!("{}", scenario.console("phone").unwrap());
    println!("{refused:?} of the operator's not taken, {unsolicited} of strangers");
    assert!(refused.iter().sum::<u64>() > 5000, "{refused:?}");
    assert!(unsolicited > 5000, "{unsolicited}");

    // The operator repeats nothing of what it never meant; a minute later all of it is over.
    scenario.run_for(Duration::from_secs(60));
    assert_eq!(operator.borrow().busy_with(), 0);
    assert_eq!(scenario.line_states(), ["on-hook", "on-hook"]);
    assert_eq!(scenario.registered(), 2);
    scenario.script("a call in, and a call out", Duration::from_secs(60), async move {
        call(&bob, "5551#").await;
        assert!(ann.until_rings(Duration::from_secs(5)).await, "it rings");
        wait(1).await;
        ann.lift().await;
        bob.say(&tone(&bob, 700.0, 5));
        assert!(ann.until_hears(&[700.0], Duration::from_secs(4)).await, "the caller is heard");
        ann.hang_up().await;
        bob.hang_up().await;
    });
}

/// An INVITE for us, an OPTIONS, or something that is no message.
fn message(number: u32, from: SocketAddrV4, to: Ipv4Addr, random: &mut Random) -> Vec<u8> {
    let method = match number % 5 {
        0 | 1 => "INVITE",
        2 | 3 => "OPTIONS",
        _ => {
            let mut rubbish = vec![0; 20 + random.below(600) as usize];
            random.fill(&mut rubbish);
            return rubbish;
        }
    };
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n",
        host = from.ip()
    );
    format!(
        "{method} sip:5551@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{id:016x};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{number}@operator.test>;tag={number}\r\nTo: <sip:5551@operator.test>\r\nCall-ID: {id:x}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:{number}@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}",
        id = random.next_u64(),
        length = body.len(),
    )
    .into_bytes()
}
