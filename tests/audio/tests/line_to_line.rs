//! One telephone of the house talks to the other, inside the home and by the operator: a clean voice, and soon.

use dialtone_audio_tests::house::{House, accounts};
use dialtone_audio_tests::{listening, speech};

#[test]
fn one_telephone_hears_the_other_clearly_and_soon() {
    let clips = speech::clips(3).expect("Debian package asterisk-core-sounds-en-wav");
    let mut house = House::new(|settings| accounts(settings, "pcmu", "pcmu"), None);
    for (place, caller, keys) in [
        ("inside the home", 0, "**2"),
        ("inside the home", 1, "**1"),
        ("by the operator, G.711", 0, "5552#"),
        ("by the operator, G.711", 1, "5551#"),
    ] {
        house.call_between(caller, keys);
        for from in [0, 1] {
            let what = format!("{place}, line {} to line {}", from + 1, 2 - from);
            let verdict =
                listening::judge(&mut house, &what, &clips, |house, clip| house.line_to_line(from, clip));
            assert!(verdict.score >= 4.0, "{what}: {verdict:?}");
            assert!(verdict.delay.1 <= 60.0, "{what}: {verdict:?}");
        }
        house.hang_up();
    }
}
