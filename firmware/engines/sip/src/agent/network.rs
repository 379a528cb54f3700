//! Our address, the ways to the servers, connections, and what keeps them open.
//!
//! RFC 3263 (by `locate`), RFC 5626 sections 3.5.1, 4.4 and 5 (keep-alive, a failed flow is replaced at once), RFC 3581. Over a
//! connection a double CRLF is answered by one; over UDP an OPTIONS shows whether the server is there, or, where servers do not answer that,
//! an empty line keeps the NAT's mapping. One connection serves all accounts of one server.

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use dialtone_base::{Duration, Instant};

use super::long::Beside;
use super::{Purpose, UserAgent};
use crate::account::{AccountState, Probing, Way};
use crate::call::State;
use crate::config::{ACCOUNTS, Config, HostName, Registering};
use crate::framing::Framer;
use crate::interface::{Answer, Cause, ConnectionId, OfferReason, Output, QueryId, Rejected, Via};
use crate::locate::{Found, Site, Target};
use crate::registration::up_to;
use crate::transport::{Flow, Transport};

/// A failed address is left alone for so long.
const BAR: Duration = Duration::from_secs(60);
/// Time between keep-alives (RFC 5626 section 4.4.2: UDP between 24 and 29 s).
const KEEP_ALIVE: Duration = Duration::from_secs(24);
const KEEP_ALIVE_SPREAD: Duration = Duration::from_secs(5);
/// A ping unanswered for so long means that the flow failed (RFC 5626 section 4.4.1).
const PONG: Duration = Duration::from_secs(10);
/// After an address change, a call waits so long for the registration before it asks for a new offer.
const RE_REGISTER: Duration = Duration::from_secs(3);
/// An account that changed waits so long for its old registrar's answer.
const LEAVE: Duration = Duration::from_secs(2);
/// A look-up's account is above this bit of its name; above that, whether it is for where we were sent.
const QUERY_ACCOUNT: u32 = 24;
const QUERY_REDIRECTED: u32 = 28;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    remote: SocketAddrV4,
    pub(super) phase: ConnectionPhase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// To be asked for.
    Wanted,
    /// Asked for.
    Opening,
    Open,
    /// To be closed.
    Unwanted,
}

impl UserAgent {
    /// Our address came, changed or went.
    pub(super) fn network(&mut self, now: Instant, local: Option<Ipv4Addr>) {
        if self.local == local && !self.is_shut {
            return;
        }
        let former = self.local;
        self.local = local;
        self.is_shut = false;
        for connection in self.connections.iter_mut().flatten() {
            connection.phase = ConnectionPhase::Unwanted;
        }
        for account in 0..self.accounts.len() {
            self.lose_way(account);
            let Some(state) = self.accounts.get_mut(account) else { continue };
            state.site.forget();
            state.beside = Beside::None;
            state.redirected = None;
            state.public = None;
            state.former = None;
            state.service_route.clear();
            state.subscription.stop(&mut self.random);
            for number in &mut state.registered {
                number.registration.stop();
            }
        }
        self.held.clear();
        self.drop_account_requests(None);
        if let Some(address) = local {
            for account in 0..self.accounts.len() {
                self.start_account(now, account);
            }
            if former != Some(address) {
                self.ask_for_new_offers(now);
            }
        }
        self.tell_registrations();
    }

    /// Calls in progress must hear of the new address: soon after the registration, which may teach us what it is.
    fn ask_for_new_offers(&mut self, now: Instant) {
        for index in 0..self.calls.len() {
            let Some(call) = self.call_mut(index) else { continue };
            match call.state {
                _ if call.over => {}
                State::Established | State::Answered => call.address_changed = Some(now + RE_REGISTER),
                // What was being set up cannot be reached any more.
                State::Calling | State::Proceeding | State::Incoming => {
                    self.abandon_requests(index);
                    self.end(now, index, Cause::Unreachable, 0);
                }
                _ => {}
            }
        }
    }

    /// The account is registered (or need not be): calls that wait for that ask for their offer.
    pub(super) fn offers_may_go(&mut self, account: u8) {
        for index in 0..self.calls.len() {
            let Some(call) = self.call_mut(index) else { continue };
            if call.account == account && call.address_changed.take().is_some() && !call.over {
                let event = crate::Event::OfferWanted { call: call.id, reason: OfferReason::AddressChanged };
                self.tell(event);
            }
        }
    }

