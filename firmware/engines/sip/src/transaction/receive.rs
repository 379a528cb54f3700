//! What comes in: which transaction it belongs to, and what the state machines make of it.
//!
//! RFC 3261 sections 8.2.2.2, 9.2, 17.1.1.3, 17.1.3, 17.2.3 and 18.2.2.

use core::net::SocketAddr;

use dialtone_base::Instant;

use super::machine::{Act, ClientInvite, ServerInvite, State};
use super::matching::Key;
use super::slots::{Cancel, Pending, Slot};
use super::{Delivery, Dropped, Transactions};
use crate::message::{Message, Method, Name, Status};
use crate::transport::Flow;
use crate::write::Writer;

impl Transactions {
    pub(super) fn receive_response<'b>(
        &mut self,
        now: Instant,
        message: Message<'b>,
    ) -> Result<Delivery<'b>, Dropped> {
        let status = message.status().ok_or(Dropped::StrayResponse)?;
        // Section 8.1.3.3: more than one Via means it is not for us.
        if message.via_count() != 1 {
            return Err(Dropped::StrayResponse);
        }
        let key = self.keyring.client(&message).map_err(|_| Dropped::StrayResponse)?;
        let is_it = |slot: &Slot| {
            slot.key == key && matches!(slot.state, Some(State::ClientInvite(_) | State::Client(_)))
        };
        let index = self.slots.iter().position(is_it).ok_or(Dropped::StrayResponse)?;
        let transaction = self.id(index);
        let slot = self.slots.get_mut(index).ok_or(Dropped::StrayResponse)?;
        let state = slot.state.ok_or(Dropped::StrayResponse)?;
        if slot.failed.is_some() {
            return Ok(Delivery::Absorbed);
        }
        let step = state.on_response(now, status, slot.flow.transport().is_reliable());
        let cancels = slot.cancel == Cancel::Wanted && status.is_provisional();
        slot.apply(step);
        let is_quiet = slot.is_quiet;
        let has_ack = slot.last_length > 0;
        match step.act {
            Act::Absorb => return Ok(Delivery::Absorbed),
            Act::Repeat => {
                if has_ack {
                    slot.pending = Pending::Last;
                }
                return Ok(Delivery::Absorbed);
            }
            Act::PassAndAcknowledge => {
                slot.last_flow = slot.flow;
                match self.write_ack(index, &message) {
                    Some(length) => {
                        if let Some(slot) = self.slots.get_mut(index) {
                            slot.last_length = length;
                            slot.pending = Pending::Last;
                        }
                    }
                    None => self.dropped.count(Dropped::TooLong),
                }
            }
            Act::Pass if state == State::ClientInvite(ClientInvite::Accepted) && has_ack => {
                if self.acknowledges(index, &message) {
                    if let Some(slot) = self.slots.get_mut(index) {
                        slot.pending = Pending::Last;
                    }
                    return Ok(Delivery::Absorbed);
                }
            }
            Act::Pass => {}
        }
        if cancels {
            // When no slot is free the INVITE still ends after 64·T1.
            let _ = self.cancel(now, transaction);
        }
        if is_quiet { Ok(Delivery::Absorbed) } else { Ok(Delivery::Response { transaction, message }) }
    }

    /// Whether the ACK we keep is for this 2xx: same To tag.
    pub(super) fn acknowledges(&self, index: usize, response: &Message<'_>) -> bool {
        let Some(slot) = self.slots.get(index) else { return false };
        let ack =
            self.last(index).and_then(|bytes| bytes.get(..slot.last_length)).and_then(Message::parse_head);
        let ours = ack.and_then(|ack| ack.to().ok()?.tag());
        ours.is_some() && ours == response.to().ok().and_then(|to| to.tag())
    }

    pub(super) fn receive_request<'b>(
        &mut self,
        now: Instant,
        flow: Flow,
        message: Message<'b>,
    ) -> Result<Delivery<'b>, Dropped> {
        let method = message.method().ok_or(Dropped::Malformed)?;
        let key = self.keyring.server(&message, method).map_err(|_| Dropped::Malformed)?;
        match method {
            Method::Ack => return Ok(self.receive_ack(now, key, message)),
            Method::Cancel => return self.receive_cancel(flow, message),
            _ => {}
        }
        if let Some(index) = self.find_server(key) {
            if let Some(slot) = self.slots.get_mut(index)
                && let Some(state) = slot.state
                && state.on_repeated_request() == Act::Repeat
                && slot.last_length > 0
            {
                slot.pending = Pending::Last;
            }
            return Ok(Delivery::Absorbed);
        }
        let is_within_dialog = message.to().is_ok_and(|to| to.tag().is_some());
        let merge = self.keyring.merge(&message).map_err(|_| Dropped::Malformed)?;
        let is_server = |slot: &Slot| matches!(slot.state, Some(State::Server(_) | State::ServerInvite(_)));
        if !is_within_dialog && self.slots.iter().any(|slot| is_server(slot) && slot.merge == merge) {
            return self.answer(flow, &message, 482, "").and(Err(Dropped::Merged));
        }
        let head = message.as_bytes();
        let head = head.get(..message.head_length()).unwrap_or(head);
        let index = match self.take_slot(is_within_dialog, key, flow, answer_flow(flow, &message), head) {
            Ok(index) => index,
            Err(Dropped::TooLong) => return self.answer(flow, &message, 513, "").and(Err(Dropped::TooLong)),
            Err(dropped) => return self.answer(flow, &message, 503, "").and(Err(dropped)),
        };
        let is_invite = method == Method::Invite;
        if is_invite {
            // Kept ready for timer and repetitions. If it does not fit, the user agent's first answer will do.
            let length = self.write_trying(index, &message, flow.remote());
            if let Some(slot) = self.slots.get_mut(index) {
                slot.last_length = length;
            }
        }
        let slot = self.slots.get_mut(index).ok_or(Dropped::Full)?;
        slot.merge = merge;
        slot.apply(State::begin_server(now, is_invite));
        Ok(Delivery::Request { transaction: self.id(index), message })
    }

    pub(super) fn receive_ack<'b>(&mut self, now: Instant, key: Key, message: Message<'b>) -> Delivery<'b> {
        let Some(index) = self.find_server(key) else { return Delivery::Ack(message) };
        let Some(slot) = self.slots.get_mut(index) else { return Delivery::Absorbed };
        match slot.state {
            // A peer of RFC 2543, or one that reuses the branch.
            Some(State::ServerInvite(ServerInvite::Accepted(_))) => Delivery::Ack(message),
            Some(state) => {
                slot.apply(state.on_ack(now, slot.flow.transport().is_reliable()));
                Delivery::Absorbed
            }
            None => Delivery::Absorbed,
        }
    }

    /// Section 9.2. The CANCEL needs no slot: its answer is the same each time it comes.
    pub(super) fn receive_cancel<'b>(
        &mut self,
        flow: Flow,
        message: Message<'b>,
    ) -> Result<Delivery<'b>, Dropped> {
        let key = self.keyring.server(&message, Method::Invite).map_err(|_| Dropped::Malformed)?;
        let Some(index) = self.find_server(key) else {
            return self.answer(flow, &message, 481, "").and(Err(Dropped::StrayCancel));
        };
        self.answer(flow, &message, 200, "")?;
        let is_open = self
            .slots
            .get(index)
            .is_some_and(|slot| slot.state == Some(State::ServerInvite(ServerInvite::Proceeding)));
        if is_open {
            Ok(Delivery::Cancelled { invite: self.id(index), message })
        } else {
            Ok(Delivery::Absorbed)
        }
    }

    pub(super) fn find_server(&self, key: Key) -> Option<usize> {
        self.slots.iter().position(|slot| {
            slot.key == key && matches!(slot.state, Some(State::Server(_) | State::ServerInvite(_)))
        })
    }

    pub(super) fn write_trying(&mut self, index: usize, request: &Message<'_>, remote: SocketAddr) -> usize {
        let Some(place) = self.region_mut(index, Pending::Last) else { return 0 };
        let Some(status) = Status::new(100) else { return 0 };
        // Section 8.2.6.1: no tag is needed, Timestamp comes back.
        let mut writer = Writer::response(place, request, remote, status, "", None);
        writer.copy(request, Name::Timestamp).finish().unwrap_or(0)
    }

    /// Writes the ACK for a final answer other than 2xx into the slot's second half.
    pub(super) fn write_ack(&mut self, index: usize, response: &Message<'_>) -> Option<usize> {
        let length = self.slots.get(index)?.request_length;
        let message = self.capacity.message;
        let both = self.memory.get_mut(index * 2 * message..(index + 1) * 2 * message)?;
        let (request, place) = both.split_at_mut_checked(message)?;
        write_from_invite(place, request.get(..length)?, Method::Ack, Some(response))
    }
}

