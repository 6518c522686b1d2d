//! What errors of redb and of the system mean for the store.

use std::io::{self, ErrorKind};

use redb::DatabaseError;

use super::file::FILE_NAME;
use crate::StoreError;

/// What an error of redb means for the store.
pub(super) fn fault(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) => io_error(FILE_NAME, &error),
        redb::Error::Corrupted(why) => damaged(FILE_NAME, &why),
        other => StoreError::Io(format!("{FILE_NAME}: {other}")),
    }
}

/// The same at opening, for the file with this name.
pub(super) fn fault_at(shown: &str, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::InUse(shown.to_owned()),
        DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => damaged(shown, &error.to_string()),
            _ => io_error(shown, &error),
        },
        DatabaseError::Storage(redb::StorageError::Corrupted(why)) => damaged(shown, &why),
        DatabaseError::UpgradeRequired(version) => damaged(shown, &format!("it has the file format {version}")),
        other => StoreError::Io(format!("{shown}: {other}")),
    }
}

/// The error of a file that is not what was written, with the way out.
pub(super) fn damaged(shown: &str, why: &str) -> StoreError {
    StoreError::Damaged(format!(
        "{shown} is damaged, or no database of zonda ({why}); zones that can still be read can be exported, the others \
         restored from a back-up"
    ))
}

/// What an error of the system means for the store.
pub(super) fn io_error(shown: &str, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StoreError::Full,
        _ => StoreError::Io(format!("{shown}: {error}")),
    }
}
