//! Our requests as text.
//!
//! RFC 3261 section 8.1.1 and 12.2.1.1, and what each extension adds. A request is written from the state it belongs to each time it is sent,
//! so answering a challenge or trying another server is writing it again.

use core::fmt::{self, Display};
use core::net::SocketAddrV4;

use dialtone_base::Instant;

use super::long::{Carriage, LONGEST_DATAGRAM};
use super::{ALLOW, Asked, Purpose, SUPPORTED, SUPPORTED_REGISTERING, UserAgent};
use crate::account::Way;
use crate::call::{Call, MIN_SE, State};
use crate::dialog::Dialog;
use crate::digest::Identity;
use crate::interface::{Body, Rejected};
use crate::locate::Found;
use crate::message::{Method, Name};
use crate::subscription;
use crate::transaction::Dropped;
use crate::transport::{Flow, Transport};
use crate::uri::Host;
use crate::write::{Named, SipUri, UriHeaderValue, WriteError, Writer};

/// Another server is tried after so long a silence, if there is one.
const PATIENCE: dialtone_base::Duration = dialtone_base::Duration::from_secs(4);
/// What a caller who withholds their number is called (RFC 3323 section 4.1.1.3).
pub(super) const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

impl From<WriteError> for Rejected {
    fn from(_: WriteError) -> Self {
        Self::TooLong
    }
}

impl From<Dropped> for Rejected {
    fn from(dropped: Dropped) -> Self {
        match dropped {
            Dropped::Malformed | Dropped::Refused => Self::Malformed,
            Dropped::StrayResponse => Self::StrayResponse,
            Dropped::StrayCancel | Dropped::Merged => Self::StrayRequest,
            Dropped::Full => Self::NoTransaction,
            Dropped::TooLong => Self::TooLong,
            Dropped::NoRoom => Self::NoRoom,
            Dropped::WrongState | Dropped::NotSip => Self::WrongState,
        }
    }
}

/// Our Contact: `<sip:number@address:port>`, with the transport when it is not UDP.
pub(super) struct Contact<'a> {
    pub user: &'a str,
    pub address: SocketAddrV4,
    pub transport: Transport,
}

impl Display for Contact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri =
            SipUri { user: self.user, host: Host::V4(*self.address.ip()), port: Some(self.address.port()) };
        match self.transport {
            Transport::Udp => write!(f, "<{uri}>"),
            Transport::Tcp => write!(f, "<{uri};transport=tcp>"),
        }
    }
}

/// `urn:uuid:` of sixteen bytes.
struct Uuid<'a>(&'a [u8; 16]);

impl Display for Uuid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("urn:uuid:")?;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// What every request begins with.
struct Head<'a, U: Display, F: Display, T: Display, C: Display> {
    method: Method<'a>,
    uri: U,
    from: F,
    to: T,
    call_id: C,
    cseq: u32,
}

impl UserAgent {
    /// The account a purpose goes through.
    pub(super) fn account_of(&self, purpose: Purpose) -> Option<u8> {
        match purpose {
            Purpose::Register { account, .. }
            | Purpose::Subscribe { account }
            | Purpose::Probe { account } => Some(account),
            _ => self.call(purpose.call()?).map(|call| call.account),
        }
    }

    fn dialog_of(&self, purpose: Purpose) -> Option<usize> {
        match purpose {
            Purpose::Prack { dialog, .. } | Purpose::Bye { dialog, .. } => Some(dialog),
            _ => self.call(purpose.call()?)?.dialog,
        }
    }

