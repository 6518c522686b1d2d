//! Where a Corefile's other files and its environment variables come from.

use std::io;
use std::path::{Path, PathBuf};

/// What a Corefile may look at beyond its own text.
pub trait Source {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file; `None` if it is no file but a folder.
    fn read(&self, path: &Path) -> io::Result<Option<String>>;

    /// The paths that a glob pattern matches, sorted.
    fn glob(&self, pattern: &Path) -> Vec<PathBuf>;
}

/// The process's environment and files.
pub struct FileSystem;

impl Source for FileSystem {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Option<String>> {
        if path.is_dir() {
            return Ok(None);
        }
        std::fs::read_to_string(path).map(Some)
    }

    fn glob(&self, pattern: &Path) -> Vec<PathBuf> {
        let Some(pattern) = pattern.to_str() else { return Vec::new() };
        let mut paths: Vec<PathBuf> = glob::glob(pattern).into_iter().flatten().flatten().collect();
        paths.sort();
        paths
    }
}
