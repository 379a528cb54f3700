//! The four state machines of RFC 3261 section 17 with the repairs of RFC 6026, as pure functions.
//!
//! A machine knows its state and nothing else. What came in and how reliable the transport is goes in; the next state and what to do come
//! out as a [`Step`]. Messages, timers and slots are [`Transactions`](super::Transactions)'s.

use dialtone_base::{Duration, Instant};

use super::timers::{GIVE_UP, Repeat, T2, T4, TIMER_D, TRYING, unless_reliable};
use crate::message::Status;

/// The states of all four machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Figure 5, RFC 6026 figure 5.
    ClientInvite(ClientInvite),
    /// Figure 6.
    Client(Client),
    /// Figure 7, RFC 6026 figure 7.
    ServerInvite(ServerInvite),
    /// Figure 8.
    Server(Server),
}

/// Client, INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientInvite {
    /// Sent, nothing heard.
    Calling,
    /// 1xx came.
    Proceeding,
    /// 300–699 came and is acknowledged by the transaction.
    Completed,
    /// 2xx came; the user agent acknowledges it (RFC 6026 section 7.2).
    Accepted,
}

/// Client, any other method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Sent, nothing heard.
    Trying,
    /// 1xx came.
    Proceeding,
    /// Final answer came.
    Completed,
}

/// Server, INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerInvite {
    /// No final answer yet.
    Proceeding,
    /// 300–699 sent.
    Completed,
    /// And acknowledged.
    Confirmed,
    /// 2xx sent (RFC 6026 section 7.1); `true` once it was acknowledged.
    Accepted(bool),
}

/// Server, any other method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Not answered.
    Trying,
    /// 1xx sent.
    Proceeding,
    /// Final answer sent.
    Completed,
}

/// What to do with the message that moved the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Hand it to the user agent (a response), or send it (an answer of ours).
    Pass,
    /// The same, after the ACK was built and sent.
    PassAndAcknowledge,
    /// Send what was sent last once more; nobody is told.
    Repeat,
    /// Nothing.
    Absorb,
}

/// One move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state from now on.
    pub state: State,
    /// What to do.
    pub act: Act,
    /// New timers. `None`: they run on as they were.
    pub timers: Option<(Repeat, End)>,
}

/// When a transaction ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As was said before.
    AsBefore,
    /// Not by itself.
    Open,
    /// Then.
    At(Instant),
}

impl State {
    /// A request of ours goes out.
    pub fn begin_client(now: Instant, is_invite: bool, is_reliable: bool) -> Step {
        let (state, longest) = if is_invite {
            // Timer A doubles without bound; B ends it after seven repetitions.
            (Self::ClientInvite(ClientInvite::Calling), GIVE_UP)
        } else {
            (Self::Client(Client::Trying), T2)
        };
        let repeat = if is_reliable { Repeat::NEVER } else { Repeat::doubling(now, longest) };
        Step { state, act: Act::Pass, timers: Some((repeat, End::At(now + GIVE_UP))) }
    }

    /// A request came.
    pub fn begin_server(now: Instant, is_invite: bool) -> Step {
        let (state, timers) = if is_invite {
            (Self::ServerInvite(ServerInvite::Proceeding), (Repeat::once(now, TRYING), End::Open))
        } else {
            // After timer F nobody waits for the answer any more: a user agent that forgets to give one costs no slot for ever.
            (Self::Server(Server::Trying), (Repeat::NEVER, End::At(now + GIVE_UP)))
        };
        Step { state, act: Act::Pass, timers: Some(timers) }
    }

