//! Digest authentication as a client: choose a challenge, answer it, count.
//!
//! RFC 7616 and RFC 8760 (MD5, SHA-256, SHA-512-256, each also `-sess`), RFC 3261 section 22; `qop` auth, auth-int where nothing else is offered, none
//! for servers of RFC 2069. Of several challenges the strongest is taken, of equal ones the topmost. `userhash` is used when the server can do
//! it. Servers are not authenticated (Authentication-Info is not looked at).

use core::fmt::{self, Display, Write};

use dialtone_base::random::Random;
use heapless::String;
use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512_256};

use crate::message::{Challenge, Message, Name};
use crate::write::{Quoted, Writer};

/// Hash functions, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hash {
    /// RFC 1321; what most operators still use.
    Md5,
    /// SHA-512/256.
    Sha512_256,
    /// SHA-256, which RFC 7616 wants everybody to have.
    Sha256,
}

/// What protects the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    /// RFC 2069: no `qop` offered.
    None,
    Auth,
    AuthInt,
}

dialtone_base::counted_reasons! {
    /// Why a challenge cannot be answered. The peer's fault, but [`Unanswerable::TooLong`], which is our limit.
    pub enum Unanswerable {
        /// No challenge of the scheme Digest with realm and nonce.
        NoDigest = "no-digest-challenge",
        /// Only hash functions nobody here knows.
        UnknownAlgorithm = "unknown-algorithm",
        /// Only protections nobody here knows.
        UnknownProtection = "unknown-qop",
        /// A realm, nonce or opaque longer than what is kept.
        TooLong = "challenge-too-long",
    }
}

/// Who we are.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The user name.
    pub user: &'a str,
    /// The password; goes into the hash and nowhere else.
    pub password: &'a str,
}

impl fmt::Debug for Identity<'_> {
    /// Does not show the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.user)
    }
}

/// A challenge that was chosen, good for all further requests until the server sends another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestClient {
    is_proxy: bool,
    is_stale: bool,
    hash: Hash,
    is_session: bool,
    names_algorithm: bool,
    protection: Protection,
    hides_user: bool,
    realm: String<128>,
    nonce: String<256>,
    opaque: Option<String<256>>,
    count: u32,
    /// The nonce of ours that a `-sess` hash was begun with.
    session_cnonce: Option<String<16>>,
}

impl DigestClient {
    /// Chooses among the challenges of a 401 (WWW-Authenticate) or 407 (Proxy-Authenticate).
    ///
    /// # Errors
    /// The reason why the last one looked at would not do, when none does.
    pub fn choose(response: &Message<'_>) -> Result<Self, Unanswerable> {
        let is_proxy = response.status().is_some_and(|status| status.code() == 407);
        let name = if is_proxy { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
        let mut best: Result<Self, Unanswerable> = Err(Unanswerable::NoDigest);
        for challenge in response.challenges(name) {
            match Self::from_challenge(&challenge, is_proxy) {
                Ok(found) if best.as_ref().is_ok_and(|best| best.hash >= found.hash) => {}
                Ok(found) => best = Ok(found),
                Err(reason) if best.is_err() && reason != Unanswerable::NoDigest => best = Err(reason),
                Err(_) => {}
            }
        }
        best
    }

    fn from_challenge(challenge: &Challenge<'_>, is_proxy: bool) -> Result<Self, Unanswerable> {
        let (Some(realm), Some(nonce)) = (challenge.text("realm"), challenge.text("nonce")) else {
            return Err(Unanswerable::NoDigest);
        };
        if !challenge.is_digest() {
            return Err(Unanswerable::NoDigest);
        }
        let algorithm = challenge.text("algorithm");
        let (hash, is_session) = algorithm
            .map_or(Some((Hash::Md5, false)), parse_algorithm)
            .ok_or(Unanswerable::UnknownAlgorithm)?;
        let offers =
            |wanted: &str, list: &str| list.split(',').any(|word| word.trim().eq_ignore_ascii_case(wanted));
        let protection = match challenge.text("qop") {
            None => Protection::None,
            Some(list) if offers("auth", list) => Protection::Auth,
            Some(list) if offers("auth-int", list) => Protection::AuthInt,
            Some(_) => return Err(Unanswerable::UnknownProtection),
        };
        let says_true = |name| challenge.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        // Escapes are kept: they are hashed and sent back as they came (RFC 7616 section 3.4, `unq`).
        Ok(Self {
            is_proxy,
            is_stale: says_true("stale"),
            hash,
            is_session,
            names_algorithm: algorithm.is_some(),
            protection,
            hides_user: says_true("userhash"),
            realm: keep(realm)?,
            nonce: keep(nonce)?,
            opaque: challenge.text("opaque").map(keep).transpose()?,
            count: 0,
            session_cnonce: None,
        })
    }

    /// The server only found the nonce too old: the password is right, ask again without bothering anybody (`stale=true`).
    pub const fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Whether a proxy asks (407) and not the server itself.
    pub const fn is_proxy(&self) -> bool {
        self.is_proxy
    }

    /// The protection space. A challenge for the same realm that is not stale, in answer to our answer, means a wrong password.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The hash function agreed on.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// Writes Authorization or Proxy-Authorization for one request. `uri` is the Request-URI as it is written there; `body` matters for auth-int only.
    pub fn authorize(
        &mut self,
        writer: &mut Writer<'_>,
        random: &mut Random,
        identity: Identity<'_>,
        method: &str,
        uri: &str,
        body: &[u8],
    ) {
        let mut cnonce = String::<16>::new();
        // Sixteen digits fit.
        let _ = write!(cnonce, "{:016x}", random.next_u64());
        let value = self.answer(identity, method, uri, body, &cnonce);
        let name = if value.client.is_proxy { Name::ProxyAuthorization } else { Name::Authorization };
        writer.header(name, value);
    }

    fn answer<'s>(
        &'s mut self,
        identity: Identity<'s>,
        method: &str,
        uri: &'s str,
        body: &[u8],
        cnonce: &str,
    ) -> Answer<'s> {
        self.count = self.count.saturating_add(1);
        let mut cnonce = cut::<64>(cnonce);
        if self.is_session {
            // The session key holds our nonce of the first answer (RFC 7616 section 3.4.2), so that one goes out each time.
            let kept = self.session_cnonce.get_or_insert_with(|| cut(&cnonce));
            cnonce = cut(kept);
        }
        let mut count = String::<8>::new();
        let _ = write!(count, "{:08x}", self.count);
        let mut a1 = self.hash.of(&[identity.user, &self.realm, identity.password]);
        if self.is_session {
            a1 = self.hash.of(&[&a1, &self.nonce, &cnonce]);
        }
        let a2 = match self.protection {
            Protection::AuthInt => self.hash.of(&[method, uri, &self.hash.of_bytes(body)]),
            _ => self.hash.of(&[method, uri]),
        };
        let response = match self.protection {
            Protection::None => self.hash.of(&[&a1, &self.nonce, &a2]),
            protection => self.hash.of(&[&a1, &self.nonce, &count, &cnonce, protection.name(), &a2]),
        };
        let hidden = self.hides_user.then(|| self.hash.of(&[identity.user, &self.realm]));
        Answer { client: self, user: identity.user, hidden, uri, cnonce, count, response }
    }
}

