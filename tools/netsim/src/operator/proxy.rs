//! Passing calls on between subscribers (RFC 3261, section 16).
//!
//! An INVITE is forked to every binding of the one called, with transactions of its own (retransmission, CANCEL, the best
//! final response). Everything else is passed on without state but for the way back. Record-Route keeps the operator on
//! the way, twice where the transport changes (RFC 5658).

use dialtone_base::{Duration, Instant};

use super::digest::Algorithm;
use super::message::{self, Message, Start};
use super::{Forwarded, Operator, Road, T2};

/// A call being set up.
pub struct Fork {
    back: Road,
    request: Message,
    branches: Vec<Branch>,
    best: Option<Message>,
    /// An answer to the caller that is no provisional one.
    decided: bool,
    pub(super) until: Instant,
}

struct Branch {
    id: String,
    road: Road,
    invite: Message,
    heard: bool,
    over: bool,
    cancel: bool,
}

impl Operator {
    /// A request out of any dialog, for a subscriber or for one of our numbers.
    pub(super) fn set_up(&mut self, now: Instant, road: Road, mut message: Message) {
        let invite = message.method() == "INVITE";
        if invite {
            let trying = Message::response(&message, 100);
            self.remember(now, &message, trying.bytes());
            self.send(now, road, &trying);
        }
        let Some(user) = self.authenticate(now, road, &message, true) else { return };
        while message.header("Route").is_some_and(|route| self.is_here(message::uri_of(route))) {
            message.take_first("Route");
        }
        message.headers.retain(|(name, _)| name != "Proxy-Authorization" && name != "P-Preferred-Identity");
        self.assert_identity(&user, &mut message);
        let uri = message.uri().to_string();
        let number = message::user_of(&uri).to_string();
        if !self.is_here(&uri) && !uri.starts_with("tel:") {
            self.refuse(now, road, &message, 404);
            return;
        }
        let called = self.subscriber(&number).map(|one| one.user.clone());
        match called {
            None if super::service::Service::of(&number).is_some() => {
                if invite {
                    self.answer_call(now, road, &user, &message);
                } else {
                    let code = if message.method() == "OPTIONS" { 200 } else { 405 };
                    self.refuse(now, road, &message, code);
                }
            }
            None => self.refuse(now, road, &message, 404),
            Some(called) => {
                let targets = self.bindings(now, &called);
                if targets.is_empty() {
                    self.refuse(now, road, &message, 480);
                } else if invite {
                    let targets = targets.into_iter().map(|one| (one.contact, one.road)).collect();
                    self.fork(now, road, message, targets);
                } else {
                    message.start =
                        Start::Request { method: message.method().into(), uri: targets[0].contact.clone() };
                    self.pass_on(now, road, targets[0].road, message);
                }
            }
        }
    }

    /// RFC 3325: who really calls, unless they want it withheld.
    fn assert_identity(&self, user: &str, message: &mut Message) {
        message.headers.retain(|(name, _)| name != "P-Asserted-Identity");
        let withheld = message
            .header("Privacy")
            .is_some_and(|value| value.split(';').any(|one| matches!(one.trim(), "id" | "user" | "header")));
        if let Some(one) = self.subscriber(user)
            && !withheld
        {
            let from = message::user_of(message::uri_of(message.header("From").unwrap_or("")));
            let number = if one.has(from) { from } else { user };
            let identity = format!("\"{}\" <sip:{number}@{}>", one.name, self.settings.domain);
            message.set("P-Asserted-Identity", identity);
        }
    }

    fn fork(&mut self, now: Instant, back: Road, request: Message, targets: Vec<(String, Road)>) {
        let mut branches = Vec::new();
        for (contact, road) in targets {
            let id = format!("z9hG4bK{}", self.token());
            let mut invite = request.clone();
            invite.start = Start::Request { method: "INVITE".into(), uri: contact };
            record_route(&mut invite, back, road);
            go_one_hop(&mut invite, road, &id);
            self.repeat(now, format!("request {id}"), road, invite.bytes(), Duration::from_secs(32));
            self.send(now, road, &invite);
            branches.push(Branch { id, road, invite, heard: false, over: false, cancel: false });
        }
        let until = now + SILENCE;
        self.forks.push(Fork { back, request, branches, best: None, decided: false, until });
    }

    /// A response to something we sent.
    pub(super) fn response(&mut self, now: Instant, mut message: Message) {
        let branch = message.branch().to_string();
        let code = message.code().unwrap_or(0);
        if message.method() != "CANCEL" {
            self.delivered(&format!("request {branch}"));
        } else {
            self.delivered(&format!("cancel {branch}"));
            return;
        }
        if self.service_response(now, &branch, &message) {
            return;
        }
        message.take_first("Via");
        let found = self.forks.iter().position(|fork| fork.branches.iter().any(|one| one.id == branch));
        if let Some(at) = found
            && message.method() == "INVITE"
        {
            self.fork_response(now, at, &branch, code, message);
        } else if let Some(forwarded) = self.forwarded.get(&branch) {
            let back = forwarded.back;
            self.send(now, back, &message);
        }
    }

