//! The file with the id of the process.

use std::path::{Path, PathBuf};

/// A file with the id of this process, which is removed with it.
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file.
    pub(crate) fn write(path: &Path) -> Result<Self, String> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|why| format!("could not write pid file {}: {why}", path.display()))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else may have removed it; nothing depends on it any more.
        let _ = std::fs::remove_file(&self.0);
    }
}
