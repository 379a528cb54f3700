//! The operator's own numbers: 600 to 605, and the emergency numbers, which are a recording here.
//!
//! A call of theirs is an ordinary dialog (RFC 3261, section 12) with a small plan: ring, answer or refuse, say something, hang up
//! or go on. They take re-INVITE, UPDATE, INFO, PRACK, and REFER, for which they call somebody themselves.

pub mod clock;

use std::net::SocketAddrV4;

use dialtone_base::{Duration, Instant};

use super::media::{Media, Playing};
use super::message::{self, Message};
use super::proxy::{acknowledgement, same_hop};
use super::{ALLOWED, Operator, REMEMBERED, Road, T2, speech};
use crate::packet::Datagram;

/// A number of the operator's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// 600: what is said comes back.
    Echo,
    /// 601: tells the time.
    Time,
    /// 602: calls back after hanging up.
    CallBack,
    /// 603: rings for six seconds, then is busy.
    Busy,
    /// 604: leaves a message waiting; called again it takes it back.
    Message,
    /// 605: an announcement before the call is answered; then it is refused.
    Announcement,
    /// 110, 112 and so on: nobody comes.
    Emergency,
}

impl Service {
    /// Whose number this is.
    pub fn of(number: &str) -> Option<Self> {
        Some(match number {
            "600" => Self::Echo,
            "601" => Self::Time,
            "602" => Self::CallBack,
            "603" => Self::Busy,
            "604" => Self::Message,
            "605" => Self::Announcement,
            "000" | "110" | "111" | "112" | "118" | "119" | "911" | "999" => Self::Emergency,
            _ => return None,
        })
    }

    /// How long it rings.
    fn rings(self) -> Duration {
        Duration::from_millis(match self {
            Self::Echo => 200,
            Self::Time | Self::Message => 1500,
            Self::CallBack | Self::Emergency => 500,
            Self::Busy => 6000,
            Self::Announcement => 500,
        })
    }
}

/// What somebody said to one of the operator's numbers.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The other party's user part.
    pub party: String,
    /// Keys pressed, as telephone-events.
    pub keys: String,
    /// RTP packets.
    pub packets: u64,
    /// G.711 samples, with [`super::Settings::record`].
    pub samples: Vec<i16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Invited, nothing decided yet.
    Ringing,
    /// Answered.
    Up,
    /// We invited.
    Calling,
    /// Of no use any more.
    Over,
}

/// A call of one of the operator's numbers.
pub struct Call {
    service: Service,
    stage: Stage,
    road: Road,
    /// INVITE of the other side, or ours.
    invite: Message,
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    sequence: u32,
    subscriber: String,
    media: Media,
    next: Option<Instant>,
    /// The other side called us.
    incoming: bool,
    /// Who wants to hear what becomes of this call of ours (REFER): the call it came in.
    referred_by: Option<String>,
    rounds: u32,
}

impl Call {
    pub(super) fn next_poll(&self) -> Option<Instant> {
        [self.next, self.media.next_poll()].into_iter().flatten().min()
    }

    fn local_tag(&self) -> Option<&str> {
        message::parameter(&self.local, "tag")
    }

    fn heard(&self) -> Heard {
        Heard {
            party: message::user_of(message::uri_of(&self.remote)).into(),
            keys: self.media.keys.clone(),
            packets: self.media.received,
            samples: self.media.recorded.clone().unwrap_or_default(),
        }
    }

    /// A request of ours within the dialog.
    fn request(&mut self, method: &str, branch: &str) -> Message {
        self.sequence += 1;
        let mut request = Message::request(method, &self.target)
            .with(
                "Via",
                format!("SIP/2.0/{} {};branch={branch};rport", self.road.transport(), self.road.ours()),
            )
            .with("Max-Forwards", "70")
            .with("From", self.local.clone())
            .with("To", self.remote.clone())
            .with("Call-ID", self.call_id.clone())
            .with("CSeq", format!("{} {method}", self.sequence));
        for route in &self.routes {
            request = request.with("Route", route.clone());
        }
        request
    }
}

impl Operator {
    /// Everything said to the operator's numbers: in calls that are over, then in those under way.
    pub fn heard(&self) -> Vec<Heard> {
        self.finished.iter().cloned().chain(self.calls.iter().map(Call::heard)).collect()
    }

