//! A dialog: who the other end is, by which way it is reached, and what it can do.
//!
//! RFC 3261 section 12: tags, remote target, route set, sequence numbers. Several early dialogs may belong to one call (forking); they live in
//! one bounded pool and name the call they belong to. Strict routers (section 12.2.1.1) are served. Texts that do not fit make no dialog.

use core::fmt::{self, Display};
use core::net::{IpAddr, SocketAddr};

use heapless::String;

use crate::message::{Message, Method, Name};
use crate::transport::{Flow, Transport};
use crate::uri::Uri;

/// Longest tag of a peer.
pub(crate) const TAG: usize = 128;
/// Longest Call-ID.
pub(crate) const CALL_ID: usize = 255;
/// Longest URI that is kept.
pub(crate) const URI: usize = 255;
/// Longest route set, as it is written.
pub(crate) const ROUTES: usize = 768;

/// All of `text`, or nothing.
pub(crate) fn whole<const N: usize>(text: &str) -> Option<String<N>> {
    String::try_from(text).ok()
}

/// What the peer said it can do (`Allow`, `Supported`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub update: bool,
    pub timer: bool,
    pub reliable: bool,
    pub replaces: bool,
}

impl Abilities {
    pub(crate) fn of(message: &Message<'_>) -> Self {
        let supports =
            |option| message.has_token(Name::Supported, option) || message.has_token(Name::Require, option);
        Self {
            update: message.has_token(Name::Allow, "UPDATE"),
            timer: supports("timer"),
            reliable: supports("100rel"),
            replaces: supports("replaces"),
        }
    }

    /// What is known after one more message: nobody unlearns what they can.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            update: self.update || other.update,
            timer: self.timer || other.timer,
            reliable: self.reliable || other.reliable,
            replaces: self.replaces || other.replaces,
        }
    }
}

/// A dialog with a peer.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    /// The slot of its call.
    pub call: usize,
    pub remote_tag: String<TAG>,
    target: String<URI>,
    routes: String<ROUTES>,
    /// Where its last message came from: used when neither route nor target is an address.
    pub flow: Flow,
    /// Of the last request of the peer.
    pub remote_cseq: Option<u32>,
    /// Of the last reliable provisional answer that came in order.
    pub rseq: Option<u32>,
    /// The offer of our INVITE has its answer here, reliably.
    pub agreed: bool,
    pub abilities: Abilities,
}

impl Dialog {
    /// From an answer to our INVITE that has a tag (section 12.1.2).
    pub(crate) fn from_response(call: usize, response: &Message<'_>, flow: Flow) -> Option<Self> {
        let tag = response.to().ok()?.tag().unwrap_or_default();
        let mut dialog = Self::new(call, tag, flow)?;
        dialog.learn_response(response)?;
        Some(dialog)
    }

    /// From an INVITE to us (section 12.1.1).
    pub(crate) fn from_request(call: usize, request: &Message<'_>, flow: Flow) -> Option<Self> {
        let tag = request.from().ok()?.tag().unwrap_or_default();
        let mut dialog = Self::new(call, tag, flow)?;
        dialog.target = whole(request.target()?.as_str())?;
        for route in request.addresses(Name::RecordRoute) {
            dialog.push_route(route.uri.as_str())?;
        }
        dialog.remote_cseq = Some(request.cseq().ok()?.number);
        dialog.abilities = Abilities::of(request);
        Some(dialog)
    }

    fn new(call: usize, tag: &str, flow: Flow) -> Option<Self> {
        Some(Self {
            call,
            remote_tag: whole(tag)?,
            target: String::new(),
            routes: String::new(),
            flow,
            remote_cseq: None,
            rseq: None,
            agreed: false,
            abilities: Abilities::default(),
        })
    }

    /// The route set and target of an answer that (re)makes the dialog: the 2xx counts more than what came before it (section 13.2.2.4).
    pub(crate) fn learn_response(&mut self, response: &Message<'_>) -> Option<()> {
        let mut list = heapless::Vec::<&str, 16>::new();
        for route in response.addresses(Name::RecordRoute) {
            list.push(route.uri.as_str()).ok()?;
        }
        self.routes.clear();
        for route in list.iter().rev() {
            self.push_route(route)?;
        }
        self.refresh_target(response);
        self.abilities = self.abilities.or(Abilities::of(response));
        if self.target.is_empty() { None } else { Some(()) }
    }

    /// A target refresh (section 12.2): re-INVITE, UPDATE and their 2xx.
    pub(crate) fn refresh_target(&mut self, message: &Message<'_>) {
        if let Some(target) = message.target().and_then(|uri| whole(uri.as_str())) {
            self.target = target;
        }
    }

    fn push_route(&mut self, uri: &str) -> Option<()> {
        if !self.routes.is_empty() {
            self.routes.push(',').ok()?;
        }
        self.routes.push('<').ok()?;
        self.routes.push_str(uri).ok()?;
        self.routes.push('>').ok()
    }

    fn first_route(&self) -> Option<Uri<'_>> {
        let inside = self.routes.strip_prefix('<')?;
        Uri::parse(inside.split_once('>')?.0)
    }

    /// The Request-URI: the remote target, or the first route when that one is a strict router.
    pub(crate) fn request_uri(&self) -> &str {
        match self.first_route() {
            Some(route) if !route.is_loose_route() => route.as_str(),
            _ => &self.target,
        }
    }

    /// The value of Route, if there is one.
    pub(crate) fn route_header(&self) -> Option<RouteSet<'_>> {
        let first = self.first_route()?;
        if first.is_loose_route() {
            return Some(RouteSet { routes: &self.routes, last: None });
        }
        let rest = self.routes.split_once(">,").map_or("", |(_, rest)| rest);
        Some(RouteSet { routes: rest, last: Some(&self.target) })
    }

    /// Where requests go: to the first route or the target if that is an address and datagrams will do, else where the peer's came from.
    pub(crate) fn next_hop(&self) -> Flow {
        if self.flow.transport() == Transport::Tcp {
            return self.flow;
        }
        let uri = self.first_route().or_else(|| Uri::parse(&self.target));
        let direct = uri.and_then(|uri| {
            let host = uri.parameter("maddr").and_then(|maddr| maddr.parse().ok());
            let address = host.or_else(|| uri.host()?.address()).filter(IpAddr::is_ipv4)?;
            let by_datagram = uri.parameter("transport").is_none_or(|name| name.eq_ignore_ascii_case("udp"));
            by_datagram.then(|| SocketAddr::new(address, uri.port().unwrap_or(5060)))
        });
        direct.map_or(self.flow, |remote| Flow::Udp { remote })
    }

    /// Whether a request of the peer is in order (section 12.2.2); its number is remembered.
    pub(crate) fn accepts_cseq(&mut self, request: &Message<'_>) -> bool {
        let Ok(cseq) = request.cseq() else { return false };
        if matches!(cseq.method, Method::Ack | Method::Cancel) {
            return true;
        }
        let in_order = self.remote_cseq.is_none_or(|last| cseq.number > last);
        if in_order {
            self.remote_cseq = Some(cseq.number);
        }
        in_order
    }
}

/// A Route header's value.
pub(crate) struct RouteSet<'a> {
    routes: &'a str,
    last: Option<&'a str>,
}

impl Display for RouteSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.routes)?;
        match self.last {
            Some(last) if self.routes.is_empty() => write!(f, "<{last}>"),
            Some(last) => write!(f, ",<{last}>"),
            None => Ok(()),
        }
    }
}
