//! Registrations come back soon after a short break, and spread after a long one.

extern crate std;
use std::vec;
use std::vec::Vec;

use dialtone_base::random::Seed;

use super::*;

fn random(seed: u64) -> Random {
    Random::new(Seed::from_number(seed))
}

const NOW: Instant = Instant::from_secs(1000);

fn due(registration: &Registration) -> Instant {
    match registration.phase {
        Phase::Due(at) => at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refresh_comes_well_before_the_binding_ends() {
    for seed in 0..200 {
        let mut registration = Registration::new(Duration::from_secs(3600));
        registration.start(NOW, &mut random(seed));
        registration.sent();
        registration.outcome(NOW, Outcome::Granted(Duration::from_secs(600)), &mut random(seed));
        let wait = due(&registration).since(NOW).as_secs();
        assert!((420..=510).contains(&wait), "seed {seed}: {wait}");
        assert_eq!(registration.state(), RegistrationState::Up);
    }
}

#[test]
fn a_longer_minimum_is_taken_at_once_but_not_for_ever() {
    let mut registration = Registration::new(Duration::from_secs(60));
    registration.start(NOW, &mut random(1));
    registration.outcome(NOW, Outcome::TooBrief(600), &mut random(1));
    assert_eq!((due(&registration), registration.asks_for()), (NOW, Duration::from_secs(600)));
    for least in [700, 800, 900] {
        registration.outcome(NOW, Outcome::TooBrief(least), &mut random(1));
    }
    assert!(due(&registration) > NOW, "a minimum that keeps moving is a failure");
    registration.outcome(NOW, Outcome::TooBrief(5), &mut random(1));
    assert!(due(&registration) > NOW, "a minimum we already ask for is a failure");
}

#[test]
fn the_back_off_doubles_and_is_bounded_rfc_5626_section_4_5() {
    for seed in 0..500 {
        let mut random = random(seed);
        for failures in 1..40 {
            let wait = back_off(failures, &mut random);
            let step = FIRST_BACK_OFF.scaled(1 << (failures - 1).min(16), 1).min(LONGEST_BACK_OFF);
            assert!(wait >= step.scaled(1, 2) && wait <= step, "seed {seed} failures {failures}: {wait:?}");
        }
    }
}

#[test]
fn a_retry_after_is_obeyed_and_spread() {
    let mut seconds = vec![0; 200];
    for seed in 0..2000 {
        let mut registration = Registration::new(Duration::from_secs(3600));
        registration.start(NOW, &mut random(seed));
        registration.sent();
        registration.outcome(NOW, Outcome::Unreachable(Some(120)), &mut random(seed));
        let wait = due(&registration).since(NOW).as_secs() as usize;
        assert!((120..=180).contains(&wait), "seed {seed}: {wait}");
        seconds[wait] += 1;
    }
    assert!(seconds.iter().all(|count| *count < 80), "{seconds:?}");
}

#[test]
fn a_refusal_is_tried_again_slowly_and_not_forgotten() {
    let mut random = random(7);
    let mut registration = Registration::new(Duration::from_secs(3600));
    registration.start(NOW, &mut random);
    let mut waits = Vec::new();
    for _ in 0..8 {
        registration.sent();
        registration.outcome(NOW, Outcome::Refused(403, None), &mut random);
        assert_eq!(registration.state(), RegistrationState::Refused(403));
        waits.push(due(&registration).since(NOW).as_secs());
    }
    assert!(waits[0] >= 150 && waits[0] <= 300, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 3600) && waits[7] >= 1800, "{waits:?}");
}

#[test]
fn a_binding_is_up_until_its_end_whatever_fails_meanwhile() {
    let mut random = random(8);
    let mut registration = Registration::new(Duration::from_secs(3600));
    registration.start(NOW, &mut random);
    registration.sent();
    registration.outcome(NOW, Outcome::Granted(Duration::from_secs(100)), &mut random);
    let later = NOW + Duration::from_secs(80);
    registration.sent();
    registration.outcome(later, Outcome::Unreachable(None), &mut random);
    assert_eq!(registration.state(), RegistrationState::Up);
    registration.expire(NOW + Duration::from_secs(101));
    assert_eq!(registration.state(), RegistrationState::Unreachable);
}

/// The registrar is gone for three hours; thousands lost it in one second. When it is back, how many ask in any one second?
#[test]
fn thousands_of_neighbours_do_not_return_at_once() {
    const HOMES: u64 = 5000;
    let (died, back) = (10_000, 10_000 + 3 * 3600);
    let mut asked = vec![0_u32; 4000];
    let (mut first_hour, mut last_up) = (vec![0_u32; 3600], 0);
    for seed in 0..HOMES {
        let mut random = random(seed);
        let mut registration = Registration::new(Duration::from_secs(3600));
        registration.start(Instant::from_secs(died), &mut random);
        loop {
            let at = due(&registration);
            let second = at.as_secs();
            registration.sent();
            if second >= back {
                asked[(second - back) as usize] += 1;
                last_up = last_up.max(second - back);
                break;
            }
            if second - died < 3600 {
                first_hour[(second - died) as usize] += 1;
            }
            // Each try takes the 32 s of timer F to fail.
            registration.outcome(at + Duration::from_secs(32), Outcome::Unreachable(None), &mut random);
        }
    }
    let most = asked.iter().max().copied().unwrap_or(0);
    assert!(most <= 40, "at most {most} of {HOMES} in one second");
    assert!(last_up <= 640, "the last one after {last_up} s");
    let late = first_hour.iter().skip(1800).max().copied().unwrap_or(0);
    assert!(late <= 40, "while it is dead: {late} in one second");
}

#[test]
fn thousands_of_homes_that_watch_their_registrar_cost_it_little() {
    // All of a town's power came back at once; each renews for two hours.
    const HOMES: usize = 5000;
    let mut random = random(7);
    let mut homes: Vec<Registration> =
        (0..HOMES).map(|_| Registration::new(Duration::from_secs(3600))).collect();
    for home in &mut homes {
        home.start(NOW, &mut random);
    }
    let mut load = vec![0_u32; 7200];
    for (second, load) in load.iter_mut().enumerate() {
        let now = NOW + Duration::from_secs(second as u64);
        for home in homes.iter_mut().filter(|home| home.is_due(now)) {
            *load += 1;
            home.sent();
            home.outcome(now, Outcome::Granted(Duration::from_secs(3600)), &mut random);
            home.check_soon(now, &mut random);
        }
    }
    let later = &load[1800..];
    let mean = later.iter().sum::<u32>() as f64 / later.len() as f64;
    let (first, most) = (load[10..1800].iter().max().unwrap(), later.iter().max().unwrap());
    std::eprintln!(
        "{HOMES} homes: {mean:.1} REGISTERs a second, at most {most}; in the first half hour at most {first}"
    );
    assert!((mean - HOMES as f64 / 270.0).abs() < 1.0, "{mean}");
    assert!(*first < HOMES as u32 / 40 && *most < HOMES as u32 / 60, "{first} {most}");
}

#[test]
fn doubt_renews_soon_but_not_again_and_again() {
    for seed in 0..200 {
        let mut random = random(seed);
        let mut registration = Registration::new(Duration::from_secs(3600));
        registration.start(NOW, &mut random);
        registration.sent();
        registration.outcome(NOW, Outcome::Granted(Duration::from_secs(3600)), &mut random);
        registration.doubt(NOW + Duration::from_secs(100), &mut random);
        assert!(due(&registration) > NOW + Duration::from_secs(2000), "just renewed");
        let later = NOW + Duration::from_secs(200);
        registration.doubt(later, &mut random);
        assert!(due(&registration) <= later + DOUBT_SPREAD, "seed {seed}");
    }
}