    fn start_account(&mut self, now: Instant, account: usize) {
        // Also without registration: calls come from there.
        let _ = self.way(now, account as u8);
        let Some(config) = self.config.accounts.get(account) else { return };
        let Some(state) = self.accounts.get_mut(account) else { return };
        for (index, number) in state.registered.iter_mut().enumerate() {
            if AccountState::registers(config, index) {
                number.registration.start(now, &mut self.random);
            }
        }
    }

    /// New settings: accounts that are the same go on as they were. Those that changed or went take their bindings away first (RFC 3261
    /// section 10.2.2), by their old name and password; what is new begins when that is done, or [`LEAVE`] later.
    pub(super) fn configure(&mut self, now: Instant, config: &Config) {
        for account in 0..self.accounts.len() {
            if self.is_changed(account, config) && self.leave_registrar(now, account) {
                self.leaving |= 1 << account;
            }
        }
        let by = self.coming.take().map_or(now + LEAVE, |(_, by)| by);
        if self.leaving == 0 {
            self.apply(now, config);
        } else {
            self.coming = Some((config.clone(), by));
        }
    }

    /// New settings begin when nothing of the old ones is registered any more.
    pub(super) fn run_coming(&mut self, now: Instant) {
        let Some((_, by)) = &self.coming else { return };
        let is_leaving = self.accounts.iter().enumerate().any(|(account, state)| {
            self.leaving & 1 << account != 0
                && state.registered.iter().any(|number| number.registration.is_leaving())
        });
        if (!is_leaving || *by <= now)
            && let Some((config, _)) = self.coming.take()
        {
            self.apply(now, &config);
        }
    }

    fn is_changed(&self, account: usize, config: &Config) -> bool {
        self.config.accounts.get(account) != config.accounts.get(account) || self.config.port != config.port
    }

    /// Takes the bindings of one account away; `false`: there are none, or no way to say so.
    fn leave_registrar(&mut self, now: Instant, account: usize) -> bool {
        let Some(state) = self.accounts.get_mut(account) else { return false };
        let can = matches!(state.way, Way::Open { .. }) && self.local.is_some() && !self.is_shut;
        if can {
            for number in &mut state.registered {
                number.registration.remove(now);
            }
        }
        can && state.registered.iter().any(|number| number.registration.is_leaving())
    }

    fn apply(&mut self, now: Instant, config: &Config) {
        let limits = self.config.limits;
        let leaving = core::mem::take(&mut self.leaving);
        let mut changed = heapless::Vec::<usize, ACCOUNTS>::new();
        for index in 0..self.accounts.len().max(config.accounts.len()) {
            if !self.is_changed(index, config) && leaving & 1 << index == 0 {
                continue;
            }
            let new = config.accounts.get(index);
            let account = index as u8;
            for call in 0..self.calls.len() {
                if self.call(call).is_some_and(|call| call.account == account && !call.over) && new.is_none()
                {
                    self.hang_up(now, call);
                }
            }
            self.drop_account_requests(Some(account));
            self.lose_way(index);
            if let Some(new) = new {
                let state = AccountState::new(new, &mut self.random);
                match self.accounts.get_mut(index) {
                    Some(place) => *place = state,
                    None => {
                        // Both lists have the same bound.
                        let _ = self.accounts.push(state);
                    }
                }
                let _ = changed.push(index);
            }
        }
        self.accounts.truncate(config.accounts.len());
        self.config = config.clone();
        self.config.limits = limits;
        if self.local.is_some() {
            for index in changed {
                self.start_account(now, index);
            }
        }
    }

    /// Takes all bindings away and hangs up.
    pub(super) fn shut_down(&mut self, now: Instant) {
        for index in 0..self.calls.len() {
            if self.call(index).is_some_and(|call| !call.over) {
                self.hang_up(now, index);
            }
        }
        self.is_shut = true;
        for account in &mut self.accounts {
            for number in &mut account.registered {
                number.registration.remove(now);
            }
        }
    }

    /// The way to an account's server; starts making it.
    pub(super) fn way(&mut self, now: Instant, account: u8) -> Found {
        let index = usize::from(account);
        let Some(local) = self.local else { return Found::Nowhere };
        let Some(state) = self.accounts.get_mut(index) else { return Found::Nowhere };
        match state.way {
            Way::Open { target, .. } => return Found::At(target),
            Way::Opening { .. } => return Found::Asking,
            Way::None => {}
        }
        let target = match state.site().find_even_barred(now) {
            Found::At(target) => target,
            found => return found,
        };
        self.take_way(local, index, target)
    }

