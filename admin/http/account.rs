//! The superuser's account: a row in the store's settings, set from the configuration at each start.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Store, Timestamp};

use super::password;
use super::{AdminError, time};
use engine::plugin::Password;

/// The superuser.
pub(super) struct Account {
    /// 15 characters of `a-z0-9`; stays the same over restarts.
    pub(super) id: String,
    /// What one logs in with.
    pub(super) email: String,
    /// The password's hash.
    pub(super) hash: String,
    /// Signs tokens, together with `secret`; a new password brings a new one.
    pub(super) token_key: String,
    /// The secret that all tokens of the store have in their key.
    pub(super) secret: Vec<u8>,
    /// When the account was made.
    created: Timestamp,
    /// When it was last changed.
    updated: Timestamp,
}

/// The account as the store keeps it.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    email: String,
    hash: String,
    token_key: String,
    created: Timestamp,
    updated: Timestamp,
}

impl Account {
    /// The account as record in JSON; says nothing of hash and keys.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "collectionId": COLLECTION_ID,
            "collectionName": COLLECTION_NAME,
            "id": self.id,
            "email": self.email,
            "emailVisibility": false,
            "verified": true,
            "created": time::to_text(self.created),
            "updated": time::to_text(self.updated),
        })
    }
}

/// Makes the account in the store what the configuration says. A password other than the stored one replaces it and
/// voids all tokens; the same one keeps them.
pub(super) fn set(store: &Store, email: &str, password: &Password) -> Result<Account, AdminError> {
    let secret = match store.setting(SECRET)? {
        Some(secret) => secret,
        None => {
            let secret = random()?.to_vec();
            store.set_setting(SECRET, Some(&secret))?;
            secret
        }
    };
    let stored: Option<Stored> = match store.setting(ACCOUNT)? {
        Some(json) => Some(serde_json::from_slice(&json).map_err(|why| AdminError::DamagedAccount(why.to_string()))?),
        None => None,
    };
    let now = time::now();
    let stored = match stored {
        Some(stored) if stored.email == email && password::fits(password, &stored.hash) => stored,
        former => {
            let mut account = match former {
                Some(former) => former,
                None => Stored {
                    id: random_text(ID_LENGTH)?,
                    email: String::new(),
                    hash: String::new(),
                    token_key: String::new(),
                    created: now,
                    updated: now,
                },
            };
            account.email = email.into();
            account.updated = now;
            if !password::fits(password, &account.hash) {
                account.hash = password::hash(password).map_err(|why| AdminError::System(why.to_string()))?;
                account.token_key = random_text(TOKEN_KEY_LENGTH)?;
            }
            let json = serde_json::to_vec(&account).map_err(|why| AdminError::System(why.to_string()))?;
            store.set_setting(ACCOUNT, Some(&json))?;
            account
        }
    };
    Ok(Account {
        id: stored.id,
        email: stored.email,
        hash: stored.hash,
        token_key: stored.token_key,
        secret,
        created: stored.created,
        updated: stored.updated,
    })
}

/// 32 octets from the system.
fn random() -> Result<[u8; 32], AdminError> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(|why| AdminError::System(why.to_string()))?;
    Ok(octets)
}

/// So many characters of `a-z0-9`, each as likely as the other.
pub(super) fn random_text(length: usize) -> Result<String, AdminError> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 252 is the largest multiple of 36 in an octet; the rest would favour the first characters.
        let octets = random()?;
        let fair = octets.iter().filter(|octet| **octet < 252);
        let characters = fair.map(|octet| char::from(ALPHABET[usize::from(octet % 36)]));
        text.extend(characters.take(length - text.len()));
    }
    Ok(text)
}

/// The fields of an account that can be sorted and filtered by.
pub(super) const FIELDS: [&str; 6] = ["id", "email", "emailVisibility", "verified", "created", "updated"];

/// The id of the superusers' collection.
pub(super) const COLLECTION_ID: &str = "pbc_3142635823";

/// Its name.
pub(super) const COLLECTION_NAME: &str = "_superusers";

/// The setting that holds the account.
const ACCOUNT: &str = "superuser";

/// The setting that holds the secret of all tokens.
const SECRET: &str = "token_secret";

/// Characters of the account's id.
const ID_LENGTH: usize = 15;

/// Characters of a token key: 258 bits.
const TOKEN_KEY_LENGTH: usize = 50;

/// What ids and keys are made of.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
