//! HTTP for the handset page: four files, and the door to the WebSocket. Nothing else is answered.
//!
//! Whoever can open a page in a browser of this computer could otherwise make calls with it: the Host must be an address or
//! `localhost` (against DNS rebinding), a WebSocket must come from a page of the same origin, and frames may not hold the page.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

/// A request's head, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// With the query cut off.
    pub path: String,
    host: String,
    origin: Option<String>,
    upgrade: bool,
    key: Option<String>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// This file.
    File {
        /// Media type.
        kind: &'static str,
        /// Contents.
        body: &'static str,
    },
    /// A WebSocket to this line, counted from 0, with this key.
    Line(usize, String),
    /// A status and a sentence.
    Refused(&'static str, &'static str),
}

const FILES: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("../../../../web-ui/handset/index.html")),
    ("/handset.css", "text/css; charset=utf-8", include_str!("../../../../web-ui/handset/handset.css")),
    ("/handset.js", "text/javascript; charset=utf-8", include_str!("../../../../web-ui/handset/handset.js")),
    ("/sound.js", "text/javascript; charset=utf-8", include_str!("../../../../web-ui/handset/sound.js")),
    ("/worklet.js", "text/javascript; charset=utf-8", include_str!("../../../../web-ui/handset/worklet.js")),
];

/// Bytes of the longest head.
const HEAD: usize = 16 * 1024;

/// Reads a request's head; `None` when it is none, or too slow.
///
/// # Errors
/// When the connection breaks.
pub fn read(stream: &mut TcpStream) -> io::Result<Option<Request>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut head = Vec::new();
    let mut byte = [0; 1];
    // Byte by byte: what follows a head belongs to the WebSocket. A browser sends a few hundred.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD || stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    Ok(parse(&head))
}

fn parse(head: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    if method != "GET" && method != "HEAD" {
        return None;
    }
    let mut request = Request { path: path.split('?').next()?.into(), ..Request::default() };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => request.host = value.to_ascii_lowercase(),
            "origin" => request.origin = Some(value.to_ascii_lowercase()),
            "upgrade" => request.upgrade = value.eq_ignore_ascii_case("websocket"),
            "sec-websocket-key" => request.key = Some(value.into()),
            _ => {}
        }
    }
    Some(request)
}

/// Decides.
pub fn answer(request: &Request, lines: usize) -> Answer {
    if !is_ours(&request.host) {
        return Answer::Refused(
            "421 Misdirected Request",
            "this page is reached by an address, not by a name",
        );
    }
    if let Some(number) = request.path.strip_prefix("/line/") {
        let same = request.origin.as_ref() == Some(&format!("http://{}", request.host));
        let Some(key) = request.key.clone().filter(|_| request.upgrade) else {
            return Answer::Refused("426 Upgrade Required", "a WebSocket lives here");
        };
        if !same {
            return Answer::Refused("403 Forbidden", "only the page served here may use the line");
        }
        return match number.parse::<usize>() {
            Ok(number) if (1..=lines).contains(&number) => Answer::Line(number - 1, key),
            _ => Answer::Refused("404 Not Found", "there is no such line"),
        };
    }
    match FILES.iter().find(|(path, ..)| *path == request.path) {
        Some((_, kind, body)) => Answer::File { kind, body },
        None => Answer::Refused("404 Not Found", "there is no such page"),
    }
}

/// Whether a Host is an address or this computer: a name could be anybody's.
fn is_ours(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// Sends a file or a refusal and closes.
///
/// # Errors
/// When the connection breaks.
pub fn send(stream: &mut TcpStream, answer: &Answer) -> io::Result<()> {
    let (status, kind, body) = match answer {
        Answer::File { kind, body } => ("200 OK", *kind, (*body).to_string()),
        Answer::Refused(status, sentence) => (*status, "text/plain; charset=utf-8", format!("{sentence}\n")),
        Answer::Line(..) => return Ok(()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, host: &str, more: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
        answer(&parse(head.as_bytes()).unwrap(), 2)
    }

    #[test]
    fn only_the_page_itself_may_use_the_line() {
        let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n";
        let from = |origin: &str| ask("/line/2", "127.0.0.1:8081", &format!("{upgrade}Origin: {origin}\r\n"));
        assert_eq!(from("http://127.0.0.1:8081"), Answer::Line(1, "k".into()));
        assert!(matches!(from("http://evil.example"), Answer::Refused("403 Forbidden", _)));
        assert!(matches!(from("http://127.0.0.1:8080"), Answer::Refused("403 Forbidden", _)));
        assert!(matches!(ask("/line/2", "127.0.0.1:8081", upgrade), Answer::Refused("403 Forbidden", _)));
        assert!(matches!(ask("/line/1", "127.0.0.1:8081", ""), Answer::Refused("426 Upgrade Required", _)));
        // A name that was made to point here.
        let rebound = format!("{upgrade}Origin: http://evil.example:8081\r\n");
        assert!(matches!(
            ask("/line/1", "evil.example:8081", &rebound),
            Answer::Refused("421 Misdirected Request", _)
        ));
        assert!(matches!(ask("/", "evil.example:8081", ""), Answer::Refused("421 Misdirected Request", _)));
        for host in ["localhost:8081", "[::1]:8081", "192.168.77.2"] {
            assert!(matches!(ask("/?line=2", host, ""), Answer::File { .. }), "{host}");
        }
        assert!(matches!(ask("/etc/passwd", "localhost", ""), Answer::Refused("404 Not Found", _)));
        assert_eq!(parse(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"), None);
    }
}