    /// Lets one of its numbers call a subscriber.
    pub fn call(&mut self, now: Instant, number: &str, subscriber: &str) {
        self.invite(now, number, subscriber, None, None);
    }

    pub(super) fn answer_call(&mut self, now: Instant, road: Road, user: &str, request: &Message) {
        let number = message::user_of(request.uri()).to_string();
        let Some(service) = Service::of(&number) else { return };
        let tag = self.token();
        let local = format!("{};tag={tag}", request.header("To").unwrap_or(""));
        let mut media = self.new_media(road);
        media.playing = match service {
            Service::Echo | Service::Busy => Playing::Echo(self.settings.echo_delay),
            _ => Playing::Voice { samples: Vec::new(), at: 0 },
        };
        if request.header("Require").is_some() && !request.lists("Require", "100rel") {
            let unsupported = request.header("Require").unwrap_or("").to_string();
            let response = Message::response(request, 420).with("Unsupported", unsupported);
            self.respond(now, road, request, response);
            return;
        }
        let call = Call {
            service,
            stage: Stage::Ringing,
            road,
            invite: request.clone(),
            call_id: request.header("Call-ID").unwrap_or("").into(),
            local,
            remote: request.header("From").unwrap_or("").into(),
            target: message::uri_of(request.header("Contact").unwrap_or("")).into(),
            routes: request.all("Record-Route").map(Into::into).collect(),
            sequence: 0,
            subscriber: user.into(),
            media,
            next: Some(now + service.rings()),
            incoming: true,
            referred_by: None,
            rounds: 0,
        };
        self.calls.push(call);
        let at = self.calls.len() - 1;
        if let Some(tag) = self.faults.forked.then(|| self.token()) {
            // Another telephone of the same number rings, too.
            let mut early = self.in_dialog(at, 180);
            let to = format!("{};tag={tag}", request.header("To").unwrap_or(""));
            early.set("To", to);
            self.send(now, road, &early);
        }
        if service == Service::Announcement {
            self.speak(now, at, "this number is not in use . please try another");
            if let Some(response) = self.described(now, at, 183) {
                self.respond(now, road, request, response);
            }
        } else {
            let ringing = self.in_dialog(at, 180);
            self.respond(now, road, request, ringing);
        }
    }

    /// A response with our tag and contact.
    fn in_dialog(&self, at: usize, code: u16) -> Message {
        let call = &self.calls[at];
        let mut response = Message::response(&call.invite, code);
        response.set("To", call.local.clone());
        for route in call.invite.all("Record-Route") {
            response = response.with("Record-Route", route);
        }
        let number = message::user_of(call.invite.uri());
        response.with("Contact", format!("<sip:{number}@{}>", call.road.place())).with("Allow", ALLOWED)
    }

    /// The same with a description; refuses the call when nothing suits.
    fn described(&mut self, now: Instant, at: usize, code: u16) -> Option<Message> {
        let offer = self.calls[at].invite.sdp().map(str::to_string);
        let media = &mut self.calls[at].media;
        let body = match offer {
            Some(offer) => media.answer(now, &offer),
            None => Some(media.offer()),
        };
        match body {
            Some(body) => Some(self.in_dialog(at, code).with_sdp(body)),
            None => {
                let call = &mut self.calls[at];
                call.stage = Stage::Over;
                let (road, invite) = (call.road, call.invite.clone());
                self.refuse(now, road, &invite, 488);
                None
            }
        }
    }

    fn new_media(&mut self, road: Road) -> Media {
        let address = SocketAddrV4::new(*road.ours().ip(), self.next_port);
        self.next_port = if self.next_port < 60_000 { self.next_port + 2 } else { super::FIRST_MEDIA_PORT };
        let mut media = Media::new(address, &mut self.random);
        media.recorded = self.settings.record.then(Vec::new);
        media.knows_events = self.settings.events;
        media
    }

    fn speak(&mut self, _now: Instant, at: usize, words: &str) {
        self.calls[at].media.playing = Playing::Voice { samples: speech::say(words), at: 0 };
    }

