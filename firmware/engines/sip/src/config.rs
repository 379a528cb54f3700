//! What the user agent is told: accounts with their numbers, and how much of everything there is room for.
//!
//! A password goes in here and into digests, and nowhere else: [`Password`] shows nothing in `Debug`.

use core::fmt;

use dialtone_base::Duration;
use dialtone_base::telephony::{DisplayName, Number};
use dialtone_base::text::Text;

/// A household has at most this many accounts.
pub const ACCOUNTS: usize = 8;
/// An account has at most this many numbers.
pub const NUMBERS: usize = 8;
/// A host name, or an address as text. Longer ones are refused where they are read.
pub type HostName = Text<127>;

/// A secret. Compares and copies, but does not show itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(Text<127>);

impl Password {
    /// Keeps `text`; no more than 127 bytes of it.
    pub fn new(text: &str) -> Self {
        Self(Text::lossy(text))
    }

    /// For the digest only.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// How messages travel to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TransportChoice {
    /// As DNS says (RFC 3263); UDP where it says nothing, and TCP for requests too long for a datagram, where the server takes it.
    #[default]
    Auto,
    /// UDP, also for requests longer than RFC 3261 section 18.1.1 wants to see in a datagram.
    Udp,
    /// TCP.
    Tcp,
}

/// A server people name: the registrar or the outbound proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Name or IPv4 address.
    pub host: HostName,
    /// Given: no SRV look-up (RFC 3263 section 4.2).
    pub port: Option<u16>,
    /// How to reach it.
    pub transport: TransportChoice,
}

/// Which numbers of an account register themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registering {
    /// Every number is an address of record of its own.
    #[default]
    Each,
    /// Only the first; the operator delivers calls for the others to it.
    First,
    /// None: the operator knows our address.
    None,
}

/// An account with an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The domain of its addresses: `sip:number@domain`.
    pub domain: HostName,
    /// Where everything is sent; none: where the domain's DNS says.
    pub server: Option<Server>,
    /// How to reach the domain when there is no `server`.
    pub transport: TransportChoice,
    /// Its numbers (user parts), the first being the one shown to others by default. Without any, the account is not used.
    pub numbers: heapless::Vec<Number, NUMBERS>,
    /// The name the digest is made with; empty: the number's own.
    pub auth_user: Text<63>,
    /// The password the digest is made with.
    pub password: Password,
    /// Shown to those we call; may be empty.
    pub display_name: DisplayName,
    /// How long a registration shall last; the registrar may say otherwise. 60 s to a day.
    pub expiry: Duration,
    /// Which numbers register.
    pub registering: Registering,
    /// Take calls from addresses that are not our server's. Off: strangers get nothing.
    pub accept_strangers: bool,
    /// Ask for message-waiting notices (RFC 3842); unasked ones are taken always.
    pub message_waiting: bool,
    /// Provisional answers reliable (RFC 3262) when both sides can.
    pub reliable_provisional: bool,
    /// Session timer we ask for (RFC 4028); zero: none of our own, the peer's is honoured. At least 90 s.
    pub session_expires: Duration,
    /// Send our number in P-Preferred-Identity when it is withheld: some operators want it then (RFC 3325). From says it otherwise.
    pub preferred_identity: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            domain: HostName::new(),
            server: None,
            transport: TransportChoice::Auto,
            numbers: heapless::Vec::new(),
            auth_user: Text::new(),
            password: Password::default(),
            display_name: DisplayName::new(),
            expiry: Duration::from_secs(3600),
            registering: Registering::Each,
            accept_strangers: false,
            message_waiting: true,
            reliable_provisional: true,
            session_expires: Duration::from_secs(1800),
            preferred_identity: true,
        }
    }
}

/// Everything the user agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The accounts; an index into them is the `account` of orders and events.
    pub accounts: heapless::Vec<Account, ACCOUNTS>,
    /// `User-Agent` and `Server`: product and version.
    pub product: Text<63>,
    /// The UUID of this device for `+sip.instance` (RFC 5626 section 4.1): the same after every start.
    pub instance: [u8; 16],
    /// The local UDP port messages leave from, also named in Contact. Usually 5060.
    pub port: u16,
    /// How much of everything; counts only at construction.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounts: heapless::Vec::new(),
            product: Text::lossy(concat!("Dialtone/", env!("CARGO_PKG_VERSION"))),
            instance: [0; 16],
            port: 5060,
            limits: Limits::default(),
        }
    }
}

/// How much of everything there is room for. All memory is taken at construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls at a time, both ways, those ending included.
    pub calls: usize,
    /// Transactions at a time of either side; a call in progress needs two.
    pub transactions: usize,
    /// TCP connections at a time.
    pub connections: usize,
    /// Longest message in bytes, either way.
    pub message: usize,
    /// Longest body in bytes, either way.
    pub body: usize,
    /// Requests outside of calls a second, from everybody together; bursts up to four times as many.
    pub requests_per_second: u32,
    /// The same from one source address.
    pub requests_per_second_and_source: u32,
    /// Source addresses watched at a time; the one silent for longest is forgotten.
    pub sources: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 8,
            transactions: 48,
            connections: 4,
            message: 4096,
            body: 2048,
            requests_per_second: 20,
            requests_per_second_and_source: 10,
            sources: 32,
        }
    }
}