    /// Sends a request of ours.
    pub(super) fn ask(&mut self, now: Instant, purpose: Purpose, tries: u8) -> Result<(), Rejected> {
        let account = self.account_of(purpose).ok_or(Rejected::UnknownAccount)?;
        let outside = matches!(
            purpose,
            Purpose::Register { .. }
                | Purpose::Subscribe { .. }
                | Purpose::Probe { .. }
                | Purpose::Invite { .. }
        );
        let way = self.way(now, account);
        let state = self.accounts.get(usize::from(account)).ok_or(Rejected::UnknownAccount)?;
        let own_port = self.config.port;
        let own_address = self.local.ok_or(Rejected::NoNetwork)?;
        let (flow, local) = match (state.way, outside) {
            (Way::Open { flow, local, .. }, true) => (flow, local),
            (way, false) => {
                let dialog = self.dialog_of(purpose).and_then(|index| self.dialog(index));
                let flow = dialog.ok_or(Rejected::WrongState)?.next_hop();
                match (way, flow) {
                    // A connection may have been replaced since the dialog began.
                    (
                        Way::Open { flow: Flow::Stream { connection, remote }, local, .. },
                        Flow::Stream { .. },
                    ) => (Flow::Stream { connection, remote }, local),
                    (_, Flow::Stream { .. }) => return Err(Rejected::NoConnection),
                    (_, flow) => (flow, SocketAddrV4::new(own_address, own_port)),
                }
            }
            (_, true) => return Err(Rejected::NoNetwork),
        };
        let patience = match way {
            Found::At(target) if outside && state.site.has_other(now, target) => Some(now + PATIENCE),
            _ => None,
        };
        let place = self.asked_place().ok_or(Rejected::NoTransaction)?;
        let branch = self.transactions.new_branch();
        // Lent, because writing reads the rest of `self`.
        let mut scratch = core::mem::take(&mut self.scratch);
        let written = self.write_request(purpose, flow, local, &branch, &mut scratch);
        let sent = written.and_then(|length| {
            let bytes = scratch.get_mut(..length).ok_or(Rejected::TooLong)?;
            let carriage = match length {
                ..=LONGEST_DATAGRAM => Carriage::Datagram,
                _ => self.carriage(now, account, purpose, flow),
            };
            let flow = match carriage {
                Carriage::Datagram => flow,
                Carriage::Wait if self.hold_request(purpose, account, tries) => return Ok(None),
                Carriage::Wait => flow,
                Carriage::Over(flow) => {
                    name_tcp(bytes);
                    flow
                }
            };
            self.transactions.send(now, flow, bytes).map(Some).map_err(Rejected::from)
        });
        self.scratch = scratch;
        let Some(client) = sent? else { return Ok(()) };
        if let Some(entry) = self.asked.get_mut(place) {
            *entry = Some(Asked { client, purpose, account, sent: now, tries, patience, is_done: false });
        }
        if let (Purpose::Invite { call } | Purpose::Reinvite { call }, true) = (purpose, true)
            && let Some(call) = self.call_mut(call)
        {
            call.invite = Some(client);
        }
        Ok(())
    }

    /// A free entry for a request under way; entries whose transaction is gone are taken back.
    fn asked_place(&mut self) -> Option<usize> {
        for entry in &mut self.asked {
            if let Some(asked) = entry
                && asked.is_done
                && self.transactions.flow(asked.client).is_none()
            {
                *entry = None;
            }
        }
        self.asked.iter().position(Option::is_none)
    }

    fn write_request(
        &mut self,
        purpose: Purpose,
        flow: Flow,
        local: SocketAddrV4,
        branch: &str,
        out: &mut [u8],
    ) -> Result<usize, Rejected> {
        match purpose {
            Purpose::Register { account, number } => {
                self.write_register(usize::from(account), usize::from(number), flow, local, branch, out)
            }
            Purpose::Subscribe { account } => {
                self.write_subscribe(usize::from(account), flow, local, branch, out)
            }
            Purpose::Probe { account } => self.write_probe(usize::from(account), flow, local, branch, out),
            Purpose::Invite { call } => self.write_invite(call, flow, local, branch, out),
            _ => self.write_in_dialog(purpose, flow, local, branch, out),
        }
    }

    fn write_register(
        &mut self,
        account: usize,
        number: usize,
        flow: Flow,
        local: SocketAddrV4,
        branch: &str,
        out: &mut [u8],
    ) -> Result<usize, Rejected> {
        let config = self.config.accounts.get(account).ok_or(Rejected::UnknownAccount)?;
        let state = self.accounts.get_mut(account).ok_or(Rejected::UnknownAccount)?;
        let user = config.numbers.get(number).ok_or(Rejected::UnknownAccount)?;
        let registered = state.registered.get_mut(number).ok_or(Rejected::UnknownAccount)?;
        registered.cseq += 1;
        let domain = Host::parse(&config.domain).ok_or(Rejected::UnknownAccount)?;
        let uri = SipUri { user: "", host: domain, port: None };
        let own = SipUri { user, host: domain, port: None };
        let expires = registered.registration.asks_for().as_secs();
        let address = state.public.unwrap_or(local);
        let head = Head {
            method: Method::Register,
            uri,
            from: format_args!("<{own}>;tag={:016x}", registered.tag),
            to: format_args!("<{own}>"),
            call_id: format_args!("{:016x}", registered.call_id),
            cseq: registered.cseq,
        };
        let mut writer = begin(out, &head, flow, local, branch, &self.config.product);
        let contact = Contact { user, address, transport: flow.transport() };
        // The instance and reg-id let the registrar replace what we registered before, under whatever address (RFC 5626 section 4.2).
        writer.header(
            Name::Contact,
            format_args!(
                "{contact};+sip.instance=\"<{}>\";reg-id=1;expires={expires}",
                Uuid(&self.config.instance)
            ),
        );
        if let Some(former) = state.former.filter(|former| *former != address) {
            let contact = Contact { user, address: former, transport: flow.transport() };
            writer.header(Name::Contact, format_args!("{contact};expires=0"));
        }
        writer.header(Name::Expires, expires);
        writer.header(Name::Supported, SUPPORTED_REGISTERING).header(Name::Allow, ALLOW);
        state.keychain.sign(
            &mut writer,
            &mut self.random,
            identity(config, user),
            Method::Register,
            uri,
            b"",
        );
        Ok(writer.finish()?)
    }