    pub(super) fn poll_calls(&mut self, now: Instant) {
        for at in 0..self.calls.len() {
            if self.calls[at].next.is_some_and(|next| next <= now) {
                self.calls[at].next = None;
                self.step(now, at);
            }
        }
        let over: Vec<Heard> =
            self.calls.iter().filter(|call| call.stage == Stage::Over).map(Call::heard).collect();
        self.finished.extend(over);
        let excess = self.finished.len().saturating_sub(MOST_HEARD);
        self.finished.drain(..excess);
        self.calls.retain(|call| call.stage != Stage::Over);
        let (due, later) = self.call_backs.drain(..).partition(|(when, _)| *when <= now);
        self.call_backs = later;
        let due: Vec<(Instant, String)> = due;
        for (_, subscriber) in due {
            self.invite(now, "602", &subscriber, None, None);
        }
    }

    /// The next point of a call's plan.
    fn step(&mut self, now: Instant, at: usize) {
        let (service, stage) = (self.calls[at].service, self.calls[at].stage);
        match (stage, service) {
            (Stage::Ringing, Service::Busy) => self.decline(now, at, 486),
            (Stage::Ringing, Service::Announcement) => {
                if self.calls[at].media.has_spoken() {
                    self.decline(now, at, 404);
                } else {
                    self.calls[at].next = Some(now + SOON);
                }
            }
            (Stage::Ringing, _) => self.answer(now, at),
            (Stage::Up, Service::Echo | Service::Busy) => {}
            (Stage::Up, Service::Time) if !self.calls[at].media.has_spoken() => {
                self.calls[at].next = Some(now + SOON);
            }
            (Stage::Up, Service::Time) if self.calls[at].rounds < 3 => self.tell(now, at),
            (Stage::Up, _) if self.calls[at].media.has_spoken() => self.hang_up(now, at),
            (Stage::Up, _) => self.calls[at].next = Some(now + SOON),
            (Stage::Calling, _) => self.give_up(now, at),
            (Stage::Over, _) => {}
        }
    }

    fn answer(&mut self, now: Instant, at: usize) {
        let Some(response) = self.described(now, at, 200) else { return };
        let call = &mut self.calls[at];
        call.stage = Stage::Up;
        let (road, invite) = (call.road, call.invite.clone());
        let key = format!("answer {} {}", call.call_id, invite.sequence());
        self.remember(now, &invite, response.bytes());
        self.repeat(now, key, road, response.bytes(), T2);
        self.send(now, road, &response);
        self.tell(now, at);
    }

    /// What a number says once it was answered.
    fn tell(&mut self, now: Instant, at: usize) {
        let (service, subscriber) = (self.calls[at].service, self.calls[at].subscriber.clone());
        self.calls[at].rounds += 1;
        let words = match service {
            Service::Echo | Service::Busy | Service::Announcement => return,
            Service::Time => {
                let unix = self.settings.unix_at_start + now.as_secs();
                format!("the time is . {} . .", clock::words(unix))
            }
            Service::CallBack if self.calls[at].incoming => {
                "hello . please hang up . i call you back .".into()
            }
            Service::CallBack => "hello . you have been called . goodbye .".into(),
            Service::Message => {
                let waiting = u32::from(self.messages(&subscriber) == 0);
                self.set_messages(now, &subscriber, waiting);
                if waiting > 0 {
                    "you have one message . goodbye .".into()
                } else {
                    "no message . goodbye .".into()
                }
            }
            Service::Emergency => "this is not an emergency call . it is a test . please hang up .".into(),
        };
        self.speak(now, at, &words);
        self.calls[at].next = Some(now + SOON);
    }

    fn decline(&mut self, now: Instant, at: usize, code: u16) {
        let mut response = Message::response(&self.calls[at].invite, code);
        let call = &mut self.calls[at];
        response.set("To", call.local.clone());
        call.stage = Stage::Over;
        let (road, invite) = (call.road, call.invite.clone());
        self.respond(now, road, &invite, response);
    }

    fn hang_up(&mut self, now: Instant, at: usize) {
        let branch = format!("z9hG4bK{}", self.token());
        let call = &mut self.calls[at];
        let (bye, road) = (call.request("BYE", &branch), call.road);
        self.repeat(now, format!("request {branch}"), road, bye.bytes(), T2);
        self.send(now, road, &bye);
        self.over(now, at);
    }

