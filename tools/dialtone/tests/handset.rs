//! `dialtone handset` as scripts use it, on a line that is real and an exchange that is not.

use std::path::Path;
use std::process::{Command, Output};

mod fake_line;

fn handset(socket: &Path, commands: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dialtone"))
        .args(["handset", "--socket"])
        .arg(socket)
        .args(["-c", commands])
        .output()
        .expect("it starts")
}

#[test]
fn a_script_hears_dial_tone_calls_the_echo_and_hears_itself() {
    let socket = fake_line::start("echo");
    let file = std::env::temp_dir().join(format!("dialtone-echo-{}.wav", std::process::id()));
    let commands = format!(
        "lift; wait tone 425; 600; wait silence; record {}; tone 1000 1500; wait tone 1000; record end; hang up; status",
        file.display()
    );
    let output = handset(&socket, &commands);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("plugged into phone1, 8000 Hz") && said.contains("s recorded"), "{said}");
    let bytes = std::fs::read(&file).expect("it was recorded");
    let _ = std::fs::remove_file(&file);
    let loud =
        bytes[44..].chunks_exact(2).filter(|two| i16::from_le_bytes([two[0], two[1]]).abs() > 2000).count();
    assert!(loud > 2000, "{loud} samples of the tone came back");
}

#[test]
fn it_rings_and_shows_who_calls() {
    let socket = fake_line::start("ring");
    let commands = "lift; wait tone dial; 602; sleep 0.3; hang up; wait ring 10; wait caller 1; expect 602; lift; \
                    wait tone dial; hang up";
    let output = handset(&socket, commands);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("caller: 602 Call Back") && said.contains("it rings (25 Hz)"), "{said}");
}

#[test]
fn what_does_not_come_fails_the_script_and_a_taken_line_says_so() {
    let socket = fake_line::start("fail");
    let output = handset(&socket, "wait ring 0.2");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "dialtone: waited in vain for a ring\n");
    let output = handset(&socket, "lift; dance");
    assert!(String::from_utf8_lossy(&output.stderr).contains("'dance' is no command"));
    let output = handset(Path::new("/nowhere/phone.sock"), "lift");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no line at /nowhere/phone.sock"));

    let mut first = Command::new(env!("CARGO_BIN_EXE_dialtone"))
        .args(["handset", "-c", "sleep 20", "--socket"])
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(std::time::Duration::from_millis(500));
    let output = handset(&socket, "sleep 1");
    first.kill().expect("it runs");
    let _ = first.wait();
    assert!(String::from_utf8_lossy(&output.stderr).contains("another handset is plugged into this line"));
}
