//! What a host name and a domain name may look like (RFC 952, RFC 1123 section 2.1).

/// One label: 1 to 63 letters, digits and hyphens, no hyphen at either end.
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Labels with dots between, at most 253 characters, the last not all digits; no dot at the end.
pub fn is_domain(text: &str) -> bool {
    let last_is_number = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && !last_is_number && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_follow_rfc_1123() {
        for good in ["a", "dialtone", "3com", "a-b", "xn--bcher-kva"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a_b", "a b", "küche", "a.b", &"x".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
        assert!(is_domain("home.arpa") && is_domain("fritz.box") && is_domain("lan"));
        for bad in ["", ".", "home.", ".arpa", "a..b", "1.2.3.4"] {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
