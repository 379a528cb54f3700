//! The body of a message-waiting notice: is there something, and how many voice messages.
//!
//! RFC 3842 section 5.2: `Messages-Waiting: yes` and `Voice-Message: 2/8 (0/2)`. Other classes, accounts and headers are passed over.
//! Not done: the urgent counts in parentheses.

/// What a notice says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageSummary {
    /// Something waits.
    pub waiting: bool,
    /// New and old voice messages; 0 where not told.
    pub new: u16,
    pub old: u16,
}

/// Lines looked at.
const LINES: usize = 32;

impl MessageSummary {
    /// `None` when the body does not say whether something waits.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let (mut waiting, mut summary) = (None, Self::default());
        for line in body.split(|byte| *byte == b'\n').take(LINES) {
            let mut halves = line.splitn(2, |byte| *byte == b':');
            let (Some(name), Some(value)) = (halves.next(), halves.next()) else { continue };
            let (name, value) = (name.trim_ascii(), value.trim_ascii());
            if name.eq_ignore_ascii_case(b"Messages-Waiting") {
                waiting = Some(value.eq_ignore_ascii_case(b"yes"));
            } else if name.eq_ignore_ascii_case(b"Voice-Message") {
                let mut counts = value.split(|byte| !byte.is_ascii_digit());
                summary.new = counts.next().map_or(0, number);
                summary.old = counts.next().map_or(0, number);
            }
        }
        summary.waiting = waiting?;
        Some(summary)
    }
}

/// Digits to a number; the largest for what is larger.
fn number(digits: &[u8]) -> u16 {
    digits
        .iter()
        .fold(0_u16, |sum, digit| sum.saturating_mul(10).saturating_add(u16::from(digit.wrapping_sub(b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(waiting: bool, new: u16, old: u16) -> Option<MessageSummary> {
        Some(MessageSummary { waiting, new, old })
    }

    #[test]
    fn notices_say_whether_and_how_many_rfc_3842_section_5_2() {
        let example = b"Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 4/8 (1/2)\r\nVideo-Message: 0/2\r\n\r\n";
        assert_eq!(MessageSummary::parse(example), summary(true, 4, 8));
        assert_eq!(MessageSummary::parse(b"messages-waiting:no"), summary(false, 0, 0));
        assert_eq!(
            MessageSummary::parse(b"Messages-Waiting : YES\nVoice-Message: 99999999/x"),
            summary(true, 65_535, 0)
        );
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        for body in [&b""[..], b"Voice-Message: 1/1", b"\xff\xfe:\n::::\n", b"Messages-Waiting"] {
            assert_eq!(MessageSummary::parse(body), None);
        }
    }
}
