//! Over links that lose, delay, reorder and double frames the home still gets addresses, names and its downloads.

use std::net::SocketAddrV4;

use dialtone_base::Duration;
use dialtone_netsim::Quality;
use dialtone_netsim::dns_message::Answer;
use dialtone_scenarios::{EXAMPLE, Setup};

#[test]
fn lossy_links() {
    let bad = Quality {
        loss: 30_000,
        jitter: Duration::from_millis(4),
        reorder: 20_000,
        reorder_by: Duration::from_millis(6),
        duplicate: 10_000,
        ..Quality::delay(Duration::from_millis(8))
    };
    let house = Quality { loss: 10_000, duplicate: 10_000, ..Quality::delay(Duration::from_millis(1)) };
    let mut scenario = Setup { street: bad, house, ..Setup::default() }.start();
    scenario.expect_wan();
    let lan = scenario.home.lan[0];
    let laptop = scenario.join(lan, "laptop");

    for number in 0..30 {
        assert_eq!(scenario.look_up(laptop, &format!("nobody-{number}.test")), Some(Answer::NoSuchName));
    }
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    for _ in 0..3 {
        let flow = scenario.connect(laptop, SocketAddrV4::new(EXAMPLE.1, 443)).expect("a connection");
        assert!(scenario.echo(laptop, flow, &bytes, Duration::from_secs(300)), "the echo came back whole");
        scenario.world().device(laptop).tcp_finish(flow);
        scenario.run_for(Duration::from_secs(5));
    }
    let wan = scenario.home.wan;
    assert!(scenario.world().lost(wan) > 20, "the street was bad");
}