    fn take_way(&mut self, local: Ipv4Addr, index: usize, target: Target) -> Found {
        let port = self.config.port;
        let way = match target.transport {
            Transport::Udp => Way::Open {
                flow: Flow::Udp { remote: SocketAddr::V4(target.to) },
                target,
                local: SocketAddrV4::new(local, port),
            },
            Transport::Tcp => match self.connection_to(target.to) {
                Some(connection) => Way::Opening { connection, target },
                None => return Found::Nowhere,
            },
        };
        let Some(state) = self.accounts.get_mut(index) else { return Found::Nowhere };
        state.way = way;
        state.probing = Probing::Untried;
        state.keep_alive = None;
        state.pong_by = None;
        match way {
            Way::Opening { connection, .. } => {
                // Another account may have opened it already.
                let is_open = self
                    .connections
                    .iter()
                    .flatten()
                    .any(|found| found.id == connection && found.phase == ConnectionPhase::Open);
                if is_open {
                    self.open_ways(connection, SocketAddrV4::new(local, port));
                    return Found::At(target);
                }
                Found::Asking
            }
            _ => Found::At(target),
        }
    }

    pub(super) fn connection_to(&mut self, to: SocketAddrV4) -> Option<ConnectionId> {
        let usable = |connection: &&Connection| {
            connection.remote == to
                && connection.phase != ConnectionPhase::Unwanted
                && connection.id.0 < ConnectionId::ACCEPTED
        };
        if let Some(found) = self.connections.iter().flatten().find(usable) {
            return Some(found.id);
        }
        self.next_connection = (self.next_connection + 1) % ConnectionId::ACCEPTED;
        let id = ConnectionId(self.next_connection);
        match self.keep_connection(Connection { id, remote: to, phase: ConnectionPhase::Wanted }) {
            Ok(()) => Some(id),
            Err(rejected) => {
                self.counters.count(rejected);
                None
            }
        }
    }

    fn keep_connection(&mut self, connection: Connection) -> Result<(), Rejected> {
        let index = self.connections.iter().position(Option::is_none).ok_or(Rejected::NoConnection)?;
        if let (Some(place), Some(framer)) = (self.connections.get_mut(index), self.framers.get_mut(index)) {
            framer.reset();
            *place = Some(connection);
        }
        Ok(())
    }

    fn open_ways(&mut self, connection: ConnectionId, local: SocketAddrV4) {
        for state in &mut self.accounts {
            match state.way {
                Way::Opening { connection: opening, target } if opening == connection => {
                    let flow = Flow::Stream { connection, remote: SocketAddr::V4(target.to) };
                    state.way = Way::Open { flow, target, local };
                }
                _ => {}
            }
        }
    }

