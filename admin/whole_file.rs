//! Files that commands write: whole, or not at all.

use std::fs;
use std::path::{Path, PathBuf};

/// A file in the making, beside the one whose place it is going to take. Until then that one is what it was; what is left
/// of a file that was never finished is removed.
pub(crate) struct WholeFile {
    target: PathBuf,
    part: PathBuf,
}

impl WholeFile {
    /// A file that is going to stand at `path`, or where a link there leads. An error if something stands there that is no
    /// regular file: it would be lost.
    pub(crate) fn at(path: &Path) -> Result<Self, String> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
            return Err(format!("{}: it is no regular file, and no other is replaced", path.display()));
        }
        Ok(Self { part: with_end(&target, ".part"), target })
    }

    /// Where to write it.
    pub(crate) fn part(&self) -> &Path {
        &self.part
    }

    /// Whether there is one already.
    pub(crate) fn is_there(&self) -> bool {
        self.target.exists()
    }

    /// Gives it another place: the same name with an end.
    pub(crate) fn rename(&mut self, end: &str) {
        self.target = with_end(&self.target, end);
    }

    /// Puts it in its place; gives that.
    pub(crate) fn finish(self) -> Result<PathBuf, String> {
        fs::rename(&self.part, &self.target).map_err(|why| format!("{}: {why}", self.target.display()))?;
        Ok(self.target.clone())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // When it is finished there is none.
        let _ = fs::remove_file(&self.part);
    }
}

/// A path whose last part ends with this, too.
fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut longer = path.as_os_str().to_owned();
    longer.push(end);
    longer.into()
}
