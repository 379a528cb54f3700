//! REGISTER and SUBSCRIBE: sent when due, and what their answers mean.
//!
//! RFC 3261 section 10.2 and 10.3 (Expires of our Contact or of the answer), 423, 3xx, RFC 3581 and RFC 5626 (our address as the registrar sees it;
//! a changed one is registered again), RFC 3608 (Service-Route), RFC 3842 (message-waiting notices, asked for or not).

use core::net::{IpAddr, SocketAddrV4};

use dialtone_base::{Duration, Instant};
use heapless::String;

use super::{Asked, Purpose, UserAgent};
use crate::account::{AccountState, Challenged, Probing, Way};
use crate::config::HostName;
use crate::dialog::whole;
use crate::interface::{Event, Rejected};
use crate::locate::Found;
use crate::message::{Message, Name};
use crate::message_summary::MessageSummary;
use crate::registration::Outcome;
use crate::transaction::TransactionId;
use crate::transport::{Flow, Transport};

/// A keep-alive answered later than this had to be repeated: something happened.
const SLOW: Duration = Duration::from_millis(1000);
/// Looked again whether there is a way.
const NO_WAY: Duration = Duration::from_millis(1000);

impl UserAgent {
    /// Sends what is due.
    pub(super) fn run_registrations(&mut self, now: Instant) {
        for account in 0..self.accounts.len() {
            let numbers = self.accounts.get(account).map_or(0, |state| state.registered.len());
            for number in 0..numbers {
                let Some(state) = self.accounts.get_mut(account) else { break };
                let Some(registered) = state.registered.get_mut(number) else { break };
                registered.registration.expire(now);
                if registered.registration.is_due(now) {
                    self.register(now, account as u8, number as u8);
                }
            }
            let due = self.accounts.get(account).is_some_and(|state| state.subscription.is_due(now));
            if due {
                self.subscribe(now, account as u8);
            }
        }
        self.tell_registrations();
    }

