//! The page of a plugin: the text at the top of its own file, under the headings of [`HEADINGS`].

/// A page in Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What stands at the top of the plugin's file.
    pub markdown: String,
}

impl Page {
    /// The page at the top of a source file.
    pub(super) fn of(source: &str) -> Self {
        let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
        Self { markdown: lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect() }
    }

    /// The text under a heading; empty without it.
    pub fn section(&self, heading: &str) -> &str {
        let title = format!("\n## {heading}\n");
        let Some((_, after)) = self.markdown.split_once(&title[..]) else { return "" };
        after.split("\n## ").next().unwrap_or(after).trim_end()
    }

    /// What the plugin does, in a few words.
    pub fn summary(&self) -> &str {
        self.section("Name").split_once(" - ").map_or("", |(_, words)| words.trim_end_matches('.'))
    }

    /// The page for a terminal: headings in capitals, text and examples indented, without marks.
    pub fn plain(&self) -> String {
        let mut plain = String::new();
        let mut is_example = false;
        for line in self.markdown.lines().skip_while(|line| !line.starts_with("## ")) {
            if line.starts_with("```") {
                is_example = !is_example;
            } else if is_example {
                plain.push_str(&format!("        {line}\n"));
            } else if let Some(heading) = line.strip_prefix("## ") {
                plain.push_str(&format!("{}\n", heading.to_uppercase()));
            } else if line.is_empty() {
                plain.push('\n');
            } else {
                plain.push_str(&format!("    {}\n", without_marks(line)));
            }
        }
        plain
    }
}

/// A line without what makes text bold, slanted or a link; a bullet stays.
fn without_marks(line: &str) -> String {
    let (bullet, text) = line.strip_prefix("* ").map_or(("", line), |text| ("* ", text));
    let mut plain = String::from(bullet);
    // Between two backticks the text is as it is meant.
    for (part, text) in text.split('`').enumerate() {
        if part % 2 == 1 {
            plain.push_str(text);
        } else {
            plain.push_str(&text.replace("**", "").replace('*', ""));
        }
    }
    plain
}

/// The headings of a page, in their order.
pub const HEADINGS: [&str; 8] = ["Name", "Description", "Syntax", "Examples", "Metrics", "Ready", "See also", "Bugs"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_without_marks() {
        let source = "//! # x\n//!\n//! ## Name\n//! *x* - does `y*`.\n//!\n//! ## Syntax\n//! ```corefile\n//! x {\n//!     y\n\
                      //! }\n//! ```\n//! * **Y** is `*`\n\n//! not the page\nuse y;\n";
        let page = Page::of(source);
        assert_eq!(page.summary(), "does `y*`");
        assert_eq!(page.section("Syntax"), "```corefile\nx {\n    y\n}\n```\n* **Y** is `*`");
        assert_eq!(page.section("Bugs"), "");
        let plain = "NAME\n    x - does y*.\n\nSYNTAX\n        x {\n            y\n        }\n    * Y is *\n";
        assert_eq!(page.plain(), plain);
    }
}
