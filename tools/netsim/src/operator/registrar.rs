//! Who is where (RFC 3261, section 10), and who wants to know of waiting messages (RFC 3842).

use dialtone_base::{Duration, Instant};

use super::digest::Verdict;
use super::message::{self, Message};
use super::{Binding, Operator, Road, T2};

/// A subscription to `message-summary`.
pub(super) struct Watcher {
    user: String,
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    road: Road,
    sequence: u32,
    until: Instant,
}

impl Operator {
    /// Whether the request's credentials are those of a subscriber; answers with a challenge when not. The user they are of.
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        road: Road,
        request: &Message,
        proxy: bool,
    ) -> Option<String> {
        let from = message::user_of(message::uri_of(request.header("From").unwrap_or(""))).to_string();
        if self.settings.algorithms.is_empty() {
            let user = self.subscriber(&from).map(|one| one.user.clone());
            if user.is_none() {
                self.refuse(now, road, request, 403);
            }
            return user;
        }
        let (code, ask, answer) = if proxy {
            (407, "Proxy-Authenticate", "Proxy-Authorization")
        } else {
            (401, "WWW-Authenticate", "Authorization")
        };
        let realm = self.settings.domain.clone();
        let lifetime =
            if self.faults.always_stale { Duration::from_micros(0) } else { self.settings.nonce_lifetime };
        let subscribers = &self.subscribers;
        let verdict = self.nonces.check(now, &realm, lifetime, request, answer, |user| {
            subscribers.iter().find(|one| one.user == user).map(|one| one.password.clone())
        });
        match verdict {
            Verdict::Right => super::digest::user(request, answer, &realm),
            Verdict::Wrong => {
                self.refuse(now, road, request, 403);
                None
            }
            Verdict::Missing | Verdict::Stale => {
                let stale = verdict == Verdict::Stale;
                let algorithms = self.settings.algorithms.clone();
                let challenges = self.nonces.challenge(now, &realm, &algorithms, stale, &mut self.random);
                let mut response = Message::response(request, code);
                for challenge in challenges {
                    response = response.with(ask, challenge);
                }
                self.respond(now, road, request, response);
                None
            }
        }
    }

    pub(super) fn register(&mut self, now: Instant, road: Road, request: &Message) {
        if let Some(code) = self.faults.refuse_registration {
            self.refuse(now, road, request, code);
            return;
        }
        let Some(user) = self.authenticate(now, road, request, false) else { return };
        let of_record = message::user_of(message::uri_of(request.header("To").unwrap_or("")));
        if self.subscriber(of_record).is_none_or(|one| one.user != user) {
            self.refuse(now, road, request, 403);
            return;
        }
        let general = request.header("Expires").and_then(|value| value.parse().ok());
        let (call_id, sequence) = (request.header("Call-ID").unwrap_or("").to_string(), request.sequence());
        let contacts: Vec<String> = request.all("Contact").map(Into::into).collect();
        let seconds = |contact: &str| -> u32 {
            let own = message::parameter(contact, "expires").and_then(|value| value.parse().ok());
            own.or(general).unwrap_or(3600).min(self.settings.longest_registration)
        };
        if let Some(shortest) = self.faults.shortest_registration
            && contacts.iter().any(|one| (1..shortest).contains(&seconds(one)))
        {
            let response = Message::response(request, 423).with("Min-Expires", shortest.to_string());
            self.respond(now, road, request, response);
            return;
        }
        let wanted: Vec<(String, u32)> = contacts.iter().map(|one| (one.clone(), seconds(one))).collect();
        self.bindings.retain(|one| one.until > now);
        for (contact, seconds) in wanted {
            if contact == "*" {
                self.bindings.retain(|one| one.user != user);
                continue;
            }
            let uri = message::uri_of(&contact).to_string();
            let key = super::address_key(&uri);
            let same = |one: &Binding| one.user == user && super::address_key(&one.contact) == key;
            if self.bindings.iter().any(|one| same(one) && one.call_id == call_id && one.sequence >= sequence)
            {
                self.refuse(now, road, request, 500);
                return;
            }
            self.bindings.retain(|one| !same(one));
            if seconds > 0 {
                self.bindings.push(Binding {
                    user: user.clone(),
                    contact: uri,
                    until: now + Duration::from_secs(seconds.into()),
                    road,
                    call_id: call_id.clone(),
                    sequence,
                });
            }
        }
        let mut response = Message::response(request, 200);
        for one in self.bindings.iter().filter(|one| one.user == user) {
            let left = one.until.since(now).as_micros().div_ceil(1_000_000);
            response = response.with("Contact", format!("<{}>;expires={left}", one.contact));
        }
        let unix = self.settings.unix_at_start + now.as_secs();
        response = response.with("Date", super::service::clock::date(unix));
        self.respond(now, road, request, response);
    }

    /// A subscription out of any dialog.
    pub(super) fn watch(&mut self, now: Instant, road: Road, request: &Message) {
        let event = request.header("Event").unwrap_or("").split(';').next().unwrap_or("").trim();
        if event != "message-summary" {
            let response = Message::response(request, 489).with("Allow-Events", "message-summary");
            self.respond(now, road, request, response);
            return;
        }
        let Some(user) = self.authenticate(now, road, request, true) else { return };
        let tag = self.token();
        let mut response = Message::response(request, 200);
        let to = request.header("To").unwrap_or("").to_string();
        let local = format!("{to};tag={tag}");
        response.set("To", local.clone());
        let watcher = Watcher {
            user,
            call_id: request.header("Call-ID").unwrap_or("").into(),
            local,
            remote: request.header("From").unwrap_or("").into(),
            target: message::uri_of(request.header("Contact").unwrap_or("")).into(),
            routes: request.all("Record-Route").map(Into::into).collect(),
            road,
            sequence: 0,
            until: now,
        };
        self.watchers.push(watcher);
        let at = self.watchers.len() - 1;
        self.renew_watch(now, road, request, response, at);
    }

    /// A subscription renewed or ended; `false` when the dialog is nobody's.
    pub(super) fn watch_again(&mut self, now: Instant, road: Road, request: &Message) -> bool {
        let tag = request.to_tag();
        let call_id = request.header("Call-ID").unwrap_or("");
        let found = self.watchers.iter().position(|one| {
            one.call_id == call_id && message::parameter(&one.local, "tag") == tag && one.until > now
        });
        let Some(at) = found else { return false };
        let response = Message::response(request, 200);
        self.renew_watch(now, road, request, response, at);
        true
    }

    fn renew_watch(&mut self, now: Instant, road: Road, request: &Message, response: Message, at: usize) {
        let seconds: u64 = request.header("Expires").and_then(|value| value.parse().ok()).unwrap_or(3600);
        let response = response
            .with("Expires", seconds.to_string())
            .with("Contact", format!("<sip:messages@{}>", road.place()));
        self.respond(now, road, request, response);
        self.watchers[at].until = now + Duration::from_secs(seconds);
        self.watchers[at].road = road;
        self.tell_watcher(now, at);
        self.watchers.retain(|one| one.until > now);
    }

    /// Sets how many messages wait for a subscriber and tells those who want to know.
    pub fn set_messages(&mut self, now: Instant, user: &str, waiting: u32) {
        self.waiting.insert(user.into(), waiting);
        for at in 0..self.watchers.len() {
            if self.watchers[at].user == user && self.watchers[at].until > now {
                self.tell_watcher(now, at);
            }
        }
    }

    /// How many messages wait for a subscriber.
    pub fn messages(&self, user: &str) -> u32 {
        self.waiting.get(user).copied().unwrap_or(0)
    }

    fn tell_watcher(&mut self, now: Instant, at: usize) {
        let branch = format!("z9hG4bK{}", self.token());
        let domain = self.settings.domain.clone();
        let waiting = self.messages(&self.watchers[at].user);
        let one = &mut self.watchers[at];
        one.sequence += 1;
        let left = one.until.since(now).as_secs();
        let state = if one.until > now {
            format!("active;expires={left}")
        } else {
            "terminated;reason=timeout".into()
        };
        let mut notify = Message::request("NOTIFY", &one.target)
            .with(
                "Via",
                format!("SIP/2.0/{} {};branch={branch};rport", one.road.transport(), one.road.ours()),
            )
            .with("Max-Forwards", "70")
            .with("From", one.local.clone())
            .with("To", one.remote.clone())
            .with("Call-ID", one.call_id.clone())
            .with("CSeq", format!("{} NOTIFY", one.sequence))
            .with("Contact", format!("<sip:messages@{}>", one.road.place()))
            .with("Event", "message-summary")
            .with("Subscription-State", state)
            .with("Content-Type", "application/simple-message-summary");
        for route in &one.routes {
            notify = notify.with("Route", route.clone());
        }
        let yes = if waiting > 0 { "yes" } else { "no" };
        notify.body = format!(
            "Messages-Waiting: {yes}\r\nMessage-Account: sip:{}@{domain}\r\nVoice-Message: {waiting}/0 (0/0)\r\n",
            one.user
        )
        .into_bytes();
        let road = one.road;
        self.repeat(now, format!("request {branch}"), road, notify.bytes(), T2);
        self.send(now, road, &notify);
    }
}
