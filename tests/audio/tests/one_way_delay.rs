//! From mouth to ear: what the router adds to the 20 ms of a packet, in calls that begin at any moment.

use dialtone_audio_tests::compare::middle_and_most;
use dialtone_audio_tests::far_end::Voice;
use dialtone_audio_tests::house::{House, accounts};
use dialtone_audio_tests::speech;

const CALLS: usize = 8;

#[test]
fn a_voice_is_not_late() {
    let clip = speech::clips(1).expect("Debian package asterisk-core-sounds-en-wav")[0][..20_000].to_vec();
    let mut house = House::new(|settings| accounts(settings, "pcmu", "opus,pcmu"), Some(Voice::Pcmu));
    for (line, voice) in [(0, Voice::Pcmu), (1, Voice::Opus(5))] {
        house.far_end.set_voice(voice);
        let (mut out, mut back) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            house.call_far_end(line);
            // Until the jitter buffer knows the network.
            house.scenario.run_for(dialtone_base::Duration::from_secs(4));
            out.push(house.line_to_far_end(line, &clip).delay.expect("the voice is heard"));
            back.push(house.far_end_to_line(line, &clip).delay.expect("the voice is heard"));
            house.hang_up();
        }
        let (out, back) = (middle_and_most(&out), middle_and_most(&back));
        println!("{voice:?}, line {}: to the wire {:.1} ms, at most {:.1}; from the wire {:.1} ms, at most {:.1}", line + 1, out.0, out.1, back.0, back.1);
        println!("  mouth to ear between two of us {:.1} ms, at most {:.1}", out.0 + back.0, out.1 + back.1);
    }
    for (caller, keys) in [(0, "**2"), (1, "5551#")] {
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
    }
}
