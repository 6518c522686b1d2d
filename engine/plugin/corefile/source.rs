//! What a Corefile refers to outside itself: environment variables and imported files.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Where variables and imported files come from. The parser reaches the world through this alone.
pub trait Source {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The absolute path of a file.
    fn absolute(&self, file: &Path) -> io::Result<PathBuf>;

    /// The files that an absolute path or pattern means, sorted; a path without wildcards means itself if it exists.
    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;

    /// The octets of a file; [`io::ErrorKind::IsADirectory`] for a folder.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;
}

/// The environment and the file system of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

/// Neither variables nor files.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nowhere;

impl Source for FileSystem {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn absolute(&self, file: &Path) -> io::Result<PathBuf> {
        std::path::absolute(file)
    }

    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        if !pattern.contains(['*', '?', '[']) {
            let exists = Path::new(pattern).symlink_metadata().is_ok();
            return Ok(exists.then(|| PathBuf::from(pattern)).into_iter().collect());
        }
        let paths = glob::glob(pattern).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why.msg))?;
        // A folder that cannot be read has no files to import, as for the shell.
        Ok(paths.filter_map(Result::ok).collect())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let open = File::open(file)?;
        if open.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut octets = Vec::new();
        open.take(OCTETS_MAX + 1).read_to_end(&mut octets)?;
        match octets.len() as u64 {
            0..=OCTETS_MAX => Ok(octets),
            _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {OCTETS_MAX} octets"))),
        }
    }
}

impl Source for Nowhere {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn absolute(&self, file: &Path) -> io::Result<PathBuf> {
        Ok(Path::new("/").join(file))
    }

    fn matching(&self, _: &str) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Octets of an imported file at most: far above any configuration, far below the memory of a machine that a device file
/// could fill.
const OCTETS_MAX: u64 = 16 << 20;