    fn over(&mut self, now: Instant, at: usize) {
        let call = &mut self.calls[at];
        call.stage = Stage::Over;
        let answer = format!("answer {} ", call.call_id);
        let back = (call.service == Service::CallBack && call.incoming).then(|| call.subscriber.clone());
        self.resends.retain(|one| !one.key.starts_with(&answer));
        if let Some(subscriber) = back {
            self.call_backs.push((now + CALL_BACK, subscriber));
        }
    }

    pub(super) fn cancel_call(&mut self, now: Instant, road: Road, request: &Message) -> bool {
        let found = self
            .calls
            .iter()
            .position(|call| call.stage != Stage::Calling && call.invite.branch() == request.branch());
        let Some(at) = found else { return false };
        let mut response = Message::response(request, 200);
        response.set("To", self.calls[at].local.clone());
        self.respond(now, road, request, response);
        if self.calls[at].stage == Stage::Ringing {
            self.decline(now, at, 487);
            self.over(now, at);
        }
        true
    }

    fn find(&self, message: &Message) -> Option<usize> {
        let call_id = message.header("Call-ID").unwrap_or("");
        let tag = message.to_tag();
        self.calls.iter().position(|call| call.call_id == call_id && call.local_tag() == tag)
    }

    /// An ACK for one of our answers; whether it was.
    pub(super) fn service_ack(&mut self, now: Instant, message: &Message) -> bool {
        let Some(at) = self.find(message) else { return false };
        let key = format!("answer {} {}", self.calls[at].call_id, message.sequence());
        self.delivered(&key);
        if self.calls[at].invite.sdp().is_none()
            && let Some(sdp) = message.sdp()
        {
            self.calls[at].media.accept(now, sdp);
        }
        true
    }

    /// A request within a dialog of ours; whether it was.
    pub(super) fn service_request(&mut self, now: Instant, road: Road, request: &Message) -> bool {
        let Some(at) = self.find(request) else { return false };
        self.calls[at].road = road;
        if let Some(contact) = request.header("Contact")
            && matches!(request.method(), "INVITE" | "UPDATE")
        {
            self.calls[at].target = message::uri_of(contact).into();
        }
        match request.method() {
            "BYE" => {
                self.refuse(now, road, request, 200);
                if self.calls[at].stage == Stage::Ringing {
                    self.decline(now, at, 487);
                }
                self.over(now, at);
            }
            "INVITE" => {
                self.calls[at].invite = request.clone();
                let Some(response) = self.described(now, at, 200) else {
                    // A refused change leaves the call as it was.
                    self.calls[at].stage = Stage::Up;
                    return true;
                };
                let key = format!("answer {} {}", self.calls[at].call_id, request.sequence());
                self.remember(now, request, response.bytes());
                self.repeat(now, key, road, response.bytes(), T2);
                self.send(now, road, &response);
            }
            "UPDATE" => {
                let contact = format!("<sip:{}@{}>", message::user_of(request.uri()), road.place());
                let mut response = Message::response(request, 200).with("Contact", contact);
                if let Some(offer) = request.sdp() {
                    match self.calls[at].media.answer(now, offer) {
                        Some(body) => response = response.with_sdp(body),
                        None => response = Message::response(request, 488),
                    }
                }
                self.respond(now, road, request, response);
            }
            "INFO" => {
                let body = String::from_utf8_lossy(&request.body);
                let key = body.lines().find_map(|line| line.trim().strip_prefix("Signal=")).map(str::trim);
                let key = key.or((body.len() == 1).then_some(&*body));
                self.calls[at].media.keys.push_str(key.unwrap_or(""));
                self.refuse(now, road, request, 200);
            }
            "REFER" => self.refer(now, road, at, request),
            "PRACK" | "OPTIONS" | "NOTIFY" | "MESSAGE" => self.refuse(now, road, request, 200),
            _ => self.refuse(now, road, request, 405),
        }
        true
    }

