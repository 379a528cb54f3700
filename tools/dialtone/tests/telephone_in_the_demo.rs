//! The whole way: a telephone on the demo's line, the router's own SIP and sound, the simulated operator at the far side.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A running demo; killed when a test fails.
struct Demo {
    process: Child,
    lines: Receiver<String>,
}

impl Demo {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dialtone"))
            .args(["--no-internet", "--seconds", "180", "--http-proxy", "0", "--socks-proxy", "0"])
            .args(["--status-page", "0", "--handset-page", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let (tell, lines) = channel();
        let output = BufReader::new(process.stdout.take().expect("piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
        Self { process, lines }
    }

    fn told(&self, what: &str) -> String {
        loop {
            let line =
                self.lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("no {what}"));
            if line.contains(what) {
                return line;
            }
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked to end, so that it removes its sockets.
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

#[test]
fn the_echo_answers_and_602_calls_back_with_its_number() {
    let demo = Demo::start();
    let socket = demo.told("handset --socket ").rsplit(' ').next().expect("a path").to_string();
    // Whichever is first.
    for _ in 0..2 {
        demo.told("is registered");
    }
    // Longer on-hook than any country's flash, also on a busy machine.
    let commands = "lift; wait tone dial; 600; wait feed reverse; tone 1000 1500; wait tone 1000; hang up; sleep 3; \
                    lift; wait tone dial; 602; wait feed reverse; sleep 1; hang up; wait ring; wait caller; expect 602; \
                    lift; wait sound; hang up";
    let output = Command::new(env!("CARGO_BIN_EXE_dialtone"))
        .args(["handset", "--socket", &socket, "-c", commands])
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("caller: 602 Call Back"), "{said}");
}