    /// A connection stands.
    pub(super) fn connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        local: SocketAddrV4,
    ) -> Result<(), Rejected> {
        let found = self.connections.iter_mut().flatten().find(|found| found.id == connection);
        let found = found.ok_or(Rejected::UnknownConnection)?;
        if found.phase != ConnectionPhase::Opening {
            return Err(Rejected::WrongState);
        }
        found.phase = ConnectionPhase::Open;
        self.open_ways(connection, local);
        self.beside_connected(now, connection);
        self.resume(now);
        Ok(())
    }

    /// Somebody connected to us. Only a server of ours may.
    pub(super) fn accepted(&mut self, connection: ConnectionId, from: SocketAddrV4) -> Result<(), Rejected> {
        let is_ours = self.accounts.iter().any(|account| account.is_server(*from.ip()));
        let phase = if is_ours { ConnectionPhase::Open } else { ConnectionPhase::Unwanted };
        self.keep_connection(Connection { id: connection, remote: from, phase })?;
        if is_ours { Ok(()) } else { Err(Rejected::Stranger) }
    }

    /// A connection ended, or did not come about.
    pub(super) fn closed(&mut self, now: Instant, connection: ConnectionId) -> Result<(), Rejected> {
        let place = self
            .connections
            .iter_mut()
            .find(|place| place.as_ref().is_some_and(|found| found.id == connection))
            .ok_or(Rejected::UnknownConnection)?;
        let remote = place.take().map(|found| found.remote);
        if let Some(remote) = remote {
            self.transactions.flow_failed(&Flow::Stream { connection, remote: SocketAddr::V4(remote) });
        }
        self.beside_closed(now, connection);
        for account in 0..self.accounts.len() {
            let is_it = match self.accounts.get(account).map(|state| state.way) {
                Some(Way::Opening { connection: found, .. }) => found == connection,
                Some(Way::Open { flow: Flow::Stream { connection: found, .. }, .. }) => found == connection,
                _ => false,
            };
            if is_it {
                self.way_failed(now, account as u8);
            }
        }
        Ok(())
    }

    /// The framer of a connection, and who is at its other end.
    pub(super) fn connection(&mut self, connection: ConnectionId) -> Option<(&mut Framer, SocketAddrV4)> {
        let mut both = self.connections.iter().zip(&mut self.framers);
        both.find_map(|(found, framer)| {
            let found = found.as_ref()?;
            let is_it = found.id == connection && found.phase == ConnectionPhase::Open;
            is_it.then_some((framer, found.remote))
        })
    }

    /// The connection in this slot.
    pub(super) fn connection_at(&self, index: usize) -> Option<ConnectionId> {
        self.connections.get(index)?.as_ref().map(|connection| connection.id)
    }

    /// What came over a connection cannot be cut into messages any more: it is worth nothing.
    pub(super) fn spoiled(&mut self, now: Instant, connection: ConnectionId) {
        for found in self.connections.iter_mut().flatten().filter(|found| found.id == connection) {
            found.phase = ConnectionPhase::Unwanted;
            let remote = SocketAddr::V4(found.remote);
            self.transactions.flow_failed(&Flow::Stream { connection, remote });
        }
        self.beside_closed(now, connection);
        for account in 0..self.accounts.len() {
            let way = self.accounts.get(account).map(|state| state.way);
            if let Some(Way::Open { flow: Flow::Stream { connection: found, .. }, .. }) = way
                && found == connection
            {
                self.way_failed(now, account as u8);
            }
        }
    }

    fn lose_way(&mut self, account: usize) {
        if let Some(state) = self.accounts.get_mut(account) {
            state.way = Way::None;
            state.keep_alive = None;
            state.pong_by = None;
        }
        self.close_unused();
    }

    /// Connections nobody uses are closed.
    pub(super) fn close_unused(&mut self) {
        for connection in self.connections.iter_mut().flatten() {
            let id = connection.id;
            let used = self.accounts.iter().any(|state| {
                let by_way = match state.way {
                    Way::Opening { connection, .. } => connection == id,
                    Way::Open { flow: Flow::Stream { connection, .. }, .. } => connection == id,
                    _ => false,
                };
                by_way || state.beside.connection() == Some(id)
            });
            if !used && id.0 < ConnectionId::ACCEPTED {
                connection.phase = ConnectionPhase::Unwanted;
            }
        }
    }

    /// The server does not answer on this way: leave it alone for a while, register by another one. `true`: there is another one.
    pub(super) fn way_failed(&mut self, now: Instant, account: u8) -> bool {
        let index = usize::from(account);
        let Some(state) = self.accounts.get_mut(index) else { return false };
        let target = match state.way {
            Way::Open { target, .. } | Way::Opening { target, .. } => target,
            Way::None => return true,
        };
        let spread = up_to(BAR, &mut self.random);
        state.site().bar(now, target, BAR + spread);
        let has_other = state.redirected.take().is_some() || state.site.has_other(now, target);
        for number in &mut state.registered {
            number.registration.renew(now, &mut self.random);
        }
        self.lose_way(index);
        has_other
    }

    /// The server answered.
    pub(super) fn way_works(&mut self, now: Instant, account: u8) {
        // Where nothing is registered, nobody relies on the way back staying open.
        let keeps =
            self.account_config(account).is_some_and(|config| config.registering != Registering::None);
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return };
        if let Way::Open { target, .. } = state.way {
            state.site().unbar(target);
            if state.keep_alive.is_none() && keeps {
                state.keep_alive = Some(now + KEEP_ALIVE + up_to(KEEP_ALIVE_SPREAD, &mut self.random));
            }
        }
    }

    /// When a better server than the one in use may be tried again, the next refresh goes there.
    pub(super) fn prefer_best_way(&mut self, now: Instant, account: u8) {
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return };
        let Way::Open { target, .. } = state.way else { return };
        if let Found::At(best) = state.site().find(now)
            && best != target
        {
            self.lose_way(usize::from(account));
            if let Some(state) = self.accounts.get_mut(usize::from(account)) {
                for number in &mut state.registered {
                    number.registration.renew(now, &mut self.random);
                }
            }
        }
    }

    /// The registrar sends us elsewhere.
    pub(super) fn redirect_account(&mut self, account: u8, host: &HostName, port: Option<u16>, tcp: bool) {
        let index = usize::from(account);
        self.lose_way(index);
        let choice = if tcp { crate::TransportChoice::Tcp } else { crate::TransportChoice::Auto };
        if let Some(state) = self.accounts.get_mut(index) {
            state.redirected = Some(Site::new(host, port, choice));
        }
    }

    /// An answer of DNS.
    pub(super) fn located(
        &mut self,
        now: Instant,
        query: QueryId,
        answer: Answer<'_>,
    ) -> Result<(), Rejected> {
        let account = (query.0 >> QUERY_ACCOUNT & 7) as usize;
        let state = self.accounts.get_mut(account).ok_or(Rejected::UnknownConnection)?;
        let site = match (query.0 >> QUERY_REDIRECTED & 1, &mut state.redirected) {
            (1, Some(site)) => site,
            (0, _) => &mut state.site,
            _ => return Err(Rejected::UnknownConnection),
        };
        if !site.answer(now, query.0 & 0x00ff_ffff, answer, &mut self.random) {
            return Err(Rejected::UnknownConnection);
        }
        self.resume(now);
        Ok(())
    }

    /// Pings, and what came of the last ones.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        for index in 0..self.accounts.len() {
            let account = index as u8;
            let Some(state) = self.accounts.get_mut(index) else { continue };
            if state.pong_by.is_some_and(|by| by <= now) {
                self.way_failed(now, account);
                continue;
            }
            if state.keep_alive.is_none_or(|at| at > now) {
                continue;
            }
            let Way::Open { flow, .. } = state.way else {
                state.keep_alive = None;
                continue;
            };
            state.keep_alive = Some(now + KEEP_ALIVE + up_to(KEEP_ALIVE_SPREAD, &mut self.random));
            match flow {
                Flow::Stream { connection, .. } => {
                    state.pong_by = Some(now + PONG);
                    let _ = self.outbox.push(Via::Stream { connection }, b"\r\n\r\n");
                }
                Flow::Udp { remote } if state.probing == Probing::Silent => {
                    if let Some(to) = super::v4(remote) {
                        let _ = self.outbox.push(Via::Udp { to }, b"\r\n");
                    }
                }
                Flow::Udp { .. } => {
                    let busy =
                        self.asked.iter().flatten().any(|asked| asked.purpose == Purpose::Probe { account });
                    if !busy {
                        let _ = self.ask(now, Purpose::Probe { account }, 0);
                    }
                }
            }
        }
    }

    /// A pong, or anything else, came over a connection.
    pub(super) fn heard(&mut self, connection: ConnectionId) {
        for state in &mut self.accounts {
            if matches!(state.way, Way::Open { flow: Flow::Stream { connection: found, .. }, .. } if found == connection)
            {
                state.pong_by = None;
            }
        }
    }

    /// Connections and look-ups to ask for.
    pub(super) fn poll_network(&mut self, now: Instant) -> Option<Output<'static>> {
        for place in &mut self.connections {
            let Some(connection) = place else { continue };
            match connection.phase {
                ConnectionPhase::Wanted => {
                    connection.phase = ConnectionPhase::Opening;
                    return Some(Output::Connect { connection: connection.id, to: connection.remote });
                }
                ConnectionPhase::Unwanted => {
                    let connection = connection.id;
                    *place = None;
                    return Some(Output::Close { connection });
                }
                _ => {}
            }
        }
        let _ = now;
        for (account, state) in self.accounts.iter_mut().enumerate() {
            let base = (account as u32) << QUERY_ACCOUNT;
            if let Some((id, name, kind)) = state.site.poll() {
                return Some(Output::Locate { query: QueryId(base | id), name, kind });
            }
            if let Some((id, name, kind)) = state.redirected.as_mut().and_then(Site::poll) {
                return Some(Output::Locate {
                    query: QueryId(base | 1 << QUERY_REDIRECTED | id),
                    name,
                    kind,
                });
            }
        }
        None
    }
}
