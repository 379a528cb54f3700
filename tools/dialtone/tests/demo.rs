//! The demo as people meet it: started as a process, used through its proxies, ended with Ctrl-C.
//!
//! Without internet, so that it says the same everywhere.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A running demo; killed when a test fails.
struct Demo {
    process: Child,
    output: BufReader<ChildStdout>,
    status_page: u16,
    http: u16,
    socks: u16,
}

impl Demo {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dialtone"))
            .args(["--no-internet", "--seconds", "120"])
            .args(["--http-proxy", "0", "--socks-proxy", "0", "--status-page", "0", "--handset-page", "0"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut port_after = |what: &str| loop {
            let mut line = String::new();
            assert!(
                output.read_line(&mut line).expect("text") > 0,
                "the demo ended before it named its {what}"
            );
            assert!(!line.contains('\x1b'), "no colours where there is no terminal: {line}");
            if line.contains(what) {
                let rest = &line[line.find("127.0.0.1:").expect("an address") + 10..];
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                break digits.parse().expect("a port");
            }
        };
        let status_page = port_after("status page");
        let http = port_after("HTTP proxy");
        let socks = port_after("SOCKS5 proxy");
        Self { process, output, status_page, http, socks }
    }

    /// What `said` to a proxy brings back until it closes.
    fn say(&self, port: u16, said: &[u8]) -> Vec<u8> {
        let mut stream = connect(port);
        stream.write_all(said).expect("the demo listens");
        let mut back = Vec::new();
        // A reset after the answer is an end as well.
        let _ = stream.read_to_end(&mut back);
        back
    }

    fn text(&self, port: u16, said: &str) -> String {
        String::from_utf8_lossy(&self.say(port, said.as_bytes())).into_owned()
    }

    /// Ctrl-C; everything it printed after its ports.
    fn interrupt(mut self) -> String {
        let killed = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        assert!(killed.expect("kill").success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}\n{rest}");
        rest
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Gone already after a clean end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the port it named is open");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream
}

#[test]
fn a_newcomer_browses_through_the_simulated_home_and_leaves_with_ctrl_c() {
    let demo = Demo::start();

    // Plain HTTP: the far side sees the router's address on the WAN, not the laptop's.
    let hello = demo.text(demo.http, "GET http://example.test/plain HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert!(hello.starts_with("HTTP/1.1 200 OK"), "{hello}");
    assert!(hello.contains("hello 198.51.100.") && hello.contains("from 203.0.113.10"), "{hello}");

    // Any name leads to the built-in web, and a page explains.
    let page =
        demo.text(demo.http, "GET http://www.wikipedia.org/ HTTP/1.1\r\nHost: www.wikipedia.org\r\n\r\n");
    assert!(page.contains("You are behind Dialtone") && page.contains("www.wikipedia.org"), "{page}");

    // A tunnel.
    let tunnel = demo.text(
        demo.http,
        "CONNECT example.test:80 HTTP/1.1\r\n\r\nGET /plain HTTP/1.1\r\nHost: example.test\r\n\r\n",
    );
    assert!(tunnel.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK"), "{tunnel}");

    // SOCKS5 with a name.
    let mut said = b"\x05\x01\x00\x05\x01\x00\x03\x0cexample.test\x00\x50".to_vec();
    said.extend(b"GET /plain HTTP/1.1\r\nHost: example.test\r\n\r\n");
    let socks = demo.say(demo.socks, &said);
    assert!(socks.starts_with(b"\x05\x00\x05\x00\x00\x01"), "{socks:?}");
    assert!(String::from_utf8_lossy(&socks).contains("hello 198.51.100."));

    // The status page.
    let status =
        demo.text(demo.status_page, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");

    let told = demo.interrupt();
    for expected in
        ["link up", "internet up: 198.51.100.", "leased 192.168.77.", "example.test", "Dialtone ran for"]
    {
        assert!(told.contains(expected), "{expected} is missing:\n{told}");
    }
}

#[test]
fn what_cannot_be_had_is_refused_at_once_and_counted() {
    let demo = Demo::start();
    let started = Instant::now();
    // The built-in web has no certificates: a client that waits for a handshake would wait for ever.
    let tunnel = demo.text(demo.http, "CONNECT example.test:443 HTTP/1.1\r\n\r\n");
    assert!(tunnel.starts_with("HTTP/1.1 502"), "{tunnel}");
    let nowhere = demo.text(demo.http, "GET http://nothing.home.arpa/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(nowhere.starts_with("HTTP/1.1 502"), "{nowhere}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let hello = demo.text(demo.http, "GET http://example.test/plain HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert!(hello.starts_with("HTTP/1.1 200"), "{hello}");
    let told = demo.interrupt();
    assert!(told.contains("3 connections through the proxies (2 failed)"), "{told}");
    assert!(!told.contains(" 0 B out"), "the request went out: {told}");
}

#[test]
fn a_capture_is_whole_when_the_demo_ends() {
    let file = std::env::temp_dir().join(format!("dialtone-capture-{}.pcap", std::process::id()));
    let demo = Demo::start_with(&["--capture", file.to_str().expect("a plain path")]);
    let hello = demo.text(demo.http, "GET http://example.test/plain HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert!(hello.starts_with("HTTP/1.1 200"), "{hello}");
    demo.interrupt();
    let bytes = std::fs::read(&file).expect("it was written");
    let _ = std::fs::remove_file(&file);
    assert!(bytes.windows(4).any(|four| four == b"GET "), "the request is in it");
    // Records follow one another to the last byte: 16 bytes of head, of which the third word is the length.
    let mut at = 24;
    while at < bytes.len() {
        let length: [u8; 4] = bytes[at + 8..at + 12].try_into().expect("four bytes");
        at += 16 + u32::from_le_bytes(length) as usize;
    }
    assert_eq!(at, bytes.len(), "the last record is cut off");
}

#[test]
fn a_hundred_downloads_at_once_arrive_whole() {
    let demo = Demo::start();
    let (http, size) = (demo.http, 300_000);
    let started = Instant::now();
    let downloads: Vec<_> = (0..100)
        .map(|_| {
            std::thread::spawn(move || {
                let mut stream = connect(http);
                let request =
                    format!("GET http://example.test/bytes/{size} HTTP/1.1\r\nHost: example.test\r\n\r\n");
                stream.write_all(request.as_bytes()).expect("the demo listens");
                let mut back = Vec::new();
                stream.read_to_end(&mut back).expect("an orderly end");
                let head = back.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
                back.len() - head
            })
        })
        .collect();
    for download in downloads {
        assert_eq!(download.join().expect("no download failed"), size);
    }
    println!("100 downloads of {size} bytes: {:?}", started.elapsed());
    demo.interrupt();
}

#[test]
fn the_home_cannot_reach_what_only_this_computer_can() {
    let demo = Demo::start();
    let secret = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    secret.set_nonblocking(true).expect("non-blocking");
    let port = secret.local_addr().expect("bound").port();
    for host in ["127.0.0.1", "localhost.", "10.0.0.1", "192.168.1.1"] {
        let answer =
            demo.text(demo.http, &format!("GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 50"), "{host}: {answer}");
    }
    assert!(secret.accept().is_err(), "somebody came");
    demo.interrupt();
}

#[test]
fn clients_that_leave_early_or_talk_nonsense_do_no_harm() {
    let demo = Demo::start();
    for said in ["\x00\x01\x02\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "CONNECT x HTTP/1.1\r\n\r\n"] {
        assert!(demo.text(demo.http, said).starts_with("HTTP/1.1 400"), "{said:?}");
    }
    for said in [&b"\x04\x01"[..], b"\x05\x01\x02", b"\x05\x01\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"] {
        let _ = demo.say(demo.socks, said);
    }
    for _ in 0..50 {
        let mut stream = connect(demo.http);
        let _ = stream.write_all(b"GET http://example.test/bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n");
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.shutdown(Shutdown::Both);
    }
    let hello = demo.text(demo.http, "GET http://example.test/plain HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert!(hello.starts_with("HTTP/1.1 200 OK"), "{hello}");
    demo.interrupt();
}
