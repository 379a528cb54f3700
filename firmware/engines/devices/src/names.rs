//! What a device says it is called, made into a label of DNS (RFC 1123 section 2.1).

use core::fmt::Write;

use dialtone_base::text::Text;

/// Letters, digits and single hyphens between them, in lower case, at most 63; `None` when nothing is left. Anything else
/// counts as a gap, a domain behind the first dot is left out: `Anna's iPhone` becomes `anna-s-iphone`.
pub fn label(name: &str) -> Option<Text<63>> {
    let host = name.split('.').next().unwrap_or(name);
    let mut out = Text::<63>::new();
    let mut gap = false;
    for character in host.chars() {
        if !character.is_ascii_alphanumeric() {
            gap = !out.is_empty();
            continue;
        }
        let room = 63 - out.len();
        if room < 1 + usize::from(gap) {
            break;
        }
        if core::mem::take(&mut gap) {
            // There is room: just looked.
            let _ = out.write_char('-');
        }
        let _ = out.write_char(character.to_ascii_lowercase());
    }
    (!out.is_empty()).then_some(out)
}

/// `label` with a number behind it, cut so that both fit into 63.
pub fn numbered(label: &str, number: u32) -> Text<63> {
    let mut digits = Text::<12>::new();
    let _ = write!(digits, "-{number}");
    let end = label.len().min(63 - digits.len());
    let mut out = Text::new();
    // A label is ASCII: every position is a boundary.
    let head = label.get(..end).unwrap_or(label).trim_end_matches('-');
    let _ = write!(out, "{head}{digits}");
    out
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn what_devices_call_themselves_becomes_a_label() {
        for (name, expected) in [
            ("Anna's iPhone", "anna-s-iphone"),
            ("tv.local", "tv"),
            ("--x__y--", "x-y"),
            ("DESKTOP-1", "desktop-1"),
            ("küche", "k-che"),
        ] {
            assert_eq!(label(name).unwrap().as_str(), expected);
        }
        for nothing in ["", "...", "日本", "-"] {
            assert_eq!(label(nothing), None, "{nothing}");
        }
        assert_eq!(label(&"x".repeat(200)).unwrap().len(), 63);
    }

    #[test]
    fn numbers_fit_into_the_label() {
        assert_eq!(numbered("tv", 2).as_str(), "tv-2");
        let long = numbered(&"x".repeat(63), 12);
        assert_eq!(long.len(), 63);
        assert!(long.ends_with("x-12"));
    }
}
