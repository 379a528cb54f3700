//! The demo's doors on 127.0.0.1; a taken port gives way to the next free one.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};

use super::Options;
use super::proxy::Protocol;
use super::screen::Screen;

/// Ports tried after the one asked for.
const TRIES: u16 = 50;

/// An open door.
pub struct Door {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Its port.
    pub port: u16,
    /// The socket behind it.
    pub listener: TcpListener,
}

/// Opens the proxies' three, saying so where a port was taken.
///
/// # Errors
/// When no port near the one asked for is free.
pub fn open(options: &Options, screen: &Screen) -> Result<Vec<Door>, String> {
    let wanted = [
        (Protocol::RouterPage, options.status_page),
        (Protocol::Http, options.http_proxy),
        (Protocol::Socks, options.socks_proxy),
    ];
    wanted
        .into_iter()
        .map(|(protocol, port)| {
            open_one(protocol.name(), port, screen).map(|(listener, port)| Door { protocol, port, listener })
        })
        .collect()
}

/// Opens one, saying so when its port was taken.
///
/// # Errors
/// As [`open`].
pub fn open_one(name: &str, port: u16, screen: &Screen) -> Result<(TcpListener, u16), String> {
    let (listener, got) = bind(port).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::PermissionDenied => "ports this low are for root only".into(),
            ErrorKind::AddrInUse => "all of them are taken".into(),
            _ => error.to_string(),
        };
        let option = name.replace("SOCKS5", "socks").replace(' ', "-").to_lowercase();
        format!("no port for the {name} from {port} on: {why}; choose another with --{option}")
    })?;
    if got != port && port != 0 {
        screen.port_taken(name, port, got);
    }
    Ok((listener, got))
}

fn bind(port: u16) -> io::Result<(TcpListener, u16)> {
    let mut last = io::Error::from(ErrorKind::AddrInUse);
    for candidate in port..=port.saturating_add(TRIES) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)) {
            Ok(listener) => {
                let got = listener.local_addr()?.port();
                return Ok((listener, got));
            }
            // Below 1024 it may be a missing right; the next port does not help there, but a later one may.
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_gives_way_to_the_next_free_one() {
        let (_holder, taken) = bind(0).unwrap();
        let (_, got) = bind(taken).unwrap();
        assert!(got > taken && got <= taken.saturating_add(TRIES));
    }
}
