//! A secret in the tree: flash has it in clear, people see that it is set.
//!
//! In JSON it reads `********` when set and empty when not. Written back as `********` it means "as it was":
//! [`keep`] puts the old secret in its place.

use core::fmt;

use dialtone_base::text::Text;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tree::Settings;

/// What stands for a secret that is set.
pub const PLACEHOLDER: &str = "********";

/// Up to 127 bytes that are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Text<127>);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: &str) -> Self {
        Self(Text::lossy(text))
    }

    /// For whoever has to prove knowing it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it stands for one that was set before.
    pub fn is_placeholder(&self) -> bool {
        self.0.as_str() == PLACEHOLDER
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(unset)" } else { "Secret(set)" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = serializer.is_human_readable() && !self.0.is_empty();
        serializer.serialize_str(if shown { PLACEHOLDER } else { &self.0 })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(Self)
    }
}

/// Puts the secrets of `old` where `tree` has placeholders: those of the account with the same name, domain and first number, or else in the
/// same place. The position of an account whose secret nobody knows, if there is one.
pub fn keep(tree: &mut Settings, old: &Settings) -> Option<usize> {
    let mut unknown = None;
    for (index, account) in tree.telephony.accounts.iter_mut().enumerate() {
        if !account.auth_password.is_placeholder() {
            continue;
        }
        let accounts = &old.telephony.accounts;
        let same = accounts.iter().find(|other| {
            other.name == account.name
                && other.domain == account.domain
                && other.numbers.first() == account.numbers.first()
        });
        match same.or_else(|| accounts.get(index)) {
            Some(other) => account.auth_password = other.auth_password.clone(),
            None => unknown = unknown.or(Some(index)),
        }
    }
    unknown
}
