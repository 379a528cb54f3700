//! Which transaction a message belongs to.
//!
//! RFC 3261 sections 17.1.3 and 17.2.3, with RFC 2543's rule for branches without the cookie. What identifies a transaction is hashed with a secret
//! (SHA-256, cut to 128 bits): branches of any length cost the same to keep, and nobody can make two requests share a key.

use sha2::{Digest, Sha256};

use crate::message::{Fault, Message, Method, Name};

/// What identifies a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// The first half as hexadecimal digits: a tag that every repetition of a request gets.
    pub fn tag(&self) -> heapless::String<16> {
        let mut tag = heapless::String::new();
        for byte in self.0.iter().take(8) {
            for digit in [byte >> 4, byte & 15] {
                // Sixteen digits fit.
                let _ = tag.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        tag
    }
}

/// Makes keys.
#[derive(Clone)]
pub struct Keyring {
    secret: [u8; 32],
}

impl core::fmt::Debug for Keyring {
    /// Does not show the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Keyring(..)")
    }
}

impl Keyring {
    /// With this secret.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The client transaction that sent a request, or that a response belongs to: branch of the topmost Via and method of CSeq.
    pub fn client(&self, message: &Message<'_>) -> Result<Key, Fault> {
        let branch = message.top_via()?.branch().ok_or(Fault::BadVia)?;
        Ok(self.hash(&[b"client", branch.as_bytes(), message.cseq()?.method.as_str().as_bytes()]))
    }

    /// The server transaction of a request. An ACK has its INVITE's; with `method` INVITE a CANCEL has that of the INVITE it cancels.
    pub fn server(&self, request: &Message<'_>, method: Method<'_>) -> Result<Key, Fault> {
        let method = if method == Method::Ack { Method::Invite } else { method };
        let via = request.top_via()?;
        if let Some(branch) = via.unique_branch() {
            let host = request.values(Name::Via).next().map(sent_by).unwrap_or_default();
            return Ok(self.hash(&[b"server", branch.as_bytes(), host, method.as_str().as_bytes()]));
        }
        let uri = request.request_uri().map(|uri| uri.as_str()).unwrap_or_default();
        // An ACK carries the tag of our answer, which its INVITE had not.
        let to_tag = if method == Method::Invite { None } else { request.to()?.tag() };
        let from = request.from()?;
        Ok(self.hash(&[
            b"rfc2543",
            method.as_str().as_bytes(),
            uri.as_bytes(),
            to_tag.unwrap_or_default().as_bytes(),
            from.tag().unwrap_or_default().as_bytes(),
            request.call_id()?.as_bytes(),
            &request.cseq()?.number.to_be_bytes(),
            request.values(Name::Via).next().unwrap_or_default(),
        ]))
    }

    /// What two copies of one request have in common that came by different ways (RFC 3261 section 8.2.2.2).
    pub fn merge(&self, request: &Message<'_>) -> Result<Key, Fault> {
        let cseq = request.cseq()?;
        Ok(self.hash(&[
            b"merge",
            request.from()?.tag().unwrap_or_default().as_bytes(),
            request.call_id()?.as_bytes(),
            &cseq.number.to_be_bytes(),
            cseq.method.as_str().as_bytes(),
        ]))
    }

    fn hash(&self, parts: &[&[u8]]) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut key = Key::default();
        for (place, byte) in key.0.iter_mut().zip(hash.finalize()) {
            *place = byte;
        }
        key
    }
}

/// Protocol and sent-by as written: everything before the parameters.
fn sent_by(via: &[u8]) -> &[u8] {
    let end = via.iter().position(|byte| *byte == b';').unwrap_or(via.len());
    crate::message::lex::trim(via.get(..end).unwrap_or_default())
}