    /// Somebody asks the operator to call somebody else in its stead (RFC 3515).
    fn refer(&mut self, now: Instant, road: Road, at: usize, request: &Message) {
        let to = message::uri_of(request.header("Refer-To").unwrap_or("")).to_string();
        let number = message::user_of(&to).to_string();
        let contact = format!("<sip:{}@{}>", message::user_of(request.uri()), road.place());
        let accepted = Message::response(request, 202).with("Contact", contact);
        self.respond(now, road, request, accepted);
        let replaces =
            to.split_once("?Replaces=").map(|(_, rest)| unescape(rest.split('&').next().unwrap_or("")));
        let (own, call_id) =
            (message::user_of(self.calls[at].invite.uri()).to_string(), self.calls[at].call_id.clone());
        self.notify(now, &call_id, 100, false);
        let target = self.subscriber(&number).map(|one| one.user.clone());
        match (target, Service::of(&number)) {
            (Some(target), _) if !self.bindings(now, &target).is_empty() => {
                self.invite(now, &own, &target, Some(call_id), replaces);
            }
            // One of our own numbers: nobody needs to be asked.
            (None, Some(_)) => self.notify(now, &call_id, 200, true),
            _ => self.notify(now, &call_id, 404, true),
        }
    }

    fn notify(&mut self, now: Instant, call_id: &str, code: u16, last: bool) {
        let branch = format!("z9hG4bK{}", self.token());
        let Some(call) = self.calls.iter_mut().find(|call| call.call_id == call_id) else { return };
        let state = if last { "terminated;reason=noresource" } else { "active;expires=60" };
        let contact = format!("<sip:{}>", call.road.place());
        let mut notify = call
            .request("NOTIFY", &branch)
            .with("Event", "refer")
            .with("Subscription-State", state)
            .with("Contact", contact)
            .with("Content-Type", "message/sipfrag");
        let response = Message::response(&Message::request("X", ""), code);
        notify.body = response.to_string().lines().next().unwrap_or("").as_bytes().to_vec();
        let road = call.road;
        self.repeat(now, format!("request {branch}"), road, notify.bytes(), T2);
        self.send(now, road, &notify);
    }

    /// One of our numbers calls every telephone of a subscriber.
    fn invite(
        &mut self,
        now: Instant,
        number: &str,
        subscriber: &str,
        referred_by: Option<String>,
        replaces: Option<String>,
    ) {
        let service = Service::of(number).unwrap_or(Service::Echo);
        let domain = self.settings.domain.clone();
        let local = format!("\"{}\" <sip:{number}@{domain}>;tag={}", name_of(service), self.token());
        // One dialog per telephone; the first that answers has it, see `service_response`.
        let call_id = self.token();
        for binding in self.bindings(now, subscriber) {
            let branch = format!("z9hG4bK{}", self.token());
            let road = binding.road;
            let mut media = self.new_media(road);
            media.playing = match (&referred_by, service) {
                (None, Service::CallBack | Service::Time) => Playing::Voice { samples: Vec::new(), at: 0 },
                _ => Playing::Echo(self.settings.echo_delay),
            };
            let mut invite = Message::request("INVITE", &binding.contact)
                .with("Via", format!("SIP/2.0/{} {};branch={branch};rport", road.transport(), road.ours()))
                .with("Max-Forwards", "70")
                .with("From", local.clone())
                .with("To", format!("<sip:{subscriber}@{domain}>"))
                .with("Call-ID", call_id.clone())
                .with("CSeq", "1 INVITE")
                .with("Contact", format!("<sip:{number}@{}>", road.place()))
                .with("Allow", ALLOWED)
                .with("P-Asserted-Identity", format!("\"{}\" <sip:{number}@{domain}>", name_of(service)));
            if let Some(replaces) = &replaces {
                invite = invite.with("Replaces", replaces.clone());
            }
            let invite = invite.with_sdp(media.offer());
            self.repeat(now, format!("request {branch}"), road, invite.bytes(), REMEMBERED);
            self.send(now, road, &invite);
            self.calls.push(Call {
                service,
                stage: Stage::Calling,
                road,
                invite,
                call_id: call_id.clone(),
                local: local.clone(),
                remote: format!("<sip:{subscriber}@{domain}>"),
                target: binding.contact,
                routes: Vec::new(),
                sequence: 1,
                subscriber: subscriber.into(),
                media,
                next: Some(now + RINGS),
                incoming: false,
                referred_by: referred_by.clone(),
                rounds: 0,
            });
        }
    }

