//! Port forwards and the exposed host: who gets what nobody inside has asked for.
//!
//! A forward also reserves its external ports, and gives them to its own host when that opens flows from them, so that both
//! directions show the same port (RFC 4787 REQ-1).

use core::net::Ipv4Addr;

use crate::config::{Config, PortForward};

/// The inside endpoint a forward names for an external port; the first forward that matches wins.
pub(crate) fn target(config: &Config, protocol: u8, external: u16) -> Option<(Ipv4Addr, u16)> {
    let forward = config.forwards.iter().find(|forward| covers(forward, protocol, external))?;
    Some((forward.host, inside_port(forward, external)))
}

/// Whether an external port belongs to a forward.
pub(crate) fn is_reserved(config: &Config, protocol: u8, external: u16) -> bool {
    config.forwards.iter().any(|forward| covers(forward, protocol, external))
}

/// The external port by which an inside endpoint is forwarded.
pub(crate) fn external_of(config: &Config, protocol: u8, inside: (Ipv4Addr, u16)) -> Option<u16> {
    config.forwards.iter().find_map(|forward| {
        if !forward.enabled || !is_for(forward, protocol) || forward.host != inside.0 {
            return None;
        }
        let offset = inside.1.checked_sub(forward.internal.unwrap_or(forward.external.first))?;
        let external = forward.external.first.checked_add(offset)?;
        // An earlier forward of the same port wins.
        (forward.external.contains(external) && target(config, protocol, external) == Some(inside))
            .then_some(external)
    })
}

fn covers(forward: &PortForward, protocol: u8, external: u16) -> bool {
    forward.enabled && is_for(forward, protocol) && forward.external.contains(external)
}

fn is_for(forward: &PortForward, protocol: u8) -> bool {
    (protocol == 6 || protocol == 17) && forward.protocol.covers(protocol)
}

fn inside_port(forward: &PortForward, external: u16) -> u16 {
    let first = forward.internal.unwrap_or(forward.external.first);
    first.wrapping_add(external.wrapping_sub(forward.external.first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PortRange, Protocol};

    #[test]
    fn ranges_move_as_a_block() {
        let mut config = Config::default();
        let host = Ipv4Addr::new(192, 168, 77, 9);
        let forward = PortForward {
            protocol: Protocol::TcpUdp,
            external: PortRange { first: 8000, last: 8010 },
            host,
            internal: Some(80),
            enabled: true,
        };
        config.forwards.push(forward).unwrap();
        config
            .forwards
            .push(PortForward { enabled: false, external: PortRange::single(22), ..forward })
            .unwrap();
        assert_eq!(target(&config, 6, 8003), Some((host, 83)));
        assert_eq!(target(&config, 17, 8010), Some((host, 90)));
        assert_eq!(target(&config, 6, 8011), None);
        assert_eq!(target(&config, 1, 8003), None);
        assert_eq!(target(&config, 6, 22), None);
        assert_eq!(external_of(&config, 6, (host, 83)), Some(8003));
        assert_eq!(external_of(&config, 6, (host, 91)), None);
        assert!(is_reserved(&config, 17, 8000) && !is_reserved(&config, 17, 22));
    }
}
