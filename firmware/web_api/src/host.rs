//! Which `Host` a request may name, so that a web page elsewhere cannot read the router through DNS rebinding.
//!
//! A rebound page always carries its own name in `Host`. Addresses in digits cannot be rebound, so they are fine, as are the
//! router's own names; anything else is answered 421 (RFC 9110 section 15.5.20).

use core::net::Ipv4Addr;

/// Whether `host` (the header's value, perhaps with a port) may be answered by a router called `hostname` in `domain`.
pub fn is_ours(host: Option<&str>, hostname: &str, domain: &str) -> bool {
    // HTTP/1.0 clients send none, and no browser speaks HTTP/1.0.
    let Some(host) = host else { return true };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.parse::<Ipv4Addr>().is_ok() || name.starts_with('[') {
        return true;
    }
    if name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(hostname) {
        return true;
    }
    name.len() == hostname.len() + 1 + domain.len()
        && name.get(..hostname.len()).is_some_and(|head| head.eq_ignore_ascii_case(hostname))
        && name.as_bytes().get(hostname.len()) == Some(&b'.')
        && name.get(hostname.len() + 1..).is_some_and(|tail| tail.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn a_page_rebound_to_the_router_is_refused() {
        for host in ["evil.example", "dialtone.home.arpa.evil.example", "192.168.77.1.evil.example:80", ""] {
            assert!(!is_ours(Some(host), "dialtone", "home.arpa"), "{host}");
        }
    }

    #[test]
    fn the_routers_addresses_and_names_are_answered() {
        for host in [
            "192.168.77.1",
            "127.0.0.1:8080",
            "dialtone",
            "Dialtone.home.arpa.:80",
            "localhost:8080",
            "[::1]:80",
        ] {
            assert!(is_ours(Some(host), "dialtone", "home.arpa"), "{host}");
        }
    }
}
