//! The configuration of the whole server.

use super::call::{Call, Reply};
use super::error::{self, ApiError};
use super::openapi::{Answer, Operation};

/// What [`reload`] does.
pub(super) const RELOAD: Operation = Operation {
    errors: &[404],
    ..Operation::new("Take over what the Corefile says now", &[Answer::empty("The new configuration is in use.")])
};

/// `POST /api/zonda/reload`: changes to what the Corefile says now; 400 with the reason if that cannot be served.
pub(super) async fn reload(call: Call) -> Result<Reply, ApiError> {
    let Some(reloader) = call.site.reloader.clone() else { return Err(ApiError::not_found()) };
    match call.site.blocking(move |_| reloader.reload()).await? {
        Ok(()) => Ok(Reply::Empty),
        Err(why) => Err(ApiError::bad_request(error::sentence(&why))),
    }
}