/// The value of Authorization.
struct Answer<'s> {
    client: &'s DigestClient,
    user: &'s str,
    hidden: Option<Hex>,
    uri: &'s str,
    cnonce: String<64>,
    count: String<8>,
    response: Hex,
}

impl Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = self.client;
        match &self.hidden {
            Some(hash) => write!(f, "Digest username=\"{hash}\"")?,
            None => write!(f, "Digest username={}", Quoted(self.user))?,
        }
        write!(f, ", realm=\"{}\", nonce=\"{}\", uri=\"{}\"", client.realm, client.nonce, self.uri)?;
        write!(f, ", response=\"{}\"", self.response)?;
        if client.names_algorithm {
            write!(f, ", algorithm={}{}", client.hash.name(), if client.is_session { "-sess" } else { "" })?;
        }
        if client.protection != Protection::None {
            write!(f, ", qop={}, nc={}", client.protection.name(), self.count)?;
        }
        if client.protection != Protection::None || client.is_session {
            write!(f, ", cnonce=\"{}\"", self.cnonce)?;
        }
        if let Some(opaque) = &client.opaque {
            write!(f, ", opaque=\"{opaque}\"")?;
        }
        if self.hidden.is_some() {
            f.write_str(", userhash=true")?;
        }
        Ok(())
    }
}

impl Protection {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// A hash in hexadecimal digits, as digests are chained.
type Hex = String<64>;

impl Hash {
    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha512_256 => "SHA-512-256",
            Self::Sha256 => "SHA-256",
        }
    }

    /// H(part:part:…)
    fn of(self, parts: &[&str]) -> Hex {
        match self {
            Self::Md5 => joined::<Md5>(parts),
            Self::Sha512_256 => joined::<Sha512_256>(parts),
            Self::Sha256 => joined::<Sha256>(parts),
        }
    }

    fn of_bytes(self, bytes: &[u8]) -> Hex {
        match self {
            Self::Md5 => hex(&Md5::digest(bytes)),
            Self::Sha512_256 => hex(&Sha512_256::digest(bytes)),
            Self::Sha256 => hex(&Sha256::digest(bytes)),
        }
    }
}

fn joined<D: sha2::Digest>(parts: &[&str]) -> Hex {
    let mut hash = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> Hex {
    let mut out = Hex::new();
    for byte in bytes {
        // The longest hash has 32 bytes.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn parse_algorithm(name: &str) -> Option<(Hash, bool)> {
    const SESSION: &str = "-sess";
    let plain = name.len().checked_sub(SESSION.len()).and_then(|at| name.split_at_checked(at));
    let (name, is_session) = match plain {
        Some((plain, end)) if end.eq_ignore_ascii_case(SESSION) => (plain, true),
        _ => (name, false),
    };
    let hash = [Hash::Md5, Hash::Sha512_256, Hash::Sha256]
        .into_iter()
        .find(|hash| hash.name().eq_ignore_ascii_case(name));
    hash.map(|hash| (hash, is_session))
}

fn keep<const N: usize>(text: &str) -> Result<String<N>, Unanswerable> {
    String::try_from(text).map_err(|_| Unanswerable::TooLong)
}

/// As much as fits. Only for text of ours.
fn cut<const N: usize>(text: &str) -> String<N> {
    let mut out = String::new();
    for character in text.chars() {
        if out.push(character).is_err() {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests;
