//! From mouth to ear: what the router adds to the 20 ms of a packet, in calls that begin at any moment.
//!
//! Two routers on one network do not fit into one process; a call between them is the sum of what one takes from the handset to the wire and the other
//! from the wire to the handset. Opus itself looks 6.5 ms ahead, which no implementation can avoid; it is in the 60 ms.

use dialtone_audio_tests::compare::middle_and_most;
use dialtone_audio_tests::far_end::Voice;
use dialtone_audio_tests::house::{House, accounts};
use dialtone_audio_tests::speech;
use dialtone_base::Duration;

const CALLS: usize = 8;
/// Milliseconds of a packet.
const PACKET: f64 = 20.0;
/// Milliseconds that an Opus encoder looks ahead (RFC 6716, section 2.1.6 and its reference).
const LOOK_AHEAD: f64 = 6.5;

#[test]
fn a_voice_is_not_late() {
    let clip = speech::clips(1).expect("Debian package asterisk-core-sounds-en-wav")[0][..20_000].to_vec();
    let mut house = House::new(|settings| accounts(settings, "pcmu", "opus,pcmu"), Some(Voice::Pcmu));
    for (line, voice) in [(0, Voice::Pcmu), (1, Voice::Opus(5))] {
        house.far_end.set_voice(voice);
        let look_ahead = if voice == Voice::Pcmu { 0.0 } else { LOOK_AHEAD };
        let (mut out, mut back) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            house.call_far_end(line);
            // Until the jitter buffer knows the network.
            house.scenario.run_for(Duration::from_secs(4));
            out.push(house.line_to_far_end(line, &clip).delay.expect("the voice is heard"));
            // The far end's encoder is not ours.
            back.push(house.far_end_to_line(line, &clip).delay.expect("the voice is heard") - look_ahead);
            house.hang_up();
        }
        let (out, back) = (middle_and_most(&out), middle_and_most(&back));
        let (middle, most) = (out.0 + back.0, out.1 + back.1);
        println!(
            "{voice:?}, line {}: handset to wire {:.1} ms, at most {:.1}; wire to handset {:.1} ms, at most {:.1}; \
             handset to handset {middle:.1} ms, at most {most:.1}",
            line + 1,
            out.0,
            out.1,
            back.0,
            back.1,
        );
        assert!(most <= 60.0, "{voice:?}: {most:.1} ms");
        let added = most - PACKET - look_ahead;
        assert!(added <= 25.0, "{voice:?}: {added:.1} ms beyond the packet");
    }
    for (caller, keys, packet) in [(0, "**2", 0.0), (1, "5551#", PACKET)] {
        let mut delays = Vec::new();
        for _ in 0..CALLS {
            house.call_between(caller, keys);
            for from in [0, 1] {
                delays.push(house.line_to_line(from, &clip).delay.expect("the voice is heard"));
            }
            house.hang_up();
        }
        let (middle, most) = middle_and_most(&delays);
        println!("line to line by {keys}: {middle:.1} ms, at most {most:.1} ms");
        assert!(most <= 60.0 && most - packet <= 25.0, "{keys}: {most:.1} ms");
    }
}
