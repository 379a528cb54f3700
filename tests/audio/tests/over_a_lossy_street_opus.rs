//! Opus with redundancy, with libopus at the far end of a street that loses packets.

use dialtone_audio_tests::far_end::Voice;
use dialtone_audio_tests::house::{House, accounts};
use dialtone_audio_tests::{listening, speech};

#[test]
fn opus_is_clear_and_its_redundancy_repairs_losses_both_ways() {
    let clips = speech::clips(4).expect("Debian package asterisk-core-sounds-en-wav");
    let mut house = House::new(|settings| accounts(settings, "opus", "opus"), Some(Voice::Opus(10)));
    // Line 2 has 8 kHz, line 1 has 16 kHz; PESQ hears both in narrow band.
    for line in [1, 0] {
        house.call_far_end(line);
        // The bars are those of narrow band. A wide line spends its bits on what narrow-band PESQ does not hear: a little less is right there.
        let clean = if line == 1 { 4.2 } else { 4.0 };
        for (percent, bar) in [(0.0, clean), (5.0, 3.9), (10.0, 3.5)] {
            house.lose(percent);
            let what = format!("Opus, line {} to the far end, {percent} % lost", line + 1);
            let said =
                listening::judge(&mut house, &what, &clips, |house, clip| house.line_to_far_end(line, clip));
            assert!(said.score >= bar, "{what}: {said:?}");
            let what = format!("Opus, the far end to line {}, {percent} % lost", line + 1);
            let heard =
                listening::judge(&mut house, &what, &clips, |house, clip| house.far_end_to_line(line, clip));
            assert!(heard.score >= bar, "{what}: {heard:?}");
            house.lose(0.0);
        }
        house.hang_up();
    }
}
