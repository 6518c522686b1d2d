//! API tokens: what programs show instead of a superuser's password, with a scope, some zones and an end.
//!
//! A token is `zonda_ID_SECRET`. The store has a row for each under its id, with a hash of the secret: the secret has more
//! than 250 bits of chance, so that one round of SHA-256 hides it. A request reads the row anew, so that a revoked token is
//! void at once, over every service of the store. When a token was used is kept in a row of its own, to the hour.

use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Name, Store, StoreError, Timestamp, name};

use super::account::random_text;
use super::time;

/// A token as the store keeps it, and as a request that showed it bears it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ApiToken {
    /// Who is said to have made a change.
    pub(super) name: String,
    /// What it allows.
    pub(super) scope: Scope,
    /// The zones it is for, with those below them; none for all zones.
    pub(super) zones: Vec<String>,
    /// When it was made.
    pub(super) created: Timestamp,
    /// From when on it is void.
    pub(super) expires: Option<Timestamp>,
    /// SHA-256 of the secret.
    hash: [u8; 32],
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// To look.
    Read,
    /// To look and to change.
    Write,
}

/// What a new token is to be.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) scope: Scope,
    pub(super) zones: Vec<Name>,
    pub(super) expires: Option<Timestamp>,
}

/// Why there is no new token.
pub(super) enum CreateError {
    /// Another token has the name.
    NameTaken,
    /// There are [`TOKENS_MAX`] of them.
    TooMany,
    /// The system has no random numbers.
    System(String),
    /// The store cannot be read or written.
    Store(StoreError),
}

impl From<StoreError> for CreateError {
    fn from(why: StoreError) -> Self {
        Self::Store(why)
    }
}

impl ApiToken {
    /// Makes one; its id and the text to show, which nobody can read again.
    pub(super) fn create(store: &Store, wanted: Wanted) -> Result<(String, Self, String), CreateError> {
        // One at a time, so that two requests cannot take the same name.
        static CREATING: Mutex<()> = Mutex::new(());
        let creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
        let others = Self::all(store)?;
        if others.len() >= TOKENS_MAX {
            return Err(CreateError::TooMany);
        }
        if others.iter().any(|(_, other, _)| other.name == wanted.name) {
            return Err(CreateError::NameTaken);
        }
        let random = |length| random_text(length).map_err(|why| CreateError::System(why.to_string()));
        let (id, secret) = (random(ID_LENGTH)?, random(SECRET_LENGTH)?);
        let token = Self {
            name: wanted.name,
            scope: wanted.scope,
            zones: wanted.zones.iter().map(name::to_text).collect(),
            created: time::now(),
            expires: wanted.expires,
            hash: hash(&secret),
        };
        token.put(store, &id)?;
        drop(creating);
        Ok((id.clone(), token, format!("{PREFIX}{id}_{secret}")))
    }

    /// Writes its row.
    pub(super) fn put(&self, store: &Store, id: &str) -> Result<(), StoreError> {
        let row = serde_json::to_vec(self).map_err(|why| StoreError::Internal(why.to_string()))?;
        store.set_setting(&key(id), Some(&row))
    }

    /// All tokens with their ids and when they were last used.
    pub(super) fn all(store: &Store) -> Result<Vec<(String, Self, Option<Timestamp>)>, StoreError> {
        let rows = store.settings(TOKENS)?.into_iter();
        rows.map(|(key, row)| {
            let id = key[TOKENS.len()..].to_owned();
            let token = serde_json::from_slice(&row).map_err(|why| StoreError::Damaged(why.to_string()))?;
            let used = used(store, &id)?;
            Ok((id, token, used))
        })
        .collect()
    }

    /// Voids one; false if there is none.
    pub(super) fn revoke(store: &Store, id: &str) -> Result<bool, StoreError> {
        let is_there = store.setting(&key(id))?.is_some();
        store.set_setting(&key(id), None)?;
        store.set_setting(&used_key(id), None)?;
        Ok(is_there)
    }

    /// The token with this text, if it is one of the store and not expired.
    pub(super) fn check(store: &Store, text: &str) -> Result<Option<Self>, StoreError> {
        let parts = text.strip_prefix(PREFIX).and_then(|text| text.split_once('_'));
        let Some((id, secret)) = parts.filter(|(id, _)| id.len() == ID_LENGTH) else { return Ok(None) };
        let Some(row) = store.setting(&key(id))? else { return Ok(None) };
        let token: Self = serde_json::from_slice(&row).map_err(|why| StoreError::Damaged(why.to_string()))?;
        let now = time::now();
        if !constant_time_eq::constant_time_eq_32(&hash(secret), &token.hash)
            || token.expires.is_some_and(|expires| expires <= now)
        {
            return Ok(None);
        }
        let hour = now - now % USED_MILLIS;
        if used(store, id)?.is_none_or(|used| used < hour) {
            // Not worth refusing a request on a full disk.
            let _ = store.set_setting(&used_key(id), Some(&hour.to_be_bytes()));
        }
        Ok(Some(token))
    }

    /// Whether it is for this zone.
    pub(super) fn covers(&self, zone: &Name) -> bool {
        let is_suffix = |suffix: &String| name::parse(suffix, None).is_ok_and(|suffix| zone.ends_with(&suffix));
        self.zones.is_empty() || self.zones.iter().any(is_suffix)
    }
}

/// The hash of a secret.
fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// When a token was last used, to the hour.
fn used(store: &Store, id: &str) -> Result<Option<Timestamp>, StoreError> {
    let octets = store.setting(&used_key(id))?;
    Ok(octets.and_then(|octets| octets.try_into().ok()).map(Timestamp::from_be_bytes))
}

/// The key of a token's row.
fn key(id: &str) -> String {
    format!("{TOKENS}{id}")
}

/// The key of the row that says when a token was used.
fn used_key(id: &str) -> String {
    format!("api_token_used/{id}")
}

/// How every API token begins, so that it is told from a superuser's token, and found where it does not belong.
pub(super) const PREFIX: &str = "zonda_";

/// Where the rows are.
const TOKENS: &str = "api_token/";

/// Tokens of one store.
pub(super) const TOKENS_MAX: usize = 1000;

/// Characters of an id.
const ID_LENGTH: usize = 15;

/// Characters of a secret, of 36 each: 258 bits.
const SECRET_LENGTH: usize = 50;

/// How exactly the last use is kept: an hour, so that few requests write.
const USED_MILLIS: Timestamp = 3_600_000;
