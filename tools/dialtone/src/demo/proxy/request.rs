//! What a proxy's client says, and what it is told: HTTP and SOCKS5 as pure functions.

use std::net::Ipv4Addr;

use super::super::web::find_end;
use super::Protocol;

/// Where a client wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub destination: Destination,
    /// TCP port.
    pub port: u16,
    /// The client speaks through, rather than to, the proxy.
    pub tunnel: bool,
    /// What the server is told first.
    pub for_server: Vec<u8>,
}

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// As it is.
    Address(Ipv4Addr),
    /// To be looked up.
    Name(String),
    /// The laptop's default gateway.
    Router,
}

/// How far a client's words were understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// All of it.
    Target(Target),
    /// Say this, then listen on.
    Say(Vec<u8>),
    /// Say this and close.
    Refuse(Vec<u8>),
    /// There must be more to come.
    Incomplete,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name does not exist or has no IPv4 address.
    NoSuchName,
    /// Nobody answered in time.
    NoAnswer,
    /// The far end refused.
    Refused,
}

/// Reads an HTTP proxy request. A request with a body is passed on with what has been read of it.
pub fn http(head: &[u8]) -> Parsed {
    let Some(end) = find_end(head) else { return Parsed::Incomplete };
    let Ok(text) = str::from_utf8(&head[..end]) else { return bad_request("not text") };
    let Some((first, rest)) = text.split_once("\r\n") else { return bad_request("no request line") };
    let words: Vec<&str> = first.split(' ').collect();
    let [method, uri, version] = words[..] else {
        return bad_request("three words belong in a request line");
    };
    if method.eq_ignore_ascii_case("CONNECT") {
        let Some((destination, port)) = authority(uri, None) else {
            return bad_request("CONNECT wants host:port");
        };
        // A client may send on before it has the answer.
        return Parsed::Target(Target { destination, port, tunnel: true, for_server: head[end..].to_vec() });
    }
    let Some(absolute) =
        uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).and(uri.get(7..))
    else {
        return bad_request("this is a proxy: it wants http://host/path or CONNECT host:port");
    };
    let (place, path) = match absolute.find(['/', '?']) {
        Some(at) if absolute.as_bytes()[at] == b'/' => (&absolute[..at], absolute[at..].to_string()),
        Some(at) => (&absolute[..at], format!("/{}", &absolute[at..])),
        None => (absolute, "/".to_string()),
    };
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let Some((destination, port)) = authority(place, Some(80)) else {
        return bad_request("no host in the address");
    };
    let mut for_server = format!("{method} {path} {version}\r\n");
    for line in rest.split("\r\n").filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or("");
        if !HOP_BY_HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name.trim())) {
            for_server += line;
            for_server += "\r\n";
        }
    }
    // One request per connection: the next one may be for another server.
    for_server += "Connection: close\r\n\r\n";
    let mut for_server = for_server.into_bytes();
    for_server.extend_from_slice(&head[end..]);
    Parsed::Target(Target { destination, port, tunnel: false, for_server })
}

/// Reads what a SOCKS5 client says, taking what is understood off the front of `said`. `greeted`: its greeting was answered.
pub fn socks(said: &mut Vec<u8>, greeted: bool) -> Parsed {
    let parsed = if greeted { socks_request(said) } else { socks_greeting(said) };
    match parsed {
        None => Parsed::Incomplete,
        Some((used, parsed)) => {
            said.drain(..used);
            match parsed {
                Parsed::Target(target) => {
                    Parsed::Target(Target { for_server: std::mem::take(said), ..target })
                }
                other => other,
            }
        }
    }
}

/// RFC 1928, section 3: version, number of methods, methods.
fn socks_greeting(said: &[u8]) -> Option<(usize, Parsed)> {
    if *said.first()? != 5 {
        return Some((said.len(), Parsed::Refuse(Vec::new())));
    }
    let count = *said.get(1)? as usize;
    let methods = said.get(2..2 + count)?;
    let parsed = if methods.contains(&0) { Parsed::Say(vec![5, 0]) } else { Parsed::Refuse(vec![5, 0xff]) };
    Some((2 + count, parsed))
}

/// RFC 1928, section 4: version, command, reserved, address type, address, port.
fn socks_request(said: &[u8]) -> Option<(usize, Parsed)> {
    let refuse = |code| Some((said.len(), Parsed::Refuse(socks_reply(code))));
    let [version, command, _, kind] = *said.first_chunk::<4>()?;
    if version != 5 || command != 1 {
        return refuse(7);
    }
    let (destination, at) = match kind {
        1 => {
            let octets: [u8; 4] = said.get(4..8)?.try_into().ok()?;
            (Destination::Address(octets.into()), 8)
        }
        3 => {
            let length = *said.get(4)? as usize;
            let name = str::from_utf8(said.get(5..5 + length)?).ok().and_then(destination);
            let Some(name) = name else { return refuse(1) };
            (name, 5 + length)
        }
        // IPv6 has no way through this house yet.
        _ => return refuse(8),
    };
    let port = u16::from_be_bytes(said.get(at..at + 2)?.try_into().ok()?);
    Some((at + 2, Parsed::Target(Target { destination, port, tunnel: true, for_server: Vec::new() })))
}

