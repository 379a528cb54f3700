//! Requests too long for a datagram, over a connection beside the way.
//!
//! RFC 3261 section 18.1.1: what is longer than 1300 bytes goes over TCP where the path's MTU is unknown, and over UDP all the same where
//! TCP is refused. A connection is opened when the first such request is there, and the request waits for it no longer than [`QUICK`];
//! a server that refused, or said nothing in that time, is not tried again for [`REFUSED`], so only one call in that time waits at all.
//! The connection carries that transaction and nothing else: Contact still names our UDP port, and what follows in the call goes by datagram
//! again unless it is long, too. It is closed when nothing needs it. An account told to use UDP never leaves it; INVITE, re-INVITE and
//! UPDATE are the only requests that grow so long. Those to another next hop than the account's server stay with UDP.

use core::net::{SocketAddr, SocketAddrV4};

use dialtone_base::{Duration, Instant};

use super::network::ConnectionPhase;
use super::{Purpose, UserAgent};
use crate::account::Way;
use crate::interface::{ConnectionId, Via};
use crate::transaction::Ended;
use crate::transport::{Flow, Transport};

/// Longer requests go over TCP.
pub(super) const LONGEST_DATAGRAM: usize = 1300;
/// A request waits so long for the connection.
const QUICK: Duration = Duration::from_millis(700);
/// A server without TCP is asked again after so long.
const REFUSED: Duration = Duration::from_secs(900);
/// A connection nobody needed for so long is closed; one that is needed is pinged so often.
const IDLE: Duration = Duration::from_secs(25);
/// Requests that may wait for connections at a time; more go by datagram.
pub(super) const HELD: usize = 4;

/// The connection beside an account's way of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// None was needed yet.
    None,
    /// Being made; given up then.
    Opening { connection: ConnectionId, to: SocketAddrV4, until: Instant },
    /// Stands; looked at again then.
    Open { connection: ConnectionId, to: SocketAddrV4, until: Instant },
    /// This server takes no connections; asked again then.
    Refused { to: SocketAddrV4, until: Instant },
}

impl Beside {
    /// The connection it has.
    pub(crate) const fn connection(self) -> Option<ConnectionId> {
        match self {
            Self::Opening { connection, .. } | Self::Open { connection, .. } => Some(connection),
            Self::None | Self::Refused { .. } => None,
        }
    }

    /// When something is due.
    pub(crate) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Opening { until, .. } | Self::Open { until, .. } => Some(until),
            Self::None | Self::Refused { .. } => None,
        }
    }
}

/// A request that waits for a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub purpose: Purpose,
    account: u8,
    tries: u8,
}

/// How a long request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carriage {
    Datagram,
    Over(Flow),
    /// The connection is being made.
    Wait,
}

impl UserAgent {
    /// How a request longer than [`LONGEST_DATAGRAM`] goes that would leave on `flow`.
    pub(super) fn carriage(&mut self, now: Instant, account: u8, purpose: Purpose, flow: Flow) -> Carriage {
        let may_grow = matches!(
            purpose,
            Purpose::Invite { .. } | Purpose::Reinvite { .. } | Purpose::Update { offer: true, .. }
        );
        let Some(state) = self.accounts.get(usize::from(account)) else { return Carriage::Datagram };
        let Way::Open { target, flow: way, .. } = state.way else { return Carriage::Datagram };
        if !may_grow || flow != way || flow.transport() != Transport::Udp {
            return Carriage::Datagram;
        }
        let site = state.redirected.as_ref().unwrap_or(&state.site);
        let Some(to) = site.stream_beside(target) else { return Carriage::Datagram };
        match state.beside {
            Beside::Open { connection, to: known, .. } if known == to => {
                self.set_beside(account, Beside::Open { connection, to, until: now + IDLE });
                Carriage::Over(Flow::Stream { connection, remote: SocketAddr::V4(to) })
            }
            Beside::Opening { to: known, .. } if known == to => Carriage::Wait,
            Beside::Refused { to: known, until } if known == to && until > now => Carriage::Datagram,
            _ if self.held.is_full() => Carriage::Datagram,
            _ => {
                let Some(connection) = self.connection_to(to) else { return Carriage::Datagram };
                if self.is_open(connection) {
                    self.set_beside(account, Beside::Open { connection, to, until: now + IDLE });
                    return Carriage::Over(Flow::Stream { connection, remote: SocketAddr::V4(to) });
                }
                self.set_beside(account, Beside::Opening { connection, to, until: now + QUICK });
                self.close_unused();
                Carriage::Wait
            }
        }
    }

