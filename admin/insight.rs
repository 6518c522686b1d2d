//! What the HTTP services may see of the server that they are part of.

use std::fmt;
use std::sync::Arc;

use engine::plugin::Switch;

/// A view of the running server; a copy shows the same.
#[derive(Clone)]
pub struct Insight {
    switch: Arc<Switch>,
}

impl Insight {
    /// Of the server that this switch has.
    pub(crate) fn new(switch: Arc<Switch>) -> Self {
        Self { switch }
    }

    /// Where the configuration of now is.
    pub(crate) fn switch(&self) -> &Arc<Switch> {
        &self.switch
    }
}

impl fmt::Debug for Insight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Insight").finish_non_exhaustive()
    }
}
