//! What the fuzz target and the tests with random texts check.

use std::io;
use std::path::{Path, PathBuf};

use super::source::Nowhere;
use super::{Corefile, Options, Source};

/// Parses a text among a few variables and files. What parses must print to a text that parses to the same without
/// them; panics if it does not.
pub fn fuzz_check(text: &str) {
    let options = Options { port: 1053, is_known: &|name| !name.starts_with('x'), source: &Few };
    let (corefile, _) = Corefile::read("Corefile", text, &options);
    let printed = corefile.to_string();
    let options = Options { source: &Nowhere, ..options };
    let (again, faults) = Corefile::read("Corefile", &printed, &options);
    assert_eq!(faults, [], "{printed}");
    assert_eq!(again.blocks, corefile.blocks, "{printed}");
    assert_eq!(again.to_string(), printed);
}

/// Variables and files that lead to each other in all ways.
struct Few;

impl Source for Few {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "A" => "a b",
            "B" => "{$A}\"\\",
            "C" => "{$C}",
            "D" => "{%A%}{$}{$A}",
            "E" => "{",
            "F" => "}",
            "I" => "import",
            _ => return None,
        };
        Some(value.into())
    }

    fn absolute(&self, file: &Path) -> io::Result<PathBuf> {
        Ok(Path::new("/").join(file))
    }

    fn matching(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        let found = match pattern {
            "/a" | "/b" | "/c" => vec![pattern],
            "/*" => vec!["/a", "/b"],
            _ => vec![],
        };
        Ok(found.into_iter().map(PathBuf::from).collect())
    }

    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        match file.to_str() {
            Some("/a") => Ok(b"log {$A}\nerrors {\n stdout \"\n\"\n}".to_vec()),
            Some("/b") => Ok(b"import a\n".to_vec()),
            Some("/c") => Ok(b"import c\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}
