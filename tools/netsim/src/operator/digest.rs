//! Digest authentication, the server's side (RFC 3261 section 22, RFC 7616, RFC 8760).
//!
//! Nonces are remembered with the time they were given out and the highest count seen; an old one is stale, a count seen before
//! is refused as stale, too. `qop=auth` only.

use std::collections::HashMap;

use dialtone_base::{Duration, Instant, Random};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::message::Message;

/// A hash that may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 2617 and every old telephone.
    Md5,
    /// RFC 8760.
    Sha256,
}

impl Algorithm {
    /// As the header spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The hash in lower-case hexadecimal digits.
    pub fn hex(self, text: &str) -> String {
        let bytes = match self {
            Self::Md5 => Md5::digest(text.as_bytes()).to_vec(),
            Self::Sha256 => Sha256::digest(text.as_bytes()).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What is right about a request's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Name and password fit.
    Right,
    /// None were sent, or for another realm.
    Missing,
    /// They fit, but the nonce is too old or was used before.
    Stale,
    /// They do not fit.
    Wrong,
}

/// The nonces given out.
#[derive(Debug, Default)]
pub struct Nonces {
    given: HashMap<String, (Instant, u32)>,
}

impl Nonces {
    /// Challenges for every algorithm, the best first, under one nonce.
    pub fn challenge(
        &mut self,
        now: Instant,
        realm: &str,
        algorithms: &[Algorithm],
        stale: bool,
        random: &mut Random,
    ) -> Vec<String> {
        let nonce = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
        if self.given.len() >= MOST_NONCES {
            self.given.clear();
        }
        self.given.insert(nonce.clone(), (now, 0));
        let stale = if stale { ", stale=true" } else { "" };
        algorithms
            .iter()
            .map(|one| {
                let name = one.name();
                format!(r#"Digest realm="{realm}", nonce="{nonce}", algorithm={name}, qop="auth"{stale}"#)
            })
            .collect()
    }

    /// Looks at the credentials in `header` of a request. `password` knows whose they are.
    pub fn check(
        &mut self,
        now: Instant,
        realm: &str,
        lifetime: Duration,
        request: &Message,
        header: &str,
        password: impl Fn(&str) -> Option<String>,
    ) -> Verdict {
        let Some(fields) =
            request.all(header).map(fields).find(|fields| field(fields, "realm") == Some(realm))
        else {
            return Verdict::Missing;
        };
        let get = |name| field(&fields, name).unwrap_or("");
        let algorithm = match get("algorithm").to_ascii_uppercase().as_str() {
            "SHA-256" => Algorithm::Sha256,
            "" | "MD5" => Algorithm::Md5,
            _ => return Verdict::Wrong,
        };
        let (user, nonce) = (get("username"), get("nonce"));
        let Some(password) = password(user) else { return Verdict::Wrong };
        let first = algorithm.hex(&format!("{user}:{realm}:{password}"));
        let second = algorithm.hex(&format!("{}:{}", request.method(), get("uri")));
        let middle = match get("qop") {
            "" => nonce.to_string(),
            qop => format!("{nonce}:{}:{}:{qop}", get("nc"), get("cnonce")),
        };
        if algorithm.hex(&format!("{first}:{middle}:{second}")) != get("response") {
            return Verdict::Wrong;
        }
        let Some((given, highest)) = self.given.get_mut(nonce) else { return Verdict::Stale };
        if now.since(*given) > lifetime {
            self.given.remove(nonce);
            return Verdict::Stale;
        }
        if !get("qop").is_empty() {
            let count = u32::from_str_radix(get("nc"), 16).unwrap_or(0);
            if count <= *highest {
                return Verdict::Stale;
            }
            *highest = count;
        }
        Verdict::Right
    }
}

/// The user named in a request's credentials.
pub fn user(request: &Message, header: &str, realm: &str) -> Option<String> {
    let mut all = request.all(header).map(fields);
    let own = all.find(|fields| field(fields, "realm") == Some(realm))?;
    field(&own, "username").map(Into::into)
}

/// The fields of a challenge or of credentials, quotes taken off.
pub fn fields(value: &str) -> Vec<(String, String)> {
    let value = value.trim();
    let value = value.get(..6).filter(|word| word.eq_ignore_ascii_case("digest")).map_or("", |_| &value[6..]);
    let (mut found, mut quoted, mut one) = (Vec::new(), false, String::new());
    for character in value.chars().chain([',']) {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                if let Some((name, content)) = one.split_once('=') {
                    found.push((name.trim().to_ascii_lowercase(), content.trim().to_string()));
                }
                one.clear();
            }
            _ => one.push(character),
        }
    }
    found
}

/// One of [`fields`].
pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
}

const MOST_NONCES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7616, section 3.9.1.
    #[test]
    fn both_hashes_are_those_of_rfc_7616() {
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let first = algorithm.hex("Mufasa:http-auth@example.org:Circle of Life");
            let second = algorithm.hex("GET:/dir/index.html");
            let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let said = algorithm.hex(&format!("{first}:{nonce}:00000001:{cnonce}:auth:{second}"));
            assert_eq!(said, expected);
        }
    }
}
