//! Via: the way a response goes back.
//!
//! RFC 3261 section 20.42 and 18.2, RFC 3581 (`rport`).

use core::net::{IpAddr, SocketAddr};

use super::lex::{Cursor, is_space};
use super::parameters::Parameters;
use crate::uri::{Host, parse_host_port};

/// One Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written: `UDP`, `TCP`, or a stranger's.
    pub transport: &'a str,
    /// The sender's own opinion of its host.
    pub host: Host<'a>,
    /// And of its port.
    pub port: Option<u16>,
    /// `branch` and others.
    pub parameters: Parameters<'a>,
}

impl<'a> Via<'a> {
    /// What RFC 3261 branches begin with.
    pub const MAGIC_COOKIE: &'static str = "z9hG4bK";

    /// One whole value; `None` when it is none.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        cursor.skip_space();
        let protocol = cursor.token()?;
        if !cursor.eat_separator(b'/') || !protocol.eq_ignore_ascii_case("SIP") {
            return None;
        }
        cursor.token()?;
        if !cursor.eat_separator(b'/') {
            return None;
        }
        let transport = cursor.token()?;
        if !cursor.peek().is_some_and(is_space) {
            return None;
        }
        cursor.skip_space();
        let host = cursor.take_while(|byte| !is_space(byte) && byte != b';' && byte != b',');
        let (host, mut port) = parse_host_port(core::str::from_utf8(host).ok()?)?;
        // `COLON` may have white space around it.
        if port.is_none() && cursor.eat_separator(b':') {
            port = Some(u16::try_from(cursor.number()?).ok()?);
        }
        cursor.skip_space();
        Some(Self { transport, host, port, parameters: Parameters::read(&mut cursor)? })
    }

    /// The branch as written; `None` when there is none.
    pub fn branch(&self) -> Option<&'a str> {
        self.parameters.text("branch")
    }

    /// The branch when it identifies the transaction: RFC 3261's cookie and something behind it. Others are matched as RFC 2543
    /// did (RFC 3261 section 17.2.3).
    pub fn unique_branch(&self) -> Option<&'a str> {
        let branch = self.branch()?;
        let (cookie, tail) = branch.split_at_checked(Self::MAGIC_COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(Self::MAGIC_COOKIE) && !tail.is_empty()).then_some(branch)
    }

    /// Where the response to us says we were seen: `received`, in brackets or not (RFC 5118 section 4.5).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.parameters.text("received")?;
        text.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(text).parse().ok()
    }

    /// The port in `rport`; `None` when it is missing or still empty.
    pub fn rport(&self) -> Option<u16> {
        u16::try_from(self.parameters.number("rport")?).ok()
    }

    /// Whether the sender asks for its port (RFC 3581).
    pub fn asks_rport(&self) -> bool {
        self.parameters.has("rport")
    }

    /// Our public address as the peer saw it, when `received` and `rport` say so.
    pub fn seen_as(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.received()?, self.rport()?))
    }

    /// The port responses go to when nothing better is known.
    pub fn sent_by_port(&self) -> u16 {
        self.port.unwrap_or(if self.transport.eq_ignore_ascii_case("TLS") { 5061 } else { 5060 })
    }
}