    fn register(&mut self, now: Instant, account: u8, number: u8) {
        if number == 0 {
            self.prefer_best_way(now, account);
        }
        let way = self.way(now, account);
        let sent = match way {
            Found::At(_) => self.ask(now, Purpose::Register { account, number }, 0),
            Found::Asking | Found::Nowhere => Err(Rejected::NoNetwork),
        };
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return };
        let Some(registered) = state.registered.get_mut(usize::from(number)) else { return };
        match (sent, way) {
            (Ok(()), _) => registered.registration.sent(),
            (Err(_), Found::Asking) => registered.registration.postpone(now + NO_WAY),
            (Err(_), Found::At(_)) => registered.registration.postpone(now + NO_WAY),
            (Err(_), Found::Nowhere) => {
                registered.registration.outcome(now, Outcome::Unreachable(None), &mut self.random);
            }
        }
    }

    /// Names were found or a connection stands: what waited for that goes at once.
    pub(super) fn resume(&mut self, now: Instant) {
        for account in 0..self.accounts.len() {
            if matches!(self.way(now, account as u8), Found::At(_))
                && let Some(state) = self.accounts.get_mut(account)
            {
                for number in &mut state.registered {
                    number.registration.hurry(now);
                }
            }
        }
    }

    /// Says what changed about registrations since it was said last.
    pub(super) fn tell_registrations(&mut self) {
        for account in 0..self.accounts.len() {
            let numbers = self.accounts.get(account).map_or(0, |state| state.registered.len());
            for number in 0..numbers {
                let Some(entry) =
                    self.accounts.get_mut(account).and_then(|state| state.registered.get_mut(number))
                else {
                    continue;
                };
                let state = entry.registration.state();
                if entry.told != state {
                    entry.told = state;
                    self.tell(Event::Registration { account: account as u8, number: number as u8, state });
                }
            }
        }
    }

    /// Forgets the requests of one account, or of all, that belong to no call.
    pub(super) fn drop_account_requests(&mut self, account: Option<u8>) {
        for place in &mut self.asked {
            if let Some(asked) = *place
                && asked.purpose.call().is_none()
                && account.is_none_or(|account| asked.account == account)
            {
                self.transactions.abandon(asked.client);
                *place = None;
            }
        }
    }

    /// A final answer to REGISTER.
    pub(super) fn registered(
        &mut self,
        now: Instant,
        asked: Asked,
        number: u8,
        flow: Flow,
        response: &Message<'_>,
    ) {
        let account = asked.account;
        let status = response.status().map_or(0, |status| status.code());
        let retry_after = response.retry_after().map(|after| after.seconds);
        let changed = self.learn_address(account, flow, response);
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return };
        let outcome = match status {
            401 | 407 => match state.keychain.learn(response, asked.tries) {
                Challenged::Again => {
                    let again = Purpose::Register { account, number };
                    if self.ask(now, again, asked.tries + 1).is_ok() {
                        return;
                    }
                    Outcome::Unreachable(None)
                }
                Challenged::Refused => Outcome::Refused(status, retry_after),
            },
            200..=299 => {
                let granted = granted(state, response);
                keep_service_route(state, response);
                if let Some(granted) = granted {
                    Outcome::Granted(granted)
                } else {
                    let asked = state.registered.get(usize::from(number));
                    Outcome::Granted(asked.map_or(Duration::ZERO, |entry| entry.registration.asks_for()))
                }
            }
            300..=399 => match redirection(response) {
                Some((host, port, tcp)) if state.redirected.is_none() => {
                    self.redirect_account(account, &host, port, tcp);
                    Outcome::Elsewhere
                }
                _ => Outcome::Refused(status, retry_after),
            },
            423 => Outcome::TooBrief(response.min_expires().unwrap_or(0)),
            408 | 430 | 480 | 500..=599 if status != 501 && status != 505 && status != 513 => {
                if self.way_failed(now, account) {
                    Outcome::Elsewhere
                } else {
                    Outcome::Unreachable(retry_after)
                }
            }
            _ => Outcome::Refused(status, retry_after),
        };
        self.register_outcome(now, account, number, outcome);
        if matches!(outcome, Outcome::Granted(_)) {
            self.way_works(now, account);
            if flow.transport() == Transport::Udp
                && let Some(state) = self.accounts.get_mut(usize::from(account))
                && let Some(entry) = state.registered.get_mut(usize::from(number))
            {
                entry.registration.check_soon(now, &mut self.random);
            }
            if changed {
                self.register_again(now, account);
            } else {
                if let Some(state) = self.accounts.get_mut(usize::from(account)) {
                    state.former = None;
                }
                self.offers_may_go(account);
                self.want_notices(now, account);
            }
        }
    }

    /// What came of a REGISTER.
    pub(super) fn register_outcome(&mut self, now: Instant, account: u8, number: u8, outcome: Outcome) {
        if let Some(entry) = self
            .accounts
            .get_mut(usize::from(account))
            .and_then(|state| state.registered.get_mut(usize::from(number)))
        {
            entry.registration.outcome(now, outcome, &mut self.random);
        }
        self.tell_registrations();
    }

    /// RFC 3581: our address is what the topmost Via of an answer says. `true`: it is not what we registered.
    fn learn_address(&mut self, account: u8, flow: Flow, response: &Message<'_>) -> bool {
        let Ok(via) = response.top_via() else { return false };
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return false };
        let Way::Open { local, .. } = state.way else { return false };
        let IpAddr::V4(address) = via.received().unwrap_or(IpAddr::V4(*local.ip())) else { return false };
        let port = via.rport().unwrap_or(local.port());
        let seen = SocketAddrV4::new(address, port);
        let _ = flow;
        let known = state.public.unwrap_or(local);
        if seen == known {
            return false;
        }
        state.former = Some(known);
        state.public = (seen != local).then_some(seen);
        true
    }

    /// All numbers that are registered, under the address just learned.
    fn register_again(&mut self, now: Instant, account: u8) {
        if let Some(state) = self.accounts.get_mut(usize::from(account)) {
            for number in &mut state.registered {
                number.registration.renew(now, &mut self.random);
            }
        }
    }

    fn want_notices(&mut self, now: Instant, account: u8) {
        let wanted = self.account_config(account).is_some_and(|config| config.message_waiting);
        if wanted && let Some(state) = self.accounts.get_mut(usize::from(account)) {
            state.subscription.start(now, &mut self.random);
        }
    }

    fn subscribe(&mut self, now: Instant, account: u8) {
        let sent = match self.way(now, account) {
            Found::At(_) => self.ask(now, Purpose::Subscribe { account }, 0),
            _ => Err(Rejected::NoNetwork),
        };
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return };
        match sent {
            Ok(()) => state.subscription.sent(),
            Err(_) => state.subscription.postpone(now + NO_WAY.scaled(5, 1)),
        }
    }

    /// A final answer to SUBSCRIBE.
    pub(super) fn subscribed(&mut self, now: Instant, asked: Asked, response: &Message<'_>) {
        let account = asked.account;
        let status = response.status().map_or(0, |status| status.code());
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return };
        match status {
            200..=299 => {
                let expires = response.expires().unwrap_or(crate::subscription::EXPIRES);
                let tag = response.to().ok().and_then(|to| whole(to.tag().unwrap_or_default()));
                let target = response.target().and_then(|uri| whole(uri.as_str()));
                if let (Some(tag), Some(target)) = (tag, target) {
                    state.subscription.remote_tag = tag;
                    state.subscription.target = target;
                }
                state.subscription.granted(now, expires, &mut self.random);
                self.way_works(now, account);
            }
            401 | 407 if state.keychain.learn(response, asked.tries) == Challenged::Again => {
                if self.ask(now, Purpose::Subscribe { account }, asked.tries + 1).is_err() {
                    self.subscription_refused(now, account, 0, None);
                }
            }
            _ => {
                if matches!(status, 403 | 404 | 480 | 481) {
                    self.doubt(now, account);
                }
                let after = response.retry_after().map(|after| after.seconds);
                self.subscription_refused(now, account, status, after);
            }
        }
    }

    pub(super) fn subscription_refused(
        &mut self,
        now: Instant,
        account: u8,
        status: u16,
        after: Option<u32>,
    ) {
        if let Some(state) = self.accounts.get_mut(usize::from(account)) {
            state.subscription.refused(now, status, after, &mut self.random);
        }
    }

    /// Whether a request belongs to one of our subscriptions.
    pub(super) fn is_subscription(&self, message: &Message<'_>) -> bool {
        self.subscription_of(message).is_some()
    }

    fn subscription_of(&self, message: &Message<'_>) -> Option<u8> {
        let (call_id, tag) = (message.call_id().ok()?, message.to().ok()?.tag()?);
        let index = self.accounts.iter().position(|state| {
            let mut text = String::<16>::new();
            let mut is = |number: u64, found: &str| {
                text.clear();
                // Sixteen digits fit.
                let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{number:016x}"));
                text.as_str() == found
            };
            is(state.subscription.call_id, call_id) && is(state.subscription.tag, tag)
        })?;
        u8::try_from(index).ok()
    }

    /// NOTIFY outside of calls: messages wait, or not.
    pub(super) fn notice(
        &mut self,
        now: Instant,
        flow: Flow,
        server: TransactionId,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        let _ = flow;
        let package = message.event().ok().flatten().map_or("", |event| event.package);
        let subscription = self.subscription_of(message);
        if !package.eq_ignore_ascii_case("message-summary") {
            let status = if subscription.is_some() || message.to().is_ok_and(|to| to.tag().is_none()) {
                489
            } else {
                481
            };
            self.reply_with(
                now,
                server,
                status,
                super::answer::With { headers: &[(Name::AllowEvents, "refer, message-summary")], body: None },
            )?;
            return Err(Rejected::Unsupported);
        }
        let place = match subscription {
            Some(account) => Some((account, 0)),
            None => self.find_number(message),
        };
        let Some((account, number)) = place else {
            self.reply(now, server, 481)?;
            return Err(Rejected::UnknownDialog);
        };
        self.reply(now, server, 200)?;
        let state = message.subscription_state().ok().flatten();
        if let (Some(state), true) = (state, subscription.is_some())
            && state.state.eq_ignore_ascii_case("terminated")
            && let Some(entry) = self.accounts.get_mut(usize::from(account))
        {
            let reason = state.reason.unwrap_or_default();
            entry.subscription.terminated(now, reason, state.retry_after, &mut self.random);
        }
        if let Some(MessageSummary { waiting, new, old }) = MessageSummary::parse(message.body()) {
            self.tell(Event::MessageWaiting { account, number, waiting, new, old });
        }
        Ok(())
    }

    /// Something is strange about the server: it may have lost our bindings.
    pub(super) fn doubt(&mut self, now: Instant, account: u8) {
        if let Some(state) = self.accounts.get_mut(usize::from(account)) {
            for number in &mut state.registered {
                number.registration.doubt(now, &mut self.random);
            }
        }
    }

    /// An answer to our OPTIONS: a sign of trouble?
    pub(super) fn examine_probe(&mut self, now: Instant, asked: Asked, response: &Message<'_>) {
        let status = response.status().map_or(0, |status| status.code());
        let is_slow = now.since(asked.sent) > SLOW;
        let name = response.line(Name::Server).map(digest_of);
        let Some(state) = self.accounts.get_mut(usize::from(asked.account)) else { return };
        let is_other = match (state.server_name, name) {
            (Some(known), Some(name)) => known != name,
            _ => false,
        };
        state.server_name = name.or(state.server_name);
        if status >= 500 || is_slow || is_other {
            self.doubt(now, asked.account);
        }
    }

    /// An answer to our OPTIONS, or its silence.
    pub(super) fn probed(&mut self, now: Instant, account: u8, answered: bool) {
        let Some(state) = self.accounts.get_mut(usize::from(account)) else { return };
        match (answered, state.probing) {
            (true, _) => state.probing = Probing::Answers,
            (false, Probing::Answers) => {
                // It answered before and does not now: register again, elsewhere if there is elsewhere.
                self.way_failed(now, account);
            }
            (false, _) => state.probing = Probing::Silent,
        }
    }

    /// The number a request is for: by its Request-URI, then by To.
    pub(super) fn find_number(&self, message: &Message<'_>) -> Option<(u8, u8)> {
        let from_uri: dialtone_base::telephony::Number = message.request_uri()?.user_text();
        let from_to: dialtone_base::telephony::Number = message.to().ok()?.uri.user_text();
        let find = |wanted: &str, exact: bool| {
            self.config.accounts.iter().enumerate().find_map(|(account, config)| {
                let number = config.numbers.iter().position(|number| {
                    if exact { number.as_str() == wanted } else { is_same_number(number, wanted) }
                })?;
                Some((account as u8, number as u8))
            })
        };
        let by_uri = find(&from_uri, true).or_else(|| find(&from_uri, false));
        // One number registers for all of a trunk's: the one that was called stands in To.
        let by_to = find(&from_to, true).or_else(|| find(&from_to, false));
        match (by_uri, by_to) {
            (Some((account, _)), Some((called, number)))
                if account == called
                    && self
                        .account_config(account)
                        .is_some_and(|config| config.registering == crate::Registering::First) =>
            {
                Some((called, number))
            }
            (Some(found), _) => Some(found),
            (None, found) => found,
        }
    }
}

