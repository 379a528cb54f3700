//! Our answers as text.
//!
//! RFC 3261 section 8.2.6 and 12.1.1, RFC 3262 (Require: 100rel, RSeq), RFC 4028 section 9 (Session-Expires).

use core::fmt::Write;
use core::net::SocketAddrV4;

use dialtone_base::Instant;
use heapless::String;

use super::write::Contact;
use super::{ALLOW, SUPPORTED, UserAgent};
use crate::account::Way;
use crate::call::MIN_SE;
use crate::interface::{Body, Rejected};
use crate::message::{Name, Status};
use crate::transaction::TransactionId;
use crate::transport::Transport;
use crate::write::Writer;

/// What an answer has beside the ordinary.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct With<'a> {
    /// Headers.
    pub headers: &'a [(Name, &'a str)],
    /// The body.
    pub body: Option<Body<'a>>,
}

impl UserAgent {
    /// Answers a request with nothing but a status.
    pub(super) fn reply(&mut self, now: Instant, server: TransactionId, status: u16) -> Result<(), Rejected> {
        self.reply_with(now, server, status, With::default())
    }

    /// Answers a request.
    pub(super) fn reply_with(
        &mut self,
        now: Instant,
        server: TransactionId,
        status: u16,
        with: With<'_>,
    ) -> Result<(), Rejected> {
        let status = Status::new(status).ok_or(Rejected::WrongState)?;
        let mut tag = String::<16>::new();
        // Sixteen digits fit.
        let _ = write!(tag, "{:016x}", self.random.next_u64());
        let flow = self.transactions.flow(server).ok_or(Rejected::WrongState)?;
        let mut scratch = core::mem::take(&mut self.scratch);
        let result = match self.transactions.request(server) {
            None => Err(Rejected::WrongState),
            Some(request) => {
                let mut writer =
                    Writer::response(&mut scratch, &request, flow.remote(), status, "", Some(&tag));
                writer.header(Name::Server, &self.config.product);
                for (name, value) in with.headers {
                    writer.header(*name, *value);
                }
                match with.body {
                    Some(body) => writer.finish_with(body.content_type, body.bytes),
                    None => writer.finish(),
                }
                .map_err(Rejected::from)
            }
        };
        let result = result.and_then(|length| {
            let bytes = scratch.get(..length).ok_or(Rejected::TooLong)?;
            self.transactions.respond(now, server, bytes).map_err(Rejected::from)
        });
        self.scratch = scratch;
        result
    }

    /// Answers an INVITE, UPDATE or PRACK of a call: with its tag, Contact, session timer, and its local body if wanted. With `rseq` a provisional
    /// answer is reliable.
    pub(super) fn reply_in_call(
        &mut self,
        now: Instant,
        index: usize,
        server: TransactionId,
        status: u16,
        with_body: bool,
        rseq: Option<u32>,
    ) -> Result<(), Rejected> {
        let status = Status::new(status).ok_or(Rejected::WrongState)?;
        let flow = self.transactions.flow(server).ok_or(Rejected::WrongState)?;
        let call = self.calls.get(index).and_then(Option::as_ref).ok_or(Rejected::UnknownCall)?;
        let account = self.accounts.get(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let config = self.config.accounts.get(usize::from(call.account)).ok_or(Rejected::UnknownAccount)?;
        let local = match account.way {
            Way::Open { local, .. } if flow.transport() == Transport::Tcp => local,
            _ => SocketAddrV4::new(self.local.ok_or(Rejected::NoNetwork)?, self.config.port),
        };
        let user = config.numbers.get(usize::from(call.number)).map_or("", |number| number.as_str());
        let user = if call.withhold { "anonymous" } else { user };
        let contact = Contact { user, address: account.public.unwrap_or(local), transport: flow.transport() };
        let body = self.bodies.get(index).and_then(|body| body.as_body()).filter(|_| with_body);
        let mut scratch = core::mem::take(&mut self.scratch);
        let result = match self.transactions.request(server) {
            None => Err(Rejected::WrongState),
            Some(request) => {
                let mut writer = Writer::response(
                    &mut scratch,
                    &request,
                    flow.remote(),
                    status,
                    "",
                    Some(&call.local_tag),
                );
                writer.header(Name::Server, &self.config.product);
                if status.code() > 100 && status.code() < 300 {
                    writer.copy(&request, Name::RecordRoute);
                    writer.header(Name::Contact, contact);
                    writer.header(Name::Allow, ALLOW).header(Name::Supported, SUPPORTED);
                }
                if let Some(rseq) = rseq {
                    writer.header(Name::Require, "100rel").header(Name::RSeq, rseq);
                }
                if let Some(timer) = call.timer.filter(|_| status.is_success()) {
                    // Who asked is the `uac`.
                    let who = if timer.ours { "uas" } else { "uac" };
                    let seconds = timer.interval.as_secs();
                    writer.header(Name::SessionExpires, format_args!("{seconds};refresher={who}"));
                    if !timer.ours {
                        writer.header(Name::Require, "timer");
                    }
                }
                if status.code() == 422 {
                    writer.header(Name::MinSe, MIN_SE);
                }
                match body {
                    Some(body) => writer.finish_with(body.content_type, body.bytes),
                    None => writer.finish(),
                }
                .map_err(Rejected::from)
            }
        };
        let result = result.and_then(|length| {
            let bytes = scratch.get(..length).ok_or(Rejected::TooLong)?;
            self.transactions.respond(now, server, bytes).map_err(Rejected::from)
        });
        self.scratch = scratch;
        result
    }
}