    fn write_subscribe(
        &mut self,
        account: usize,
        flow: Flow,
        local: SocketAddrV4,
        branch: &str,
        out: &mut [u8],
    ) -> Result<usize, Rejected> {
        let config = self.config.accounts.get(account).ok_or(Rejected::UnknownAccount)?;
        let state = self.accounts.get_mut(account).ok_or(Rejected::UnknownAccount)?;
        let user = config.numbers.first().ok_or(Rejected::UnknownAccount)?;
        let domain = Host::parse(&config.domain).ok_or(Rejected::UnknownAccount)?;
        let own = SipUri { user, host: domain, port: None };
        let subscription = &mut state.subscription;
        subscription.cseq += 1;
        let uri = OneOf { text: &subscription.target, otherwise: own };
        let head = Head {
            method: Method::Subscribe,
            uri,
            from: format_args!("<{own}>;tag={:016x}", subscription.tag),
            to: Tagged { uri: own, tag: &subscription.remote_tag },
            call_id: format_args!("{:016x}", subscription.call_id),
            cseq: subscription.cseq,
        };
        let mut writer = begin(out, &head, flow, local, branch, &self.config.product);
        if !state.service_route.is_empty() {
            writer.header(Name::Route, &state.service_route);
        }
        let address = state.public.unwrap_or(local);
        writer.header(Name::Contact, Contact { user, address, transport: flow.transport() });
        writer.header(Name::Event, "message-summary");
        writer.header(Name::Accept, "application/simple-message-summary");
        writer.header(Name::Expires, subscription::EXPIRES);
        state.keychain.sign(
            &mut writer,
            &mut self.random,
            identity(config, user),
            Method::Subscribe,
            uri,
            b"",
        );
        Ok(writer.finish()?)
    }

    fn write_probe(
        &mut self,
        account: usize,
        flow: Flow,
        local: SocketAddrV4,
        branch: &str,
        out: &mut [u8],
    ) -> Result<usize, Rejected> {
        let config = self.config.accounts.get(account).ok_or(Rejected::UnknownAccount)?;
        let user = config.numbers.first().ok_or(Rejected::UnknownAccount)?;
        let domain = Host::parse(&config.domain).ok_or(Rejected::UnknownAccount)?;
        let uri = SipUri { user: "", host: domain, port: None };
        let own = SipUri { user, host: domain, port: None };
        let (tag, call_id) = (self.random.next_u64(), self.random.next_u64());
        let head = Head {
            method: Method::Options,
            uri,
            from: format_args!("<{own}>;tag={tag:016x}"),
            to: format_args!("<{uri}>"),
            call_id: format_args!("{call_id:016x}"),
            cseq: 1,
        };
        let mut writer = begin(out, &head, flow, local, branch, &self.config.product);
        Ok(writer.finish()?)
    }