    /// Keeps a request until its connection stands or is given up; `false`: there is no room.
    pub(super) fn hold_request(&mut self, purpose: Purpose, account: u8, tries: u8) -> bool {
        self.held.push(Held { purpose, account, tries }).is_ok()
    }

    /// Forgets what a call holds back; `true` if that was its INVITE.
    pub(super) fn drop_held(&mut self, index: usize) -> bool {
        let had = self.held.iter().any(|held| held.purpose == Purpose::Invite { call: index });
        self.held.retain(|held| held.purpose.call() != Some(index));
        had
    }

    /// A connection stands: what waited for it goes over it.
    pub(super) fn beside_connected(&mut self, now: Instant, stands: ConnectionId) {
        for account in 0..self.accounts.len() {
            if let Some(Beside::Opening { connection, to, .. }) = self.beside(account)
                && connection == stands
            {
                self.set_beside(account as u8, Beside::Open { connection, to, until: now + IDLE });
                self.release_held(now, account as u8);
            }
        }
    }

    /// A connection ended, or did not come about: what waited for it goes by datagram.
    pub(super) fn beside_closed(&mut self, now: Instant, ended: ConnectionId) {
        for account in 0..self.accounts.len() {
            match self.beside(account) {
                Some(Beside::Opening { connection, to, .. }) if connection == ended => {
                    self.refuse_beside(now, account as u8, to);
                }
                Some(Beside::Open { connection, .. }) if connection == ended => {
                    self.set_beside(account as u8, Beside::None);
                }
                _ => {}
            }
        }
    }

    /// Connections that take too long, and those nobody needs any more.
    pub(super) fn run_beside(&mut self, now: Instant) {
        for account in 0..self.accounts.len() {
            match self.beside(account) {
                Some(Beside::Opening { to, until, .. }) if until <= now => {
                    self.refuse_beside(now, account as u8, to);
                }
                Some(Beside::Open { connection, to, until }) if until <= now => {
                    let is_needed = self.asked.iter().flatten().any(|asked| {
                        let flow = self.transactions.flow(asked.client);
                        !asked.is_done
                            && matches!(flow, Some(Flow::Stream { connection: found, .. }) if found == connection)
                    });
                    if is_needed {
                        // A call may ring for longer than a NAT or the server keeps a silent connection.
                        let _ = self.outbox.push(Via::Stream { connection }, b"\r\n\r\n");
                        self.set_beside(account as u8, Beside::Open { connection, to, until: now + IDLE });
                    } else {
                        self.set_beside(account as u8, Beside::None);
                        self.close_unused();
                    }
                }
                _ => {}
            }
        }
    }

    /// The connection an INVITE went over broke before anything was heard: once more, by datagram. `true`: it is on its way.
    pub(super) fn again_by_datagram(
        &mut self,
        now: Instant,
        account: u8,
        purpose: Purpose,
        tries: u8,
    ) -> bool {
        let state = self.accounts.get(usize::from(account));
        let Some(Way::Open { flow: Flow::Udp { .. }, target, .. }) = state.map(|state| state.way) else {
            return false;
        };
        let site = state.map(|state| state.redirected.as_ref().unwrap_or(&state.site));
        let Some(to) = site.and_then(|site| site.stream_beside(target)) else { return false };
        self.set_beside(account, Beside::Refused { to, until: now + REFUSED });
        self.ask(now, purpose, tries).is_ok()
    }

    fn beside(&self, account: usize) -> Option<Beside> {
        self.accounts.get(account).map(|state| state.beside)
    }

    fn set_beside(&mut self, account: u8, beside: Beside) {
        if let Some(state) = self.accounts.get_mut(usize::from(account)) {
            state.beside = beside;
        }
    }

    fn refuse_beside(&mut self, now: Instant, account: u8, to: SocketAddrV4) {
        self.set_beside(account, Beside::Refused { to, until: now + REFUSED });
        self.close_unused();
        self.release_held(now, account);
    }

    fn release_held(&mut self, now: Instant, account: u8) {
        // `ask` holds nothing back again: the connection is open or refused.
        while let Some(place) = self.held.iter().position(|held| held.account == account) {
            let held = self.held.swap_remove(place);
            if let Err(rejected) = self.ask(now, held.purpose, held.tries) {
                self.counters.count(rejected);
                self.failed(now, held.purpose, account, Ended::FlowFailed);
            }
        }
    }

    fn is_open(&self, connection: ConnectionId) -> bool {
        self.connections
            .iter()
            .flatten()
            .any(|found| found.id == connection && found.phase == ConnectionPhase::Open)
    }
}
