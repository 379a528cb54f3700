//! The converter against ALSA's own `file` and `null` devices, set up by a configuration that the test writes.
//!
//! ALSA reads its configuration from a place in the environment, so the test that needs one runs itself again in a process of its own.
//! Those devices know no time: they deliver as fast as the line fetches, so pace is not tested here.

use std::process::Command;

use embassy_futures::block_on;

use super::*;

const CONFIGURED: &str = "DIALTONE_TEST_ALSA";

fn inside(name: &str, folder: &std::path::Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("alsa::tests::{name}"), "--nocapture"])
        .env("ALSA_CONFIG_PATH", folder.join("asound.conf"))
        .env(CONFIGURED, folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn available() -> bool {
    let found = library().is_ok();
    if !found {
        assert!(missing().to_string().contains("apt-get install libasound2"));
        println!("not tested: there is no libasound.so.2");
    }
    found
}

#[test]
fn a_library_that_is_missing_is_no_library() {
    assert!(load(c"libno-such-thing.so.7").is_none());
    // A library that is there but another one.
    assert!(load(c"libc.so.6").is_none());
}

#[test]
fn a_missing_device_is_named() {
    if !available() {
        return;
    }
    let error = AlsaCodec::open("hw:97", 8000).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("hw:97") && text.contains("aplay -l"), "{text}");
}

#[test]
fn what_is_played_is_in_the_file_and_what_is_in_the_file_is_captured() {
    if !available() {
        return;
    }
    let Some(folder) = std::env::var_os(CONFIGURED).map(std::path::PathBuf::from) else {
        let folder = std::env::temp_dir().join(format!("dialtone-alsa-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let samples: Vec<u8> = (0..8000_i16).flat_map(i16::to_le_bytes).collect();
        std::fs::write(folder.join("in.raw"), samples).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let configuration = format!(
            "pcm.testline {{ type asym
                playback.pcm {{ type file slave.pcm {{ type null }} file \"{}\" format raw }}
                capture.pcm {{ type file slave.pcm {{ type null }} file /dev/null infile \"{}\" format raw }}
            }}\n",
            path("out.raw"),
            path("in.raw"),
        );
        std::fs::write(folder.join("asound.conf"), configuration).unwrap();
        inside("what_is_played_is_in_the_file_and_what_is_in_the_file_is_captured", &folder);
        std::fs::remove_dir_all(folder).unwrap();
        return;
    };
    let mut codec = AlsaCodec::open("testline", 8000).unwrap();
    codec.start().unwrap();
    for number in 0..50 {
        let frame = block_on(codec.capture()).unwrap();
        let expected: Vec<i16> = (number * 80..number * 80 + 80).collect();
        assert!(frame.samples() == expected, "frame {number}");
        codec.play(&PcmFrame::from_samples(&[number + 1; 80])).unwrap();
    }
    codec.stop();
    codec.start().unwrap();
    assert_eq!(block_on(codec.capture()).unwrap().samples().len(), 80, "on again");
    drop(codec);
    let played = std::fs::read(folder.join("out.raw")).unwrap();
    let played: Vec<i16> =
        played.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let head_start = HEAD_START * 80;
    assert!(played[..head_start].iter().all(|sample| *sample == 0), "silence first");
    let expected: Vec<i16> = (1..=50).flat_map(|value| [value; 80]).collect();
    assert!(played[head_start..head_start + 4000] == expected, "then every answer, whole and in order");
}
