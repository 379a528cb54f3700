//! What came over the wire: what it is, and whose.
//!
//! Requests inside of calls we know are always served. Requests outside of calls come from our servers or from strangers; strangers are
//! dropped in silence unless an account says otherwise, and everybody pays a token (`overload`). Answers go to whoever asked.

use core::net::{SocketAddr, SocketAddrV4};

use dialtone_base::Instant;

use super::{Purpose, UserAgent};
use crate::call::State;
use crate::framing::Frame;
use crate::interface::{ConnectionId, Rejected, Via};
use crate::message::{Message, Method, Name, Received};
use crate::overload::Verdict;
use crate::transaction::{Delivery, Ended, Output, TransactionId};
use crate::transport::Flow;

/// Programs that look for open lines say so.
const SCANNERS: [&str; 8] = [
    "friendly-scanner",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sundayddr",
    "iwar",
    "vaxsipuseragent",
    "pplsip",
];

impl UserAgent {
    pub(super) fn receive_datagram(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
    ) -> Result<(), Rejected> {
        if self.local.is_none() {
            return Err(Rejected::NoNetwork);
        }
        self.receive(now, Flow::Udp { remote: SocketAddr::V4(from) }, bytes)
    }

    pub(super) fn receive_stream(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        bytes: &[u8],
    ) -> Result<(), Rejected> {
        self.heard(connection);
        let (framer, _) = self.connection(connection).ok_or(Rejected::UnknownConnection)?;
        if framer.push(bytes) < bytes.len() {
            self.spoiled(now, connection);
            return Err(Rejected::TooLong);
        }
        self.receive_frame(now, connection).unwrap_or(Ok(()))
    }

    /// The next message of a connection. One at a time: its events and answers are polled before the next one is looked at.
    /// `None`: no whole message is there.
    fn receive_frame(&mut self, now: Instant, connection: ConnectionId) -> Option<Result<(), Rejected>> {
        let mut piece = core::mem::take(&mut self.piece);
        let result = loop {
            let Some((framer, remote)) = self.connection(connection) else { break None };
            let length = match framer.next_frame() {
                Frame::Incomplete => break None,
                Frame::Pong => continue,
                Frame::Ping => {
                    let _ = self.outbox.push(Via::Stream { connection }, b"\r\n");
                    continue;
                }
                Frame::Broken(..) => {
                    self.spoiled(now, connection);
                    break Some(Err(Rejected::Malformed));
                }
                Frame::Message(message) => match piece.get_mut(..message.len()) {
                    Some(place) => {
                        place.copy_from_slice(message);
                        message.len()
                    }
                    None => {
                        self.spoiled(now, connection);
                        break Some(Err(Rejected::TooLong));
                    }
                },
            };
            let flow = Flow::Stream { connection, remote: SocketAddr::V4(remote) };
            break Some(self.receive(now, flow, piece.get(..length).unwrap_or_default()));
        };
        self.piece = piece;
        result
    }

    /// Messages that came over connections together with one handled before. `true`: there was one.
    pub(super) fn receive_waiting(&mut self, now: Instant) -> bool {
        for index in 0..self.connections.len() {
            let Some(connection) = self.connection_at(index) else { continue };
            let Some(result) = self.receive_frame(now, connection) else { continue };
            if let Err(rejected) = result {
                self.counters.count(rejected);
            }
            return true;
        }
        false
    }

    fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8]) -> Result<(), Rejected> {
        let received = Message::parse(bytes);
        let SocketAddr::V4(from) = flow.remote() else { return Err(Rejected::Stranger) };
        let is_server = self.accounts.iter().any(|account| account.is_server(*from.ip()));
        if !is_server {
            self.keep_out(&received)?;
        }
        match self.transactions.receive(now, flow, received)? {
            Delivery::Absorbed | Delivery::KeepAlive => Ok(()),
            Delivery::Request { transaction, message } => self.request(now, flow, transaction, &message),
            Delivery::Response { transaction, message } => self.response(now, flow, transaction, &message),
            Delivery::Ack(message) => self.acknowledged(now, &message),
            Delivery::Cancelled { invite, message } => self.cancelled(now, invite, &message),
        }
    }

    /// What does not come from a server of ours: only what belongs to a call, unless strangers are welcome. Nobody is told.
    fn keep_out(&self, received: &Received<'_>) -> Result<(), Rejected> {
        let welcome = self.config.accounts.iter().any(|account| account.accept_strangers);
        match received {
            Received::Message(message) if message.method().is_none() => Ok(()),
            Received::Message(message) if self.find_dialog(message).is_some() => Ok(()),
            Received::Message(message) if self.is_subscription(message) => Ok(()),
            Received::Message(message) | Received::Reject(message, _) if is_scanner(message) => {
                Err(Rejected::Scanner)
            }
            Received::Message(_) | Received::Reject(..) if welcome => Ok(()),
            Received::Message(_) | Received::Reject(..) => Err(Rejected::Stranger),
            Received::Drop(_) | Received::KeepAlive => Ok(()),
        }
    }

    fn request(
        &mut self,
        now: Instant,
        flow: Flow,
        server: TransactionId,
        message: &Message<'_>,
    ) -> Result<(), Rejected> {
        let has_tag = message.to().is_ok_and(|to| to.tag().is_some());
        if has_tag {
            if let Some((call, dialog)) = self.find_dialog(message) {
                return self.request_in_dialog(now, flow, server, message, call, dialog);
            }
            if message.method() == Some(Method::Notify) {
                return self.notice(now, flow, server, message);
            }
        }
        let SocketAddr::V4(from) = flow.remote() else { return Err(Rejected::Stranger) };
        let is_server = self.accounts.iter().any(|account| account.is_server(*from.ip()));
        match self.overload.ask(now, *from.ip(), is_server, &mut self.random) {
            Verdict::Serve => {}
            Verdict::Refuse(_) => {
                self.transactions.abandon(server);
                let _ = self.transactions.answer(flow, message, 503, "");
                return Err(Rejected::Overloaded);
            }
            Verdict::Drop => {
                self.transactions.abandon(server);
                return Err(Rejected::Overloaded);
            }
        }
        if has_tag {
            // A dialog nobody here remembers (section 12.2.2).
            self.reply(now, server, 481)?;
            return Err(Rejected::UnknownDialog);
        }
        self.request_outside(now, flow, server, message)
    }

    /// The call and dialog of a message from a peer, by Call-ID and tags.
    pub(super) fn find_dialog(&self, message: &Message<'_>) -> Option<(usize, usize)> {
        let (call_id, remote_tag, local_tag) = (
            message.call_id().ok()?,
            message.from().ok()?.tag().unwrap_or_default(),
            message.to().ok()?.tag()?,
        );
        self.find_dialog_by(call_id, local_tag, remote_tag)
    }

    pub(super) fn find_dialog_by(
        &self,
        call_id: &str,
        local_tag: &str,
        remote_tag: &str,
    ) -> Option<(usize, usize)> {
        self.dialogs.iter().enumerate().find_map(|(index, dialog)| {
            let dialog = dialog.as_ref()?;
            let call = self.call(dialog.call)?;
            let is_it = dialog.remote_tag.as_str() == remote_tag
                && call.local_tag.as_str() == local_tag
                && call.call_id.as_str() == call_id;
            is_it.then_some((dialog.call, index))
        })
    }

    /// The next message of the transactions; what ended on the way is dealt with.
    pub(super) fn poll_transactions(&mut self, now: Instant, out: &mut [u8]) -> Option<(Via, usize)> {
        loop {
            match self.transactions.poll(now, out) {
                Output::Transmit { flow, length } => {
                    let via = match flow {
                        Flow::Udp { remote } => super::v4(remote).map(|to| Via::Udp { to }),
                        Flow::Stream { connection, .. } => Some(Via::Stream { connection }),
                    };
                    if let Some(via) = via {
                        return Some((via, length));
                    }
                }
                Output::Ended { transaction, why } => self.transaction_ended(now, transaction, why),
                Output::Wait(due) => {
                    self.transactions_due = due;
                    return None;
                }
            }
        }
    }

    fn transaction_ended(&mut self, now: Instant, transaction: TransactionId, why: Ended) {
        match why {
            Ended::Timeout | Ended::FlowFailed => {
                let place = self
                    .asked
                    .iter_mut()
                    .find(|place| place.is_some_and(|asked| asked.client == transaction));
                match place.and_then(Option::take) {
                    Some(asked) if !asked.is_done => {
                        let is_unheard = why == Ended::FlowFailed
                            && asked.purpose.call().and_then(|call| self.call(call)).is_some_and(|call| {
                                !call.over
                                    && matches!(
                                        (asked.purpose, call.state),
                                        (Purpose::Invite { .. }, State::Calling)
                                            | (Purpose::Reinvite { .. }, State::Established)
                                    )
                            });
                        if !is_unheard
                            || !self.again_by_datagram(now, asked.account, asked.purpose, asked.tries)
                        {
                            self.failed(now, asked.purpose, asked.account, why);
                        }
                    }
                    Some(_) => {}
                    // An INVITE to us whose connection broke.
                    None => self.server_lost(now, transaction),
                }
            }
            Ended::NoAck => self.not_acknowledged(now, transaction),
            Ended::NoPrack => self.no_prack(now, transaction),
        }
    }
}

fn is_scanner(message: &Message<'_>) -> bool {
    let agent = message.line(Name::UserAgent).unwrap_or_default();
    SCANNERS
        .iter()
        .any(|name| agent.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes())))
}
