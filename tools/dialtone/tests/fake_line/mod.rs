//! A line with nobody behind it, for tests of handsets: dial tone, 600 echoes, 602 rings back with a number on the display.
//!
//! The socket is the real one of `hal/linux`; what is behind it is forty lines instead of a router.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use dialtone_hal_api::line::{Feed, LineHandle, LineInfo, PcmFrame, line};
use dialtone_hal_linux::executor::Host as Executor;
use dialtone_hal_linux::handset::HandsetSocket;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer, with_timeout};

/// Starts a line in a thread of its own, for the rest of the program; where its socket is.
pub fn start(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("dialtone-line-{}", std::process::id()));
    let path = folder.join(format!("{name}.sock"));
    let (socket_path, (ready, is_ready)) = (path.clone(), std::sync::mpsc::channel());
    std::thread::spawn(move || {
        let executor = Executor::new().expect("descriptors");
        let info = LineInfo { name: "phone1".into(), sample_rate: 8000 };
        let (handle, driver) = line(info);
        let socket = HandsetSocket::open(Path::new(&socket_path)).expect("a folder for sockets");
        ready.send(()).expect("the test waits");
        let reactor = executor.reactor();
        executor.spawn(async move { panic!("{}", socket.run(&reactor, driver).await) });
        executor.spawn(exchange(handle));
        executor.run().expect("epoll");
    });
    is_ready.recv().expect("the line starts");
    path
}

async fn exchange(line: LineHandle) {
    let mut call_back = false;
    loop {
        if std::mem::take(&mut call_back) {
            Timer::after_millis(500).await;
            if !ring(&line).await {
                continue;
            }
        } else {
            while !line.transition().await.closed {}
        }
        call_back = off_hook(&line).await;
    }
}

/// Rings like Germany, caller ID before the first ring; whether somebody lifted.
async fn ring(line: &LineHandle) -> bool {
    line.set_audio(true);
    let mut sound: VecDeque<i16> = caller_id("602", "Call Back").into();
    while !sound.is_empty() {
        line.captured().next().await;
        let frame: Vec<i16> = (0..80).map(|_| sound.pop_front().unwrap_or(0)).collect();
        line.playback().push(PcmFrame::from_samples(&frame));
    }
    Timer::after_millis(100).await;
    line.set_audio(false);
    for _ in 0..5 {
        for (feed, millis) in [(Feed::Ringing(25), 1000), (Feed::Forward, 2000)] {
            line.set_feed(feed);
            if let Ok(change) = with_timeout(Duration::from_millis(millis), line.transition()).await
                && change.closed
            {
                line.set_feed(Feed::Forward);
                return true;
            }
        }
    }
    false
}

/// Dial tone until a key is heard; 600 echoes. Whether 602 was dialled.
async fn off_hook(line: &LineHandle) -> bool {
    line.set_audio(true);
    let (mut keys, mut phase) = (String::new(), 0.0_f64);
    // A busy machine loses frames: a key counts after three of its own, and once until three without it.
    let (mut key, mut candidate, mut same) = (None, None, 0);
    let mut echo: VecDeque<i16> = vec![0; 2400].into();
    loop {
        match select(line.transition(), line.captured().next()).await {
            Either::First(change) if !change.closed => {
                line.set_audio(false);
                return keys == "602";
            }
            Either::First(_) => {}
            Either::Second(frame) => {
                let heard = key_in(frame.samples());
                same = if heard == candidate { same + 1 } else { 1 };
                candidate = heard;
                if same == 3 && heard != key {
                    key = heard;
                    keys.extend(heard);
                }
                echo.extend(frame.samples());
                let back: Vec<i16> = echo.drain(..80.min(echo.len())).collect();
                let played: Vec<i16> = match keys.as_str() {
                    "" => (0..80)
                        .map(|_| {
                            phase += TAU * 425.0 / 8000.0;
                            (4000.0 * phase.sin()) as i16
                        })
                        .collect(),
                    "600" => back,
                    _ => vec![0; 80],
                };
                line.playback().push(PcmFrame::from_samples(&played));
            }
        }
    }
}

fn key_in(samples: &[i16]) -> Option<char> {
    let power = |hertz: f64| {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (at, sample) in samples.iter().enumerate() {
            let angle = TAU * hertz * at as f64 / 8000.0;
            real += f64::from(*sample) * angle.cos();
            imaginary += f64::from(*sample) * angle.sin();
        }
        (real * real + imaginary * imaginary) / samples.len() as f64
    };
    let best = |tones: [f64; 3]| {
        let powers = tones.map(power);
        (0..3).max_by(|a, b| powers[*a].total_cmp(&powers[*b])).filter(|at| powers[*at] > 1e8)
    };
    // 0 has a row of its own.
    let row = if power(941.0) > 1e8 { Some(3) } else { best([697.0, 770.0, 852.0]) };
    let column = best([1209.0, 1336.0, 1477.0])?;
    Some(["123", "456", "789", "*0#"][row?].as_bytes()[column].into())
}

fn caller_id(number: &str, name: &str) -> Vec<i16> {
    let mut message = vec![0x80, 0];
    for (kind, text) in [(2, number), (7, name)] {
        message.extend([kind, text.len() as u8]);
        message.extend(text.bytes());
    }
    message[1] = message.len() as u8 - 2;
    message.push(message.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg());
    let mut bits: Vec<bool> = (0..300).map(|at| at % 2 == 1).chain([true; 180]).collect();
    for byte in message {
        bits.push(false);
        bits.extend((0..8).map(|at| byte >> at & 1 == 1));
        bits.push(true);
    }
    bits.extend([true; 12]);
    let mut phase = 0.0_f64;
    (0..bits.len() * 8000 / 1200)
        .map(|at| {
            let bit = bits[(at * 1200 / 8000).min(bits.len() - 1)];
            phase += TAU * if bit { 1300.0 } else { 2100.0 } / 8000.0;
            (phase.sin() * 6000.0) as i16
        })
        .collect()
}