    fn fork_response(&mut self, now: Instant, at: usize, branch: &str, code: u16, message: Message) {
        let fork = &mut self.forks[at];
        let Some(index) = fork.branches.iter().position(|one| one.id == branch) else { return };
        fork.branches[index].heard = true;
        if code == 100 {
            if fork.branches[index].cancel {
                self.cancel_branch(now, at, index);
            }
            return;
        }
        let (back, request) = (fork.back, fork.request.clone());
        match code {
            101..200 => {
                fork.until = now + RINGING;
                let cancel = fork.branches[index].cancel;
                if !fork.decided {
                    self.remember(now, &request, message.bytes());
                    self.send(now, back, &message);
                }
                if cancel {
                    self.cancel_branch(now, at, index);
                }
            }
            200..300 => {
                fork.branches[index].over = true;
                fork.decided = true;
                fork.until = now + LINGER;
                self.remember(now, &request, message.bytes());
                self.send(now, back, &message);
                self.cancel_others(now, at);
            }
            _ => {
                let one = &mut fork.branches[index];
                let (road, ack) = (one.road, acknowledgement(&one.invite, &message));
                let again = std::mem::replace(&mut one.over, true);
                self.send(now, road, &ack);
                if again {
                    return;
                }
                let fork = &mut self.forks[at];
                let better =
                    fork.best.as_ref().is_none_or(|best| rank(code) < rank(best.code().unwrap_or(699)));
                if better {
                    fork.best = Some(message);
                }
                if code >= 600 {
                    self.cancel_others(now, at);
                }
                self.decide(now, at);
            }
        }
    }

    /// When every branch has failed, the best failure is the answer.
    fn decide(&mut self, now: Instant, at: usize) {
        let fork = &mut self.forks[at];
        if fork.decided || fork.branches.iter().any(|one| !one.over) {
            return;
        }
        fork.decided = true;
        fork.until = now + LINGER;
        let best = fork.best.take().unwrap_or_else(|| Message::response(&fork.request, 408));
        let (back, request) = (fork.back, fork.request.clone());
        self.respond(now, back, &request, best);
    }

    fn cancel_others(&mut self, now: Instant, at: usize) {
        for index in 0..self.forks[at].branches.len() {
            let one = &mut self.forks[at].branches[index];
            if !one.over {
                one.cancel = true;
                if one.heard {
                    self.cancel_branch(now, at, index);
                }
            }
        }
    }

    fn cancel_branch(&mut self, now: Instant, at: usize, index: usize) {
        let one = &mut self.forks[at].branches[index];
        if one.over {
            return;
        }
        one.cancel = false;
        let (road, key) = (one.road, format!("cancel {}", one.id));
        let cancel = same_hop(&one.invite, "CANCEL");
        self.repeat(now, key, road, cancel.bytes(), T2);
        self.send(now, road, &cancel);
    }

    /// The caller gives up.
    pub(super) fn cancel(&mut self, now: Instant, road: Road, request: &Message) {
        if self.cancel_call(now, road, request) {
            return;
        }
        let found = self.forks.iter().position(|fork| fork.request.branch() == request.branch());
        if let Some(at) = found {
            self.refuse(now, road, request, 200);
            if !self.forks[at].decided {
                self.cancel_others(now, at);
            }
            return;
        }
        // Of a request within a dialog, perhaps: the same way as that.
        match self.next_hop(request) {
            Some(to) if self.forwarded.contains_key(&derived_branch(request)) => {
                self.pass_on(now, road, to, request.clone());
            }
            _ => self.refuse(now, road, request, 481),
        }
    }

    pub(super) fn acknowledge(&mut self, now: Instant, road: Road, mut message: Message) {
        if self.forks.iter().any(|fork| fork.request.branch() == message.branch()) {
            // Of a final response that was ours or was answered by us already.
            return;
        }
        if message.to_tag().is_none() || self.service_ack(now, &message) {
            return;
        }
        self.drop_own_routes(&mut message);
        let ours = self.is_here(message.header("Route").map_or(message.uri(), message::uri_of));
        if let Some(to) = self.next_hop(&message).filter(|_| !ours) {
            self.pass_on(now, road, to, message);
        }
    }