    fn write_invite(
        &mut self,
        index: usize,
        flow: Flow,
        local: SocketAddrV4,
        branch: &str,
        out: &mut [u8],
    ) -> Result<usize, Rejected> {
        let call = self.calls.get_mut(index).and_then(Option::as_mut).ok_or(Rejected::UnknownCall)?;
        let config = self.config.accounts.get(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let state = self.accounts.get_mut(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let user = config.numbers.get(usize::from(call.number)).ok_or(Rejected::UnknownAccount)?;
        let domain = Host::parse(&config.domain).ok_or(Rejected::UnknownAccount)?;
        let body = self.bodies.get(index).and_then(|body| body.as_body());
        call.cseq += 1;
        call.invite_cseq = call.cseq;
        let display = if call.withhold { "Anonymous" } else { config.display_name.as_str() };
        let head = Head {
            method: Method::Invite,
            uri: &call.request_uri,
            from: format_args!("{};tag={}", Named { display, uri: &call.local_uri }, call.local_tag),
            to: format_args!("<{}>", call.remote_uri),
            call_id: &call.call_id,
            cseq: call.cseq,
        };
        let mut writer = begin(out, &head, flow, local, branch, &self.config.product);
        if !state.service_route.is_empty() {
            writer.header(Name::Route, &state.service_route);
        }
        let address = state.public.unwrap_or(local);
        let shown = if call.withhold { "anonymous" } else { user.as_str() };
        writer.header(Name::Contact, Contact { user: shown, address, transport: flow.transport() });
        writer.header(Name::Allow, ALLOW);
        // Without an offer of ours there may be no reliable answer with one of theirs: those would have to be answered in PRACK.
        let is_offer = body.is_some();
        let supported = if is_offer && config.reliable_provisional {
            "100rel, timer, replaces"
        } else {
            "timer, replaces"
        };
        writer.header(Name::Supported, supported);
        if call.session_expires.as_secs() > 0 {
            writer.header(Name::SessionExpires, call.session_expires.as_secs());
            // No Min-SE: without it, it is the 90 s we would say (RFC 4028 section 5).
        }
        let own = SipUri { user, host: domain, port: None };
        if call.withhold {
            writer.header(Name::Privacy, "id");
        }
        // From says it to the server unless the number is withheld (RFC 3325 section 5).
        if config.preferred_identity && call.withhold {
            writer.header(Name::PPreferredIdentity, Named { display: "", uri: own });
        }
        if let Some(referring) = call.referred_by {
            let referral = self.referral_of(referring).filter(|referral| !referral.replaces.is_empty());
            if let Some(referral) = referral {
                writer.header(Name::Replaces, &referral.replaces);
            }
        }
        // Borrowed anew: `referral_of` looked at all calls.
        let call = self.calls.get(index).and_then(Option::as_ref).ok_or(Rejected::UnknownCall)?;
        let state = self.accounts.get_mut(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let bytes = body.map_or(&b""[..], |body| body.bytes);
        let who = identity(config, user);
        state.keychain.sign(&mut writer, &mut self.random, who, Method::Invite, &call.request_uri, bytes);
        finish(writer, body)
    }

    fn write_in_dialog(
        &mut self,
        purpose: Purpose,
        flow: Flow,
        local: SocketAddrV4,
        branch: &str,
        out: &mut [u8],
    ) -> Result<usize, Rejected> {
        let index = purpose.call().ok_or(Rejected::WrongState)?;
        let dialog = self.dialog_of(purpose).ok_or(Rejected::WrongState)?;
        let refer_to = match purpose {
            Purpose::Refer { .. } => self.refer_to(index),
            _ => None,
        };
        let call = self.calls.get_mut(index).and_then(Option::as_mut).ok_or(Rejected::UnknownCall)?;
        call.cseq += 1;
        let method = match purpose {
            Purpose::Reinvite { .. } => {
                call.invite_cseq = call.cseq;
                Method::Invite
            }
            Purpose::Update { .. } => Method::Update,
            Purpose::Prack { .. } => Method::Prack,
            Purpose::Bye { .. } => Method::Bye,
            Purpose::Info { .. } => Method::Info,
            Purpose::Refer { .. } => Method::Refer,
            _ => Method::Notify,
        };
        let call = &*call;
        let dialog = self.dialogs.get(dialog).and_then(Option::as_ref).ok_or(Rejected::WrongState)?;
        let config = self.config.accounts.get(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let state = self.accounts.get_mut(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let user = config.numbers.get(usize::from(call.number)).map_or("", |number| number.as_str());
        let mut writer =
            begin_in_dialog(out, call, dialog, method, call.cseq, flow, local, branch, &self.config.product);
        let address = state.public.unwrap_or(local);
        let shown = if call.withhold { "anonymous" } else { user };
        let contact = Contact { user: shown, address, transport: flow.transport() };
        let stored = self.bodies.get(index).and_then(|body| body.as_body());
        let mut text = heapless::String::<64>::new();
        let mut body = None;
        match purpose {
            Purpose::Reinvite { .. } | Purpose::Update { .. } => {
                writer
                    .header(Name::Contact, contact)
                    .header(Name::Allow, ALLOW)
                    .header(Name::Supported, SUPPORTED);
                write_session_timer(&mut writer, call);
                if !matches!(purpose, Purpose::Update { offer: false, .. }) {
                    body = stored;
                }
            }
            Purpose::Prack { rseq, .. } => {
                writer.header(Name::RAck, format_args!("{rseq} {} INVITE", call.invite_cseq));
            }
            Purpose::Info { key, .. } => {
                let _ = fmt::Write::write_fmt(&mut text, format_args!("Signal={key}\r\nDuration=160\r\n"));
                body = Some(Body { content_type: "application/dtmf-relay", bytes: text.as_bytes() });
            }
            Purpose::Refer { .. } => {
                writer.header(Name::Contact, contact);
                let target = refer_to.ok_or(Rejected::WrongState)?;
                writer.header(Name::ReferTo, &target);
                writer.header(Name::ReferredBy, format_args!("<{}>", call.local_uri));
            }
            Purpose::Notify { status, .. } => {
                writer.header(Name::Contact, contact);
                let id = call.referral.as_ref().map_or(0, |referral| referral.id);
                writer.header(Name::Event, format_args!("refer;id={id}"));
                let is_last = status >= 200;
                writer.header(
                    Name::SubscriptionState,
                    if is_last { "terminated;reason=noresource" } else { "active;expires=60" },
                );
                let phrase = crate::message::Status::new(status).map_or("", crate::message::Status::phrase);
                let _ = fmt::Write::write_fmt(&mut text, format_args!("SIP/2.0 {status} {phrase}\r\n"));
                body = Some(Body { content_type: "message/sipfrag;version=2.0", bytes: text.as_bytes() });
            }
            _ => {}
        }
        let bytes = body.map_or(&b""[..], |body| body.bytes);
        let who = identity(config, user);
        state.keychain.sign(&mut writer, &mut self.random, who, method, dialog.request_uri(), bytes);
        finish(writer, body)
    }

    /// The ACK for a 2xx, with our answer when the 2xx brought an offer.
    pub(super) fn send_ack(&mut self, index: usize, dialog: usize, with_body: bool) -> Result<(), Rejected> {
        let invite = self.call(index).and_then(|call| call.invite).ok_or(Rejected::WrongState)?;
        let branch = self.transactions.new_branch();
        let call = self.calls.get(index).and_then(Option::as_ref).ok_or(Rejected::UnknownCall)?;
        let dialog = self.dialogs.get(dialog).and_then(Option::as_ref).ok_or(Rejected::WrongState)?;
        let state = self.accounts.get(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let flow = match (dialog.next_hop(), state.way) {
            (Flow::Stream { .. }, Way::Open { flow, .. }) => flow,
            (flow, _) => flow,
        };
        let local = match state.way {
            Way::Open { local, .. } if flow.transport() == Transport::Tcp => local,
            _ => SocketAddrV4::new(self.local.ok_or(Rejected::NoNetwork)?, self.config.port),
        };
        let mut scratch = core::mem::take(&mut self.scratch);
        let mut writer = begin_in_dialog(
            &mut scratch,
            call,
            dialog,
            Method::Ack,
            call.invite_cseq,
            flow,
            local,
            &branch,
            &self.config.product,
        );
        let body = self.bodies.get(index).and_then(|body| body.as_body()).filter(|_| with_body);
        if let Some(request) = self.transactions.request(invite) {
            // Section 22.1: the ACK carries the INVITE's credentials.
            writer.copy(&request, Name::Authorization).copy(&request, Name::ProxyAuthorization);
        }
        let result = finish(writer, body).and_then(|length| {
            let bytes = scratch.get(..length).ok_or(Rejected::TooLong)?;
            self.transactions.acknowledge(invite, flow, bytes).map_err(Rejected::from)
        });
        self.scratch = scratch;
        result
    }

    /// The value of Refer-To for the transfer that was ordered.
    fn refer_to(&self, index: usize) -> Option<heapless::String<1024>> {
        let call = self.call(index)?;
        let mut text = heapless::String::new();
        let write =
            |text: &mut heapless::String<1024>, arguments| fmt::Write::write_fmt(text, arguments).ok();
        match call.transfer_to {
            Some(other) => {
                let other = self.call(self.call_index(other).ok()?)?;
                let dialog = self.dialog(other.dialog?)?;
                let mut replaces = heapless::String::<512>::new();
                let (call_id, theirs, ours) = (&other.call_id, &dialog.remote_tag, &other.local_tag);
                let arguments = format_args!("{call_id};to-tag={theirs};from-tag={ours}");
                fmt::Write::write_fmt(&mut replaces, arguments).ok()?;
                let uri = &other.remote_uri;
                write(&mut text, format_args!("<{uri}?Replaces={}>", UriHeaderValue(&replaces)))?;
            }
            None => {
                let config = self.account_config(call.account)?;
                let domain = Host::parse(&config.domain)?;
                let uri = SipUri { user: &call.transfer_number, host: domain, port: None };
                write(&mut text, format_args!("<{uri}>"))?;
            }
        }
        Some(text)
    }
}

/// `<uri>;tag=…`, or without when there is no tag.
struct Tagged<'a, U: Display> {
    uri: U,
    tag: &'a str,
}

impl<U: Display> Display for Tagged<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.uri)?;
        if self.tag.is_empty() { Ok(()) } else { write!(f, ";tag={}", self.tag) }
    }
}

/// A text, or something else when it is empty.
#[derive(Clone, Copy)]
struct OneOf<'a, U: Display> {
    text: &'a str,
    otherwise: U,
}

impl<U: Display> Display for OneOf<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() { self.otherwise.fmt(f) } else { f.write_str(self.text) }
    }
}