/// Writes the ACK (section 17.1.1.3) or CANCEL (section 9.1) that belongs to an INVITE.
pub(super) fn write_from_invite(
    place: &mut [u8],
    invite: &[u8],
    method: Method<'_>,
    response: Option<&Message<'_>>,
) -> Option<usize> {
    let invite = Message::parse_head(invite)?;
    let mut writer = Writer::request(place, method, invite.request_uri()?);
    writer.copy_first(&invite, Name::Via);
    writer.header(Name::MaxForwards, 70);
    writer.copy(&invite, Name::Route).copy(&invite, Name::From);
    writer.copy(response.unwrap_or(&invite), Name::To).copy(&invite, Name::CallId);
    writer.header(Name::CSeq, format_args!("{} {method}", invite.cseq().ok()?.number));
    if method == Method::Cancel {
        // A proxy that asked for credentials with the INVITE wants the same ones here (section 22.1).
        writer.copy(&invite, Name::Authorization).copy(&invite, Name::ProxyAuthorization);
    }
    writer.finish().ok()
}

/// Where the answer to a request goes: back over its connection; over UDP to its source, and to the port its Via names unless it asked for the one it came from
/// (RFC 3261 section 18.2.2, RFC 3581 section 4).
pub(super) fn answer_flow(flow: Flow, request: &Message<'_>) -> Flow {
    match (flow, request.top_via()) {
        (Flow::Udp { remote }, Ok(via)) if !via.asks_rport() => {
            Flow::Udp { remote: SocketAddr::new(remote.ip(), via.sent_by_port()) }
        }
        _ => flow,
    }
}
