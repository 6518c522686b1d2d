//! Argon2id hashes of passwords (RFC 9106).

use argon2::Argon2;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier, phc::PasswordHash};
use engine::plugin::Password;

/// A hash of the password with a new salt, as PHC string.
pub(super) fn hash(password: &Password) -> Result<String, Error> {
    Ok(argon2().hash_password(password.reveal().as_bytes())?.to_string())
}

/// Whether the password is what `hash` was made from. Takes the same time for every password; false for a damaged hash.
pub(super) fn fits(password: &Password, hash: &str) -> bool {
    let verify = |hash: PasswordHash| argon2().verify_password(password.reveal().as_bytes(), &hash).is_ok();
    PasswordHash::new(hash).is_ok_and(verify)
}

/// Argon2id with the parameters of the crate, which are the ones that OWASP recommends (19 MiB, 2 passes).
fn argon2() -> Argon2<'static> {
    Argon2::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_alone_and_neither_prints() {
        let password = Password::new("correct-horse");
        let first = hash(&password).unwrap();
        assert!(first.starts_with("$argon2id$"), "{first}");
        assert!(fits(&password, &first));
        assert!(!fits(&Password::new("correct-horsf"), &first));
        assert!(!fits(&password, "damaged"));
        assert!(!format!("{password:?}").contains("horse"));
        assert_ne!(first, hash(&password).unwrap());
    }
}
