//! The built-in little web: one page about where it came from, a plain 404, and some bytes to measure with.
//!
//! HTTP/1.1 without keep-alive; a request head of at most 8 KiB, bodies are not read.

use std::net::SocketAddrV4;

use dialtone_base::Instant;
use dialtone_netsim::peer::Peer;
use dialtone_netsim::tcp;

/// Longest request head.
const HEAD: usize = 8 * 1024;
/// What `/bytes/N` gives at most.
const MOST_BYTES: u64 = 1 << 32;

/// A visitor of the built-in web.
pub struct WebPeer {
    from: SocketAddrV4,
    to: SocketAddrV4,
    internet: bool,
    request: Vec<u8>,
    answer: Option<Answer>,
}

struct Answer {
    head_and_page: Vec<u8>,
    sent: usize,
    /// Bytes of nothing in particular that follow.
    filler: u64,
}

impl WebPeer {
    /// Serves one connection.
    pub fn new(from: SocketAddrV4, to: SocketAddrV4, internet: bool) -> Self {
        Self { from, to, internet, request: Vec::new(), answer: None }
    }

    fn answer(&self) -> Answer {
        let request = String::from_utf8_lossy(&self.request);
        let mut words = request.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let host = request
            .lines()
            .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("host")))
            .map_or("", |(_, value)| value.trim());
        if method != "GET" && method != "HEAD" {
            return page("405 Method Not Allowed", "text/plain", "only GET and HEAD here\n");
        }
        if let Some(count) = path.strip_prefix("/bytes/").and_then(|count| count.parse::<u64>().ok()) {
            let count = count.min(MOST_BYTES);
            let head = head("200 OK", "application/octet-stream", count);
            let filler = if method == "GET" { count } else { 0 };
            return Answer { head_and_page: head.into_bytes(), sent: 0, filler };
        }
        let mut answer = match path {
            "/" => page("200 OK", "text/html; charset=utf-8", &self.home(host)),
            "/plain" => {
                page("200 OK", "text/plain", &format!("hello {} from {}\n", self.from.ip(), self.to.ip()))
            }
            _ => page("404 Not Found", "text/plain", "there is no such page in the built-in web\n"),
        };
        if method == "HEAD"
            && let Some(end) = find_end(&answer.head_and_page)
        {
            answer.head_and_page.truncate(end);
        }
        answer
    }

    fn home(&self, host: &str) -> String {
        let host = escape(host);
        let why = if self.internet {
            "Names under <b>.test</b> always lead here; all others lead to the real internet."
        } else {
            "This computer has no way to the internet (or the demo was told not to use it), so every name leads here."
        };
        format!(
            "<!doctype html><meta charset=utf-8><title>{host} in the built-in web</title>\
             <style>body{{font:1.1em/1.5 system-ui,sans-serif;max-width:42em;margin:3em auto;padding:0 1em}}</style>\
             <h1>You are behind Dialtone</h1>\
             <p>This page comes from the built-in web beyond the simulated ISP, asked for as <b>{host}</b>. \
             Your request went from the simulated laptop through the router's NAT: this server sees \
             <b>{from}</b>, the router's address on the WAN, and answers as <b>{to}</b>.</p>\
             <p>{why}</p>\
             <p>Try <a href=/plain>/plain</a>, or <a href=/bytes/10000000>/bytes/10000000</a> for ten megabytes.</p>",
            from = self.from,
            to = self.to,
        )
    }
}

impl Peer for WebPeer {
    fn pump(&mut self, _now: Instant, socket: &mut tcp::Socket<'static>) {
        while socket.can_recv() {
            let keep = self.answer.is_none();
            let got = socket.recv(|bytes| (bytes.len(), if keep { bytes.to_vec() } else { Vec::new() }));
            self.request.extend(got.unwrap_or_default());
            if keep && (find_end(&self.request).is_some() || self.request.len() > HEAD) {
                self.answer = Some(self.answer());
            }
        }
        let Some(answer) = &mut self.answer else {
            dialtone_netsim::peer::close_after_peer(socket);
            return;
        };
        while socket.can_send() {
            let rest = &answer.head_and_page[answer.sent..];
            if !rest.is_empty() {
                answer.sent += socket.send_slice(rest).unwrap_or(rest.len());
            } else if answer.filler > 0 {
                let filler = answer.filler;
                let sent = socket.send(|room| {
                    let count = room.len().min(usize::try_from(filler).unwrap_or(usize::MAX));
                    room[..count].fill(b'.');
                    (count, count)
                });
                answer.filler -= sent.unwrap_or(0) as u64;
            } else {
                socket.close();
            }
        }
    }
}

fn head(status: &str, kind: &str, length: u64) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n"
    )
}

fn page(status: &str, kind: &str, body: &str) -> Answer {
    let head_and_page = (head(status, kind, body.len() as u64) + body).into_bytes();
    Answer { head_and_page, sent: 0, filler: 0 }
}

/// One past the empty line that ends a head.
pub fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str) -> String {
        let address = "198.51.100.20:5000".parse().unwrap();
        let mut peer = WebPeer::new(address, "203.0.113.10:80".parse().unwrap(), false);
        peer.request = request.into();
        String::from_utf8(peer.answer().head_and_page).unwrap()
    }

    #[test]
    fn the_page_says_where_it_came_from_and_never_echoes_markup() {
        let answer = ask("GET / HTTP/1.1\r\nHost: <script>x.test\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(answer.contains("198.51.100.20:5000") && answer.contains("&lt;script&gt;x.test"));
        assert!(ask("GET /nothing HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask("POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(ask("HEAD / HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
        assert!(ask("\r\n\r\n").starts_with("HTTP/1.1 405"));
    }
}