    /// A response to an INVITE of ours; whether it was.
    pub(super) fn service_response(&mut self, now: Instant, branch: &str, response: &Message) -> bool {
        let found = self.calls.iter().position(|call| call.invite.branch() == branch);
        let Some(at) = found.filter(|_| response.method() == "INVITE") else { return false };
        let (code, call) = (response.code().unwrap_or(0), &mut self.calls[at]);
        match code {
            0..200 => {}
            200..300 => {
                let first = call.stage == Stage::Calling;
                call.remote = response.header("To").unwrap_or("").into();
                call.target = message::uri_of(response.header("Contact").unwrap_or("")).into();
                call.routes = response.all("Record-Route").map(Into::into).collect();
                call.routes.reverse();
                let (road, sequence) = (call.road, call.sequence);
                let id = format!("z9hG4bK{}", self.token());
                let call = &mut self.calls[at];
                let mut ack = call.request("ACK", &id);
                ack.set("CSeq", format!("{} ACK", call.invite.sequence()));
                call.sequence = sequence;
                self.send(now, road, &ack);
                if first {
                    self.answered_call(now, at, response);
                }
            }
            _ => {
                let (road, ack) = (call.road, acknowledgement(&call.invite, response));
                call.stage = Stage::Over;
                let referred_by = call.referred_by.clone();
                self.send(now, road, &ack);
                if let Some(call_id) = referred_by {
                    self.notify(now, &call_id, code, true);
                }
            }
        }
        true
    }

    fn answered_call(&mut self, now: Instant, at: usize, response: &Message) {
        let call = &mut self.calls[at];
        call.stage = Stage::Up;
        call.next = None;
        let agreed = response.sdp().is_some_and(|sdp| call.media.accept(now, sdp));
        let (call_id, referred_by) = (call.call_id.clone(), call.referred_by.clone());
        for other in 0..self.calls.len() {
            if other != at
                && self.calls[other].call_id == call_id
                && self.calls[other].stage == Stage::Calling
            {
                self.give_up(now, other);
            }
        }
        if let Some(call_id) = referred_by {
            self.notify(now, &call_id, 200, true);
        }
        if agreed { self.tell(now, at) } else { self.hang_up(now, at) }
    }

    /// Nobody answered, or another telephone did.
    fn give_up(&mut self, now: Instant, at: usize) {
        let call = &mut self.calls[at];
        call.rounds += 1;
        if call.rounds > 1 {
            // Not even the CANCEL was answered.
            call.stage = Stage::Over;
            return;
        }
        call.next = Some(now + REMEMBERED);
        let (road, cancel) = (call.road, same_hop(&call.invite, "CANCEL"));
        let key = format!("cancel {}", self.calls[at].invite.branch());
        self.repeat(now, key, road, cancel.bytes(), T2);
        self.send(now, road, &cancel);
        // The 487 that follows ends the call.
    }

    /// RTP, or RTCP, which nobody here reads.
    pub(super) fn sound(&mut self, now: Instant, datagram: &Datagram<'_>) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.media.ours == datagram.to) {
            call.media.receive(now, datagram.from, datagram.payload);
        }
    }

    pub(super) fn poll_media(
        &mut self,
        now: Instant,
        send: &mut dyn FnMut(SocketAddrV4, SocketAddrV4, Vec<u8>),
    ) {
        let mut packets = Vec::new();
        for call in self.calls.iter_mut().filter(|call| call.stage != Stage::Over) {
            call.media.poll(now, &mut |from, to, packet| packets.push((from, to, packet)));
        }
        for (from, to, packet) in packets {
            if !self.faults.gone.contains(from.ip()) && !self.loses() {
                send(from, to, packet);
            }
        }
    }
}

fn name_of(service: Service) -> &'static str {
    match service {
        Service::Echo => "Echo",
        Service::Time => "Time",
        Service::CallBack => "Call Back",
        Service::Busy => "Busy",
        Service::Message => "Messages",
        Service::Announcement => "Announcement",
        Service::Emergency => "Emergency",
    }
}

/// `%3B` and so on.
fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or("").to_string();
    for part in parts {
        match part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[2..]);
            }
            None => plain.push_str(part),
        }
    }
    plain
}

/// Until a plan is looked at again.
const SOON: Duration = Duration::from_millis(100);
/// After 602 was hung up.
const CALL_BACK: Duration = Duration::from_secs(3);
/// How long a call of ours rings.
const RINGS: Duration = Duration::from_secs(45);
/// Calls that are over and still known.
const MOST_HEARD: usize = 1000;