/// The same subscriber number, written with and without country code, area code or their prefixes: at least six digits agree from the end.
fn is_same_number(ours: &str, theirs: &str) -> bool {
    let digits = |text: &str| text.trim_start_matches('+').trim_start_matches('0').len();
    let (ours, theirs) = (
        ours.trim_start_matches('+').trim_start_matches('0'),
        theirs.trim_start_matches('+').trim_start_matches('0'),
    );
    digits(ours).min(digits(theirs)) >= 6
        && (ours.ends_with(theirs) || theirs.ends_with(ours))
        && ours.bytes().chain(theirs.bytes()).all(|byte| byte.is_ascii_digit())
}

/// A server's name in few bytes (FNV-1a): only a change matters.
fn digest_of(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// How long the registrar keeps our Contact (section 10.2.4): the parameter of ours, else Expires.
fn granted(state: &AccountState, response: &Message<'_>) -> Option<Duration> {
    let ours = state.contact();
    let contact = response.contacts().find_map(|contact| {
        let crate::message::Contact::Address(address) = contact else { return None };
        let host = address.uri.host().and_then(|host| host.address());
        let is_ours = ours.is_some_and(|ours| host == Some(IpAddr::V4(*ours.ip())));
        if is_ours { address.parameters.number("expires") } else { None }
    });
    let seconds = contact.or(response.expires())?;
    Some(Duration::from_secs(u64::from(seconds)))
}

fn keep_service_route(state: &mut AccountState, response: &Message<'_>) {
    state.service_route.clear();
    for route in response.addresses(Name::ServiceRoute) {
        let before = state.service_route.len();
        let separator = if before == 0 { "" } else { "," };
        let fits = core::fmt::Write::write_fmt(&mut state.service_route, format_args!("{separator}{route}"));
        if fits.is_err() {
            // Half a route leads nowhere.
            state.service_route.clear();
            return;
        }
    }
}

/// Where a 3xx sends us.
fn redirection(response: &Message<'_>) -> Option<(HostName, Option<u16>, bool)> {
    let uri = response.target()?;
    let mut host = HostName::new();
    core::fmt::Write::write_fmt(&mut host, format_args!("{}", uri.host()?)).ok()?;
    let tcp = uri.parameter("transport").and_then(Transport::from_name) == Some(Transport::Tcp);
    Some((host, uri.port(), tcp))
}
