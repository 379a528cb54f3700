//! A real Chromium, held by its debugging protocol: as much of it as a test of a page needs.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// A browser with one page. Ended when dropped.
pub struct Browser {
    process: Child,
    folder: PathBuf,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    next: u64,
    /// What the page wrote to its console, and its uncaught errors.
    pub console: Vec<String>,
}

impl Browser {
    /// Starts one with a microphone that beeps; `None` where there is no Chromium.
    pub fn start(name: &str) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("dialtone-browser-{}-{name}", std::process::id()));
        let mut process = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-port=0",
                "--no-first-run",
            ])
            .args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "about:blank"])
            .arg(format!("--user-data-dir={}", folder.display()))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").map(|(_, address)| address.to_string()))
            .expect("it says where it listens");
        // Its pipe must not fill up.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(&address).expect("it listens there");
        let mut browser =
            Self { process, folder, socket, session: String::new(), next: 0, console: Vec::new() };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.ask("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().expect("a session").into();
        for domain in ["Page", "Runtime"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Sends a command and waits for its result.
    pub fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.socket.send(Message::text(message.to_string())).expect("the browser runs");
        loop {
            let Message::Text(text) = self.socket.read().expect("the browser runs") else { continue };
            let mut said: Value = serde_json::from_str(&text).expect("JSON");
            match said["method"].as_str() {
                Some("Runtime.consoleAPICalled") => self.console.push(said["params"]["args"].to_string()),
                Some("Runtime.exceptionThrown") => {
                    self.console.push(said["params"]["exceptionDetails"].to_string());
                }
                _ => {}
            }
            if said["id"] == self.next {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].take();
            }
        }
    }

    /// Opens a page.
    pub fn open(&mut self, address: &str) {
        self.ask("Page.navigate", json!({ "url": address }));
    }

    /// The value of an expression; promises are waited for.
    pub fn value(&mut self, expression: &str) -> Value {
        let mut said = self.ask(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        assert!(said["exceptionDetails"].is_null(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, seconds: u64, expression: &str) {
        let until = Instant::now() + Duration::from_secs(seconds);
        // While a page loads there may be nothing to ask yet.
        let guarded =
            format!("(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()");
        while self.value(&guarded) != true {
            if Instant::now() > until {
                let text = self.value("document.body.innerText");
                panic!("in vain: {expression}\n{text}\n{:?}", self.console);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses the mouse on an element and lets go.
    pub fn click(&mut self, selector: &str) {
        let place = self.value(&format!(
            "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2] }})()"
        ));
        for (kind, pause) in [("mousePressed", 120), ("mouseReleased", 90)] {
            self.ask(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 }),
            );
            std::thread::sleep(Duration::from_millis(pause));
        }
    }

    /// Presses a key and lets go.
    pub fn key(&mut self, key: &str) {
        let text = if key.len() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            self.ask("Input.dispatchKeyEvent", json!({ "type": kind, "key": key, "text": text }));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The window's size, whether the colours are dark, and a picture of it in PNG (base64).
    pub fn picture(&mut self, width: u32, height: u32, dark: bool) -> String {
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": false }),
        );
        let scheme = if dark { "dark" } else { "light" };
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        std::thread::sleep(Duration::from_millis(400));
        let mut said = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        said["data"].take().as_str().unwrap_or_default().into()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Gone already after a failure.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
