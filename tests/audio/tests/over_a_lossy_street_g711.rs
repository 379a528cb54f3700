//! G.711 with somebody beyond a street that loses packets: the whole router speaks and hears, at least as well as the media engine alone must.

use dialtone_audio_tests::far_end::Voice;
use dialtone_audio_tests::house::{House, accounts};
use dialtone_audio_tests::{listening, speech};

#[test]
fn g711_is_clear_and_losses_are_concealed_better_than_spandsp_does() {
    let clips = speech::clips(4).expect("Debian package asterisk-core-sounds-en-wav");
    let mut house = House::new(|settings| accounts(settings, "pcmu", "pcma"), Some(Voice::Pcmu));
    for (line, voice) in [(0, Voice::Pcmu), (1, Voice::Pcma)] {
        house.far_end.set_voice(voice);
        house.call_far_end(line);
        let what = format!("{voice:?}, line {} to the far end", line + 1);
        let said =
            listening::judge(&mut house, &what, &clips, |house, clip| house.line_to_far_end(line, clip));
        assert!(said.score >= 4.0, "{what}: {said:?}");
        // What of the far end's words is lost, we conceal; spandsp has 2.90 and 2.34.
        for (percent, bar) in [(0.0, 4.0), (5.0, 3.1), (10.0, 2.7)] {
            house.lose(percent);
            let what = format!("{voice:?}, the far end to line {}, {percent} % lost", line + 1);
            let heard =
                listening::judge(&mut house, &what, &clips, |house, clip| house.far_end_to_line(line, clip));
            assert!(heard.score >= bar, "{what}: {heard:?}");
            house.lose(0.0);
        }
        house.hang_up();
    }
}