    /// A response came for a client transaction (sections 17.1.1.2 and 17.1.2.2).
    pub fn on_response(self, now: Instant, status: Status, is_reliable: bool) -> Step {
        let quiet_until = |pause: Duration| Some((Repeat::NEVER, End::At(now + pause)));
        let (state, act, timers) = match self {
            Self::ClientInvite(ClientInvite::Calling | ClientInvite::Proceeding) => {
                if status.is_provisional() {
                    // A repeated 1xx must not extend the end a CANCEL has set.
                    let timers = (self == Self::ClientInvite(ClientInvite::Calling))
                        .then_some((Repeat::NEVER, End::Open));
                    (Self::ClientInvite(ClientInvite::Proceeding), Act::Pass, timers)
                } else if status.is_success() {
                    (Self::ClientInvite(ClientInvite::Accepted), Act::Pass, quiet_until(GIVE_UP))
                } else {
                    let pause = unless_reliable(is_reliable, TIMER_D);
                    (Self::ClientInvite(ClientInvite::Completed), Act::PassAndAcknowledge, quiet_until(pause))
                }
            }
            Self::ClientInvite(ClientInvite::Completed) => {
                let is_repeated = status.is_final() && !status.is_success();
                (self, if is_repeated { Act::Repeat } else { Act::Absorb }, None)
            }
            // Another branch of a fork, or our ACK was lost: the owner of the ACK tells them apart.
            Self::ClientInvite(ClientInvite::Accepted) => {
                (self, if status.is_success() { Act::Pass } else { Act::Absorb }, None)
            }
            Self::Client(Client::Trying) if status.is_provisional() => {
                // Timer E is slower from now on, F runs on.
                let repeat = if is_reliable { Repeat::NEVER } else { Repeat::slowly(now) };
                (Self::Client(Client::Proceeding), Act::Pass, Some((repeat, End::AsBefore)))
            }
            Self::Client(Client::Proceeding) if status.is_provisional() => (self, Act::Pass, None),
            Self::Client(Client::Trying | Client::Proceeding) => {
                let pause = unless_reliable(is_reliable, T4);
                (Self::Client(Client::Completed), Act::Pass, quiet_until(pause))
            }
            Self::Client(Client::Completed) | Self::ServerInvite(_) | Self::Server(_) => {
                (self, Act::Absorb, None)
            }
        };
        Step { state, act, timers }
    }

    /// The same request came again (sections 17.2.1 and 17.2.2).
    pub fn on_repeated_request(self) -> Act {
        match self {
            Self::ServerInvite(ServerInvite::Proceeding | ServerInvite::Completed)
            | Self::Server(Server::Proceeding | Server::Completed) => Act::Repeat,
            _ => Act::Absorb,
        }
    }

    /// An ACK came for a final answer other than 2xx (section 17.2.1).
    pub fn on_ack(self, now: Instant, is_reliable: bool) -> Step {
        if self == Self::ServerInvite(ServerInvite::Completed) {
            let timers = Some((Repeat::NEVER, End::At(now + unless_reliable(is_reliable, T4))));
            return Step { state: Self::ServerInvite(ServerInvite::Confirmed), act: Act::Absorb, timers };
        }
        Step { state: self, act: Act::Absorb, timers: None }
    }

    /// The user agent answers. `None`: it may not, in this state. `is_reliable_provisional`: a 1xx with RSeq, repeated until its PRACK (RFC 3262).
    pub fn on_answer(
        self,
        now: Instant,
        status: Status,
        is_reliable: bool,
        is_reliable_provisional: bool,
    ) -> Option<Step> {
        let ends = End::At(now + GIVE_UP);
        let (state, timers) = match self {
            Self::ServerInvite(ServerInvite::Proceeding) => {
                if status.is_provisional() {
                    let timers = if is_reliable_provisional {
                        (Repeat::doubling(now, GIVE_UP), ends)
                    } else {
                        (Repeat::NEVER, End::Open)
                    };
                    (self, timers)
                } else if status.is_success() {
                    // Section 13.3.1.4: repeated over every transport, because somebody on the way may speak UDP.
                    (Self::ServerInvite(ServerInvite::Accepted(false)), (Repeat::doubling(now, T2), ends))
                } else {
                    let repeat = if is_reliable { Repeat::NEVER } else { Repeat::doubling(now, T2) };
                    (Self::ServerInvite(ServerInvite::Completed), (repeat, ends))
                }
            }
            Self::Server(Server::Trying | Server::Proceeding) if status.is_provisional() => {
                (Self::Server(Server::Proceeding), (Repeat::NEVER, End::AsBefore))
            }
            Self::Server(Server::Trying | Server::Proceeding) => {
                let pause = unless_reliable(is_reliable, GIVE_UP);
                (Self::Server(Server::Completed), (Repeat::NEVER, End::At(now + pause)))
            }
            _ => return None,
        };
        Some(Step { state, act: Act::Pass, timers: Some(timers) })
    }
}