/// What the client hears when the connection stands.
pub fn success(protocol: Protocol, target: &Target) -> Vec<u8> {
    match protocol {
        Protocol::Socks => socks_reply(0),
        // A plain request is answered by the server itself.
        Protocol::Http if target.tunnel => b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec(),
        Protocol::Http | Protocol::RouterPage => Vec::new(),
    }
}

/// What the client hears when there is no connection.
pub fn failure(protocol: Protocol, failure: Failure) -> Vec<u8> {
    let (code, status, why) = match failure {
        Failure::NoSuchName => (4, "502 Bad Gateway", "the name has no address"),
        Failure::NoAnswer => (4, "504 Gateway Timeout", "nobody answers"),
        Failure::Refused => (5, "502 Bad Gateway", "the far end refuses"),
    };
    match protocol {
        Protocol::Socks => socks_reply(code),
        Protocol::Http | Protocol::RouterPage => http_answer(status, why),
    }
}

fn socks_reply(code: u8) -> Vec<u8> {
    vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

fn http_answer(status: &str, why: &str) -> Vec<u8> {
    let body = format!("Dialtone demo: {why}\n");
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn bad_request(why: &str) -> Parsed {
    Parsed::Refuse(http_answer("400 Bad Request", why))
}

fn authority(text: &str, default_port: Option<u16>) -> Option<(Destination, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, "")) => (host, default_port?),
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, default_port?),
    };
    Some((destination(host)?, port))
}

fn destination(host: &str) -> Option<Destination> {
    if let Ok(address) = host.parse() {
        return Some(Destination::Address(address));
    }
    let name = host.trim_end_matches('.');
    let plausible = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    plausible.then(|| Destination::Name(name.to_ascii_lowercase()))
}

/// RFC 9110, section 7.6.1, and what old clients say to proxies.
const HOP_BY_HOP: [&str; 7] = [
    "Connection",
    "Proxy-Connection",
    "Keep-Alive",
    "TE",
    "Upgrade",
    "Proxy-Authorization",
    "Proxy-Authenticate",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_becomes_the_one_the_server_expects() {
        let request = b"GET http://user@Example.test:81?a=1 HTTP/1.1\r\nHost: example.test:81\r\n\
            Proxy-Connection: keep-alive\r\nAccept: */*\r\n\r\nrest";
        let Parsed::Target(target) = http(request) else { panic!("{:?}", http(request)) };
        assert_eq!(target.destination, Destination::Name("example.test".into()));
        assert_eq!(target.port, 81);
        let expected =
            "GET /?a=1 HTTP/1.1\r\nHost: example.test:81\r\nAccept: */*\r\nConnection: close\r\n\r\nrest";
        assert_eq!(String::from_utf8_lossy(&target.for_server), expected);
        assert!(success(Protocol::Http, &target).is_empty());
    }

    #[test]
    fn connect_opens_a_tunnel_and_keeps_early_bytes() {
        let Parsed::Target(target) = http(b"CONNECT 203.0.113.10:443 HTTP/1.1\r\n\r\n\x16\x03") else {
            panic!()
        };
        assert_eq!(target.destination, Destination::Address(Ipv4Addr::new(203, 0, 113, 10)));
        assert_eq!(target.for_server, b"\x16\x03");
        assert!(success(Protocol::Http, &target).starts_with(b"HTTP/1.1 200"));
    }

    #[test]
    fn nonsense_is_refused_and_halves_are_waited_for() {
        assert_eq!(http(b"GET http://a.test/ HTTP/1.1\r\n"), Parsed::Incomplete);
        for nonsense in
            ["GET / HTTP/1.1", "GET", "CONNECT a.test HTTP/1.1", "GET http:/// HTTP/1.1", "\u{fffd} \u{1}"]
        {
            let said = format!("{nonsense}\r\n\r\n");
            assert!(matches!(http(said.as_bytes()), Parsed::Refuse(_)), "{nonsense}");
        }
    }

    #[test]
    fn socks_takes_names_and_addresses_byte_by_byte() {
        let mut said = vec![5, 2, 0];
        assert_eq!(socks(&mut said, false), Parsed::Incomplete);
        said.extend([2, 5, 1, 0, 3, 6]);
        assert_eq!(socks(&mut said, false), Parsed::Say(vec![5, 0]));
        assert_eq!(socks(&mut said, true), Parsed::Incomplete);
        said.extend(b"a.test\x00\x50early");
        let destination = Destination::Name("a.test".into());
        let expected = Target { destination, port: 80, tunnel: true, for_server: b"early".to_vec() };
        assert_eq!(socks(&mut said, true), Parsed::Target(expected));
        assert_eq!(socks(&mut vec![4, 1, 0], false), Parsed::Refuse(vec![]));
        assert_eq!(socks(&mut vec![5, 1, 2], false), Parsed::Refuse(vec![5, 0xff]));
        let six = &mut vec![5, 1, 0, 4];
        assert!(matches!(socks(six, true), Parsed::Refuse(words) if words[1] == 8));
    }
}
