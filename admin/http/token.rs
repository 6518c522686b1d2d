//! Tokens: JWT (RFC 7519) signed with HS256, as PocketBase makes them.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::account::{Account, COLLECTION_ID};
use super::time;

/// Makes and checks the tokens of one account. The key joins the account's token key, which a new password replaces, and
/// the secret of the store, so that no token outlives either.
pub(super) struct Signer {
    /// The account that tokens speak for.
    id: String,
    /// Signs.
    encoding: EncodingKey,
    /// Checks.
    decoding: DecodingKey,
    /// HS256 alone, to the second.
    validation: Validation,
}

/// A token that was sent with a request and is valid.
#[derive(Clone)]
pub(super) struct Token {
    /// The token itself.
    pub(super) text: String,
    /// Whether it may be exchanged for a fresh one.
    pub(super) refreshable: bool,
}

/// What a token says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    /// The collection of its account.
    collection_id: String,
    /// The account.
    id: String,
    /// What the token is for: `auth`.
    r#type: String,
    /// Whether it may be exchanged for a fresh one.
    refreshable: bool,
    /// Until when it is valid, seconds since 1970.
    exp: u64,
}

impl Signer {
    /// For an account.
    pub(super) fn new(account: &Account) -> Self {
        let key = [account.token_key.as_bytes(), &account.secret].concat();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        Self {
            id: account.id.clone(),
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            validation,
        }
    }

    /// A token that is valid for so many seconds.
    pub(super) fn sign(&self, life_seconds: u64, refreshable: bool) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            collection_id: COLLECTION_ID.into(),
            id: self.id.clone(),
            r#type: TYPE.into(),
            refreshable,
            exp: (time::now() / 1000).saturating_add(life_seconds),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }

    /// The token in an `Authorization` header, if it is valid. Any other makes its bearer a guest.
    pub(super) fn check(&self, header: &str) -> Option<Token> {
        let text = bearer(header);
        let claims = jsonwebtoken::decode::<Claims>(text, &self.decoding, &self.validation).ok()?.claims;
        let is_ours = claims.collection_id == COLLECTION_ID && claims.id == self.id && claims.r#type == TYPE;
        is_ours.then(|| Token { text: text.into(), refreshable: claims.refreshable })
    }
}

/// The token in an `Authorization` header, with its scheme or without.
pub(super) fn bearer(header: &str) -> &str {
    match header.split_at_checked(BEARER.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) => token,
        _ => header,
    }
}

/// Seconds that a superuser's token is valid.
pub(super) const LIFE_SECONDS: u64 = 86_400;

/// What our tokens are for.
const TYPE: &str = "auth";

/// The scheme that may stand before a token (RFC 6750 §2.1).
const BEARER: &str = "Bearer ";
