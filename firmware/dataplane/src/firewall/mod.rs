//! The stateful firewall: asked once per flow, never per packet.
//!
//! First the rules in their order, then the zones' policy: the household and guests may reach the WAN, the household itself;
//! nothing else. A flow from the WAN gets here only through a mapping, a forward or the exposed host, so "from the WAN to
//! the LAN" is a rule's chance to say no. Answers belong to their flow and are not asked about.

pub(crate) mod sanity;

use core::net::Ipv4Addr;

use dialtone_base::{MacAddress, Zone};

use crate::config::{Action, Rule};

/// What a rule looks at: a flow's first packet, inside addresses as they are inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) from: Zone,
    pub(crate) to: Zone,
    /// The device inside, when known.
    pub(crate) device: Option<MacAddress>,
    pub(crate) protocol: u8,
    /// `None` for protocols without ports.
    pub(crate) port: Option<u16>,
    pub(crate) remote: Ipv4Addr,
    /// Invited by a mapping, a forward or the exposed host.
    pub(crate) invited: bool,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgment {
    Allow,
    RuleDrop,
    RuleReject,
    Policy,
}

/// Judges a new flow.
pub(crate) fn judge(rules: &[Rule], question: &Question) -> Judgment {
    match rules.iter().find(|rule| matches(rule, question)).map(|rule| rule.action) {
        Some(Action::Allow) => Judgment::Allow,
        Some(Action::Drop) => Judgment::RuleDrop,
        Some(Action::Reject) => Judgment::RuleReject,
        None if policy(question) => Judgment::Allow,
        None => Judgment::Policy,
    }
}

fn policy(question: &Question) -> bool {
    match (question.from, question.to) {
        (Zone::Lan | Zone::Guest, Zone::Wan) | (Zone::Lan, Zone::Lan) => true,
        (Zone::Wan, Zone::Lan | Zone::Guest) => question.invited,
        _ => false,
    }
}

fn matches(rule: &Rule, question: &Question) -> bool {
    rule.from.is_none_or(|zone| zone == question.from)
        && rule.to.is_none_or(|zone| zone == question.to)
        && rule.device.is_none_or(|device| Some(device) == question.device)
        && rule.protocol.is_none_or(|protocol| protocol.covers(question.protocol))
        && rule.ports.is_none_or(|ports| question.port.is_some_and(|port| ports.contains(port)))
        && rule.remote.is_none_or(|remote| remote.contains(question.remote))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PortRange, Protocol};

    const QUESTION: Question = Question {
        from: Zone::Lan,
        to: Zone::Wan,
        device: Some(MacAddress([2, 0, 0, 0, 0, 1])),
        protocol: 6,
        port: Some(443),
        remote: Ipv4Addr::new(203, 0, 113, 1),
        invited: false,
    };
    const ANY: Rule = Rule {
        from: None,
        to: None,
        device: None,
        protocol: None,
        ports: None,
        remote: None,
        action: Action::Drop,
    };

    #[test]
    fn without_rules_inside_reaches_the_wan_and_nothing_else() {
        let ask = |from, to| judge(&[], &Question { from, to, ..QUESTION });
        for (from, to) in [(Zone::Lan, Zone::Wan), (Zone::Guest, Zone::Wan), (Zone::Lan, Zone::Lan)] {
            assert_eq!(ask(from, to), Judgment::Allow);
        }
        for (from, to) in [
            (Zone::Guest, Zone::Lan),
            (Zone::Guest, Zone::Guest),
            (Zone::Lan, Zone::Guest),
            (Zone::Wan, Zone::Lan),
            (Zone::Wan, Zone::Guest),
        ] {
            assert_eq!(ask(from, to), Judgment::Policy);
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let allow_https = Rule { ports: Some(PortRange::single(443)), action: Action::Allow, ..ANY };
        let reject = Rule { action: Action::Reject, ..ANY };
        assert_eq!(judge(&[allow_https, reject], &QUESTION), Judgment::Allow);
        assert_eq!(judge(&[reject, allow_https], &QUESTION), Judgment::RuleReject);
        let ping = Question { protocol: 1, port: None, ..QUESTION };
        assert_eq!(judge(&[allow_https, reject], &ping), Judgment::RuleReject);
    }

    #[test]
    fn every_field_of_a_rule_can_exclude() {
        let rules = [
            Rule { from: Some(Zone::Guest), ..ANY },
            Rule { to: Some(Zone::Lan), ..ANY },
            Rule { device: Some(MacAddress([2, 0, 0, 0, 0, 2])), ..ANY },
            Rule { protocol: Some(Protocol::Udp), ..ANY },
            Rule { ports: Some(PortRange { first: 444, last: 500 }), ..ANY },
            Rule { remote: "198.51.100.0/24".parse().ok(), ..ANY },
        ];
        assert_eq!(judge(&rules, &QUESTION), Judgment::Allow);
    }
}
