//! The TCP states a translator follows: RFC 6146 §3.5.2, with the handshake watched to its end.
//!
//! Differs from RFC 6146 in one point, as RFC 5382 §5 asks for partly open connections to be transitory: a connection is
//! established when the opener's ACK was seen, not at the second SYN. Sequence numbers are not followed; what an
//! attacker off the path could do with a guessed RST is undone by the next packet (state `Reset`, RFC 7857 §2.1).

use dialtone_wire::tcp::TcpFlags;

/// Who sent the segment, seen from the flow's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The end that sent the flow's first packet.
    Opener,
    /// The other one.
    Answerer,
}

/// State of a TCP connection. The RFC's name is beside each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpState {
    /// One SYN seen ("V6 INIT", or "V4 INIT" when opened from outside).
    Opening,
    /// Both SYNs seen, the opener's ACK not yet.
    Answered,
    /// "ESTABLISHED".
    Established,
    /// The opener sent FIN ("V6 FIN RCV").
    OpenerClosed,
    /// The answerer sent FIN ("V4 FIN RCV").
    AnswererClosed,
    /// "V6 FIN + V4 FIN RCV".
    BothClosed,
    /// RST seen ("TRANS"): ends soon, unless something but RST follows.
    Reset,
}

/// What a segment did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The state now.
    pub(crate) state: TcpState,
    /// The idle timer starts anew.
    pub(crate) refresh: bool,
}

impl TcpState {
    /// Long timer and never evicted; a half-closed connection still carries data.
    pub(crate) const fn is_established(self) -> bool {
        matches!(self, Self::Established | Self::OpenerClosed | Self::AnswererClosed)
    }

    /// The state after `flags` from `side`.
    pub(crate) fn step(self, side: Side, flags: TcpFlags) -> Step {
        let syn = flags.has(TcpFlags::SYN);
        let fin = flags.has(TcpFlags::FIN);
        let to = |state, refresh| Step { state, refresh };
        if flags.has(TcpFlags::RST) {
            // RFC 7857 §2.2: a RST does not refresh; it starts the transitory timer once.
            return match self {
                Self::Opening | Self::Answered | Self::Reset | Self::BothClosed => to(self, false),
                Self::Established | Self::OpenerClosed | Self::AnswererClosed => to(Self::Reset, true),
            };
        }
        match (self, side) {
            (Self::Opening, Side::Answerer) if syn => to(Self::Answered, true),
            (Self::Opening, side) => to(self, syn && side == Side::Opener),
            (Self::Answered, Side::Opener) if !syn && flags.has(TcpFlags::ACK) => {
                to(if fin { Self::OpenerClosed } else { Self::Established }, true)
            }
            // Simultaneous open: each side's SYN-ACK finishes the other's handshake.
            (Self::Answered, Side::Opener) if syn && flags.has(TcpFlags::ACK) => to(Self::Established, true),
            (Self::Answered, _) => to(self, false),
            (Self::Established, Side::Opener) if fin => to(Self::OpenerClosed, true),
            (Self::Established, Side::Answerer) if fin => to(Self::AnswererClosed, true),
            (Self::OpenerClosed, Side::Answerer) | (Self::AnswererClosed, Side::Opener) if fin => {
                to(Self::BothClosed, true)
            }
            (Self::Established | Self::OpenerClosed | Self::AnswererClosed, _) => to(self, true),
            (Self::BothClosed, _) => to(self, false),
            (Self::Reset, _) if fin || syn => to(self, false),
            (Self::Reset, _) => to(Self::Established, true),
        }
    }
}

/// Whether no stack sends such a segment: SYN with FIN or RST, or neither SYN, RST, FIN nor ACK.
pub(crate) const fn is_impossible(flags: TcpFlags) -> bool {
    let word = flags.0 & 0x17;
    (word & 0x02 != 0 && word & 0x05 != 0) || word == 0 || word == 0x01
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: TcpFlags = TcpFlags::SYN;
    const ACK: TcpFlags = TcpFlags::ACK;
    const SYN_ACK: TcpFlags = TcpFlags(0x12);
    const FIN_ACK: TcpFlags = TcpFlags(0x11);
    const RST: TcpFlags = TcpFlags::RST;

    fn walk(steps: &[(Side, TcpFlags)]) -> TcpState {
        steps.iter().fold(TcpState::Opening, |state, (side, flags)| state.step(*side, *flags).state)
    }

    #[test]
    fn three_way_handshake_establishes_at_the_openers_ack_rfc5382_req_2() {
        assert_eq!(walk(&[(Side::Answerer, SYN_ACK)]), TcpState::Answered);
        assert_eq!(walk(&[(Side::Answerer, SYN_ACK), (Side::Opener, ACK)]), TcpState::Established);
    }

    #[test]
    fn simultaneous_open_establishes_rfc5382_req_2() {
        let steps = [(Side::Answerer, SYN), (Side::Opener, SYN_ACK), (Side::Answerer, SYN_ACK)];
        assert_eq!(walk(&steps), TcpState::Established);
        // The answerer's SYN-ACK first, then plain ACKs.
        let steps = [(Side::Answerer, SYN), (Side::Answerer, SYN_ACK), (Side::Opener, ACK)];
        assert_eq!(walk(&steps), TcpState::Established);
    }

    #[test]
    fn fins_from_both_sides_close_and_nothing_refreshes_afterwards_rfc6146() {
        let open = TcpState::Established;
        let half = open.step(Side::Answerer, FIN_ACK).state;
        assert_eq!(half, TcpState::AnswererClosed);
        assert!(half.step(Side::Opener, ACK).refresh);
        let both = half.step(Side::Opener, FIN_ACK).state;
        assert_eq!(both, TcpState::BothClosed);
        assert_eq!(both.step(Side::Opener, ACK), Step { state: TcpState::BothClosed, refresh: false });
    }

    #[test]
    fn a_guessed_rst_is_undone_by_the_next_segment_rfc7857() {
        let reset = TcpState::Established.step(Side::Answerer, RST);
        assert_eq!(reset, Step { state: TcpState::Reset, refresh: true });
        assert_eq!(reset.state.step(Side::Answerer, RST), Step { state: TcpState::Reset, refresh: false });
        assert_eq!(reset.state.step(Side::Opener, ACK).state, TcpState::Established);
    }

    #[test]
    fn an_answerer_cannot_establish_alone() {
        assert_eq!(walk(&[(Side::Answerer, SYN_ACK), (Side::Answerer, ACK)]), TcpState::Answered);
        assert_eq!(walk(&[(Side::Answerer, ACK)]), TcpState::Opening);
    }

    #[test]
    fn impossible_flags_are_known() {
        for flags in [0x00, 0x03, 0x06, 0x01, 0x28] {
            assert!(is_impossible(TcpFlags(flags)), "{flags:#x}");
        }
        for flags in [0x02, 0x12, 0x10, 0x11, 0x04, 0x14, 0x18, 0xc2] {
            assert!(!is_impossible(TcpFlags(flags)), "{flags:#x}");
        }
    }
}