    /// A request in a dialog: one of ours, or between two others.
    pub(super) fn within_dialog(&mut self, now: Instant, road: Road, mut message: Message) {
        self.drop_own_routes(&mut message);
        let target = message.header("Route").map_or(message.uri(), message::uri_of).to_string();
        if self.is_here(&target) {
            let known = (message.method() == "SUBSCRIBE" && self.watch_again(now, road, &message))
                || self.service_request(now, road, &message);
            if !known {
                self.refuse(now, road, &message, 481);
            }
            return;
        }
        match self.next_hop(&message) {
            Some(to) => {
                if message.method() == "INVITE" {
                    record_route(&mut message, road, to);
                }
                self.pass_on(now, road, to, message);
            }
            None => self.refuse(now, road, &message, 404),
        }
    }

    fn drop_own_routes(&self, message: &mut Message) {
        while message.header("Route").is_some_and(|route| self.is_here(message::uri_of(route))) {
            message.take_first("Route");
        }
    }

    /// Where a request goes by its Route or Request-URI.
    fn next_hop(&self, message: &Message) -> Option<Road> {
        let uri = message.header("Route").map_or(message.uri(), message::uri_of);
        self.road_to(uri)
    }

    /// The way its contact was last heard on, otherwise the address in it.
    pub(super) fn road_to(&self, uri: &str) -> Option<Road> {
        if let Some(road) = self.roads.get(&super::address_key(uri)) {
            return Some(*road);
        }
        let place = message::host_port_of(uri);
        let (host, port) = place.split_once(':').unwrap_or((place, "5060"));
        let theirs = std::net::SocketAddrV4::new(host.parse().ok()?, port.parse().ok()?);
        let ours = std::net::SocketAddrV4::new(*self.settings.servers.first()?, super::PORT);
        Some(Road::Udp { ours, theirs })
    }

    fn pass_on(&mut self, now: Instant, back: Road, to: Road, mut message: Message) {
        let id = derived_branch(&message);
        go_one_hop(&mut message, to, &id);
        self.forwarded.insert(id, Forwarded { back, until: now + Duration::from_secs(64) });
        self.send(now, to, &message);
    }

    pub(super) fn poll_forks(&mut self, now: Instant) {
        for at in 0..self.forks.len() {
            if self.forks[at].until > now || self.forks[at].decided {
                continue;
            }
            // Nobody there, or nobody answers (timers B and C).
            self.cancel_others(now, at);
            for one in &mut self.forks[at].branches {
                one.over = true;
            }
            self.decide(now, at);
        }
        self.forks.retain(|fork| fork.until > now);
    }
}

/// Our Via on top, one hop less.
fn go_one_hop(message: &mut Message, road: Road, branch: &str) {
    message.push_front("Via", format!("SIP/2.0/{} {};branch={branch}", road.transport(), road.ours()));
    let hops: u32 = message.header("Max-Forwards").and_then(|hops| hops.parse().ok()).unwrap_or(70);
    message.set("Max-Forwards", hops.saturating_sub(1).to_string());
}

fn record_route(message: &mut Message, from: Road, to: Road) {
    message.push_front("Record-Route", format!("<sip:{};lr>", from.place()));
    if from.transport() != to.transport() || from.ours() != to.ours() {
        message.push_front("Record-Route", format!("<sip:{};lr>", to.place()));
    }
}

/// The same for a request, its CANCEL and its ACK, and for each time it comes.
fn derived_branch(message: &Message) -> String {
    let text = format!("{} {}", message.branch(), message.header("Call-ID").unwrap_or(""));
    format!("z9hG4bKvia{}", &Algorithm::Md5.hex(&text)[..16])
}

/// CANCEL or ACK for an INVITE we sent (sections 9.1 and 17.1.1.3).
pub(super) fn same_hop(invite: &Message, method: &str) -> Message {
    let mut message = Message::request(method, invite.uri());
    if let Some(via) = invite.header("Via") {
        message = message.with("Via", via);
    }
    message = message.with("Max-Forwards", "70");
    for (name, value) in &invite.headers {
        if ["From", "To", "Call-ID", "Route"].contains(&name.as_str()) {
            message = message.with(name, value.clone());
        }
    }
    message.with("CSeq", format!("{} {method}", invite.sequence()))
}

/// ACK for a failure.
pub(super) fn acknowledgement(invite: &Message, response: &Message) -> Message {
    let mut ack = same_hop(invite, "ACK");
    if let Some(to) = response.header("To") {
        ack.set("To", to);
    }
    ack
}

/// Which failure a caller hears of (section 16.7, step 6): 6xx, then what they can do something about, then the rest.
fn rank(code: u16) -> u16 {
    match code {
        600.. => 0,
        401 | 407 | 415 | 420 | 484 => 1,
        _ => code,
    }
}

/// Until somebody must have said something.
const SILENCE: Duration = Duration::from_secs(32);
/// Timer C.
const RINGING: Duration = Duration::from_secs(180);
/// How long a decided call is remembered for what comes late.
const LINGER: Duration = Duration::from_secs(32);
