//! The handset page in a real browser: lifted, listened to, dialled, called.
//!
//! Needs Chromium (`apt-get install chromium`); where there is none the test says so and passes. `PICTURES=folder` keeps pictures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

mod browser;
mod fake_line;

use browser::Browser;

/// `dialtone handset --web`; ended when dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(socket: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dialtone"))
            .args(["handset", "--web", "127.0.0.1:0", "--socket"])
            .arg(socket)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("text");
        let address = line.trim().rsplit("http://").next().expect("an address").trim_end_matches('/').into();
        Self { process, address }
    }

    fn say(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        // A refusal closes; an upgrade is cut off by the time limit.
        stream.set_read_timeout(Some(std::time::Duration::from_millis(500))).expect("a limit");
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How much of the newest second from the line is near a frequency, and how loud all of it is.
const SHARE: &str = "(hertz) => {
    const samples = handset.newest(), step = 2 * Math.cos(2 * Math.PI * hertz / handset.state.rate);
    let one = 0, two = 0, power = 0;
    for (const sample of samples) { [one, two] = [sample + step * one - two, one]; power += sample * sample; }
    const found = 2 * (one * one + two * two - step * one * two) / samples.length;
    return { share: found / (power + 1), level: Math.sqrt(power / samples.length), length: samples.length };
}";

#[test]
fn a_telephone_on_the_page_has_dial_tone_echo_and_rings() {
    let socket = fake_line::start("page");
    let server = Server::start(&socket);
    let Some(mut browser) = Browser::start("page") else {
        eprintln!("no Chromium here: the page was NOT tested");
        return;
    };
    let pictures = std::env::var_os("PICTURES").map(std::path::PathBuf::from);
    let keep = |browser: &mut Browser, name: &str, width, height, dark| {
        if let Some(folder) = &pictures {
            browser.value("document.activeElement.blur(), true");
            let text = browser.picture(width, height, dark);
            std::fs::write(folder.join(format!("{name}.png.base64")), text).expect("a folder for pictures");
        }
    };
    browser.open(&format!("http://{}/", server.address));
    browser.wait(10, "handset.state.plugged");
    keep(&mut browser, "idle", 900, 860, false);

    // Dial tone, in the stream and through the worklet into the earpiece.
    browser.click("#receiver");
    browser.value("handset.forget(), true");
    browser.wait(10, &format!("({SHARE})(425).length >= 7900 && ({SHARE})(425).share > 0.9"));
    browser
        .wait(5, "handset.sound.context.state === 'running' && document.getElementById('level').value > 0.3");
    let loudest = browser.value(
        "(() => { const ear = handset.sound.ear, bins = new Float32Array(ear.frequencyBinCount); \
         ear.getFloatFrequencyData(bins); \
         return bins.indexOf(Math.max(...bins)) * handset.sound.context.sampleRate / ear.fftSize })()",
    );
    let loudest = loudest.as_f64().expect("hertz");
    assert!((loudest - 425.0).abs() < 40.0, "the earpiece sounds at {loudest} Hz");
    keep(&mut browser, "lifted", 900, 860, false);

    // 600 by mouse and keyboard: the fake microphone beeps, and the beeps come back.
    browser.click("[data-key='6']");
    browser.key("0");
    browser.click("[data-key='0']");
    assert_eq!(browser.value("document.getElementById('number').textContent"), "600");
    std::thread::sleep(std::time::Duration::from_millis(500));
    browser.wait(15, &format!("({SHARE})(425).level > 100 && ({SHARE})(425).share < 0.2"));
    keep(&mut browser, "talking", 900, 860, true);
    browser.key(" ");
    browser.wait(5, "!handset.state.lifted && document.querySelector('[data-state=idle]')");
    assert_eq!(
        browser.value("handset.sound.microphone"),
        serde_json::Value::Null,
        "the microphone is let go"
    );

    // 602 calls back, with its number on the display.
    browser.key(" ");
    browser.wait(5, "handset.state.lifted");
    std::thread::sleep(std::time::Duration::from_millis(300));
    for key in ["6", "0", "2"] {
        browser.key(key);
    }
    browser.click("#receiver");
    browser.wait(10, "document.querySelector('[data-ringing]')");
    assert_eq!(browser.value("document.getElementById('number').textContent"), "602");
    assert_eq!(browser.value("document.getElementById('name').textContent"), "Call Back");
    assert_eq!(browser.value("Boolean(handset.sound.ringing)"), true, "the bell is heard");
    keep(&mut browser, "ringing", 900, 860, false);
    keep(&mut browser, "small", 375, 667, true);
    browser.click("#receiver");
    browser.wait(5, "handset.state.lifted && !document.querySelector('[data-ringing]')");
    browser.wait(5, &format!("({SHARE})(425).share > 0.8"));
    browser.key("Escape");
    browser.wait(5, "!handset.state.lifted");
    assert!(browser.console.is_empty(), "{:?}", browser.console);
}

#[test]
fn strangers_get_no_line() {
    let socket = fake_line::start("strangers");
    let server = Server::start(&socket);
    let ask = |host: &str, origin: &str| {
        server.say(&format!(
            "GET /line/1 HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ))
    };
    let here = server.address.clone();
    assert!(ask(&here, "http://evil.example").starts_with("HTTP/1.1 403"));
    assert!(ask("evil.example", "http://evil.example").starts_with("HTTP/1.1 421"));
    let answer = ask(&here, &format!("http://{here}"));
    // RFC 6455, section 1.3.
    assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    assert!(answer.contains(r#""rate":8000"#), "{answer}");
}