fn identity<'a>(config: &'a crate::Account, number: &'a str) -> Identity<'a> {
    let user = if config.auth_user.is_empty() { number } else { &config.auth_user };
    Identity { user, password: config.password.reveal() }
}

fn begin<'b, U: Display, F: Display, T: Display, C: Display>(
    out: &'b mut [u8],
    head: &Head<'_, U, F, T, C>,
    flow: Flow,
    local: SocketAddrV4,
    branch: &str,
    product: &str,
) -> Writer<'b> {
    let mut writer = Writer::request(out, head.method, &head.uri);
    writer.via(flow.transport(), local.ip(), local.port(), branch);
    writer.header(Name::MaxForwards, 70);
    writer.header(Name::From, &head.from).header(Name::To, &head.to).header(Name::CallId, &head.call_id);
    writer.header(Name::CSeq, format_args!("{} {}", head.cseq, head.method));
    writer.header(Name::UserAgent, product);
    writer
}

#[allow(clippy::too_many_arguments)]
fn begin_in_dialog<'b>(
    out: &'b mut [u8],
    call: &Call,
    dialog: &Dialog,
    method: Method<'_>,
    cseq: u32,
    flow: Flow,
    local: SocketAddrV4,
    branch: &str,
    product: &str,
) -> Writer<'b> {
    let head = Head {
        method,
        uri: dialog.request_uri(),
        from: format_args!("<{}>;tag={}", call.local_uri, call.local_tag),
        to: Tagged { uri: &call.remote_uri, tag: &dialog.remote_tag },
        call_id: &call.call_id,
        cseq,
    };
    let mut writer = begin(out, &head, flow, local, branch, product);
    if let Some(routes) = dialog.route_header() {
        writer.header(Name::Route, routes);
    }
    writer
}

/// The topmost Via of a written request names TCP (RFC 3261 section 18.1.1); nothing else of it changes.
fn name_tcp(request: &mut [u8]) {
    let udp = b"Via: SIP/2.0/UDP ";
    if let Some(place) = request.windows(udp.len()).position(|window| window == udp)
        && let Some(via) = request.get_mut(place..place + udp.len())
    {
        via.copy_from_slice(b"Via: SIP/2.0/TCP ");
    }
}

/// RFC 4028 section 7.4: the roles stay as they are.
fn write_session_timer(writer: &mut Writer<'_>, call: &Call) {
    let Some(timer) = call.timer else { return };
    if call.state != State::Established {
        return;
    }
    let who = if timer.ours { "uac" } else { "uas" };
    writer.header(Name::SessionExpires, format_args!("{};refresher={who}", timer.interval.as_secs()));
    writer.header(Name::MinSe, MIN_SE);
}

fn finish(mut writer: Writer<'_>, body: Option<Body<'_>>) -> Result<usize, Rejected> {
    match body {
        Some(body) => Ok(writer.finish_with(body.content_type, body.bytes)?),
        None => Ok(writer.finish()?),
    }
}
