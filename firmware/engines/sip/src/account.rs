//! One account while the router runs: the way to its server, its registrations, what the server told about us.
//!
//! RFC 3261 section 10, RFC 3581 (the address the server sees), RFC 3608 (Service-Route), RFC 5626 (one flow, kept alive).

use core::fmt::{Display, Write};
use core::net::SocketAddrV4;

use dialtone_base::Instant;
use dialtone_base::random::Random;
use heapless::{String, Vec};

use crate::agent::long::Beside;
use crate::config::{self, NUMBERS, Registering};
use crate::digest::{DigestClient, Identity};
use crate::interface::{ConnectionId, RegistrationState};
use crate::locate::{Site, Target};
use crate::message::{Message, Method};
use crate::registration::Registration;
use crate::subscription::Subscription;
use crate::transport::Flow;
use crate::write::Writer;

/// Longest Service-Route that is kept.
pub(crate) const SERVICE_ROUTE: usize = 512;

/// The way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// None chosen.
    None,
    /// A connection is being made.
    Opening { connection: ConnectionId, target: Target },
    /// Messages can go.
    Open {
        flow: Flow,
        target: Target,
        /// Our end.
        local: SocketAddrV4,
    },
}

/// What is known of the server's answers to our OPTIONS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probing {
    /// Not tried on this way.
    Untried,
    /// It answers: silence means that the way is gone.
    Answers,
    /// It does not answer, though it registers us: silence means nothing.
    Silent,
}

/// One number's identity towards the registrar.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub registration: Registration,
    /// Call-ID of its REGISTERs, as digits.
    pub call_id: u64,
    pub tag: u64,
    pub cseq: u32,
    /// The state that was told last.
    pub told: RegistrationState,
}

/// The challenges of one account's servers, answered with every request (RFC 3261 section 22).
#[derive(Clone, Debug, Default)]
pub(crate) struct Keychain {
    server: Option<DigestClient>,
    proxy: Option<DigestClient>,
}

/// What to do about a 401 or 407.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenged {
    /// Send the request again: it carries the answer.
    Again,
    /// The password is wrong, or the challenge is none we can answer.
    Refused,
}

/// Challenges answered for one request before it is given up: server and proxy, each once more for a stale nonce.
const MOST_TRIES: u8 = 4;

impl Keychain {
    /// A 401 or 407 came to a request that had answered `tries` challenges.
    pub(crate) fn learn(&mut self, response: &Message<'_>, tries: u8) -> Challenged {
        let Ok(fresh) = DigestClient::choose(response) else { return Challenged::Refused };
        let place = if fresh.is_proxy() { &mut self.proxy } else { &mut self.server };
        // Asked again for the realm just answered: the answer was wrong, unless only the nonce was too old.
        let answered = tries > 0 && place.as_ref().is_some_and(|known| known.realm() == fresh.realm());
        let is_wrong = answered && !fresh.is_stale();
        *place = if is_wrong { None } else { Some(fresh) };
        if is_wrong || tries >= MOST_TRIES { Challenged::Refused } else { Challenged::Again }
    }

    /// Writes what the challenges known so far ask for.
    pub(crate) fn sign(
        &mut self,
        writer: &mut Writer<'_>,
        random: &mut Random,
        identity: Identity<'_>,
        method: Method<'_>,
        uri: impl Display,
        body: &[u8],
    ) {
        let mut text = String::<300>::new();
        if write!(text, "{uri}").is_err() {
            return;
        }
        for client in [&mut self.server, &mut self.proxy].into_iter().flatten() {
            client.authorize(writer, random, identity, method.as_str(), &text, body);
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct AccountState {
    pub site: Site,
    /// Where the registrar sent us (3xx): used instead until it fails.
    pub redirected: Option<Site>,
    pub way: Way,
    /// For what is too long for datagrams.
    pub beside: Beside,
    /// Our address as the server sees it.
    pub public: Option<SocketAddrV4>,
    /// A binding under this address is to be taken away with the next REGISTER.
    pub former: Option<SocketAddrV4>,
    pub service_route: String<SERVICE_ROUTE>,
    pub registered: Vec<Registered, NUMBERS>,
    pub keychain: Keychain,
    pub subscription: Subscription,
    /// Next keep-alive.
    pub keep_alive: Option<Instant>,
    /// A ping over a connection is unanswered since; it failed then.
    pub pong_by: Option<Instant>,
    pub probing: Probing,
    /// What the server calls itself, in few bytes.
    pub server_name: Option<u32>,
}

impl AccountState {
    pub(crate) fn new(account: &config::Account, random: &mut Random) -> Self {
        let mut registered = Vec::new();
        for _ in &account.numbers {
            // As many as there are numbers, both lists have the same bound.
            let _ = registered.push(Registered {
                registration: Registration::new(account.expiry),
                call_id: random.next_u64(),
                tag: random.next_u64(),
                cseq: random.below(1 << 16),
                told: RegistrationState::Idle,
            });
        }
        let (host, port, choice) = match &account.server {
            Some(server) => (&server.host, server.port, server.transport),
            None => (&account.domain, None, account.transport),
        };
        Self {
            site: Site::new(host, port, choice),
            redirected: None,
            way: Way::None,
            beside: Beside::None,
            public: None,
            former: None,
            service_route: String::new(),
            registered,
            keychain: Keychain::default(),
            subscription: Subscription::new(random),
            keep_alive: None,
            pong_by: None,
            probing: Probing::Untried,
            server_name: None,
        }
    }

    /// Whether number `index` registers itself.
    pub(crate) fn registers(account: &config::Account, index: usize) -> bool {
        match account.registering {
            Registering::Each => true,
            Registering::First => index == 0,
            Registering::None => false,
        }
    }

    /// Where to look for the server now.
    pub(crate) fn site(&mut self) -> &mut Site {
        self.redirected.as_mut().unwrap_or(&mut self.site)
    }

    /// Whether messages from `address` come from our server.
    pub(crate) fn is_server(&self, address: core::net::Ipv4Addr) -> bool {
        let by_way = match self.way {
            Way::Open { target, .. } | Way::Opening { target, .. } => *target.to.ip() == address,
            Way::None => false,
        };
        by_way
            || self.site.contains(address)
            || self.redirected.as_ref().is_some_and(|site| site.contains(address))
    }

    /// Our address for Contact.
    pub(crate) fn contact(&self) -> Option<SocketAddrV4> {
        match self.way {
            Way::Open { local, .. } => Some(self.public.unwrap_or(local)),
            _ => None,
        }
    }
}
