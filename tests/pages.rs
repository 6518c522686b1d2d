//! The pages of the plugins: complete, true to the parsers, and shown by `zonda help`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use engine::plugin::corefile::Corefile;
use engine::plugin::{HEADINGS, Page, names, page, setup};
use engine::zone::Hub;

use crate::readme::{blocks, readme, start};
use crate::support::run;

/// All pages with the names of their plugins.
fn pages() -> impl Iterator<Item = (&'static str, Page)> {
    names().into_iter().map(|name| (name, page(name).unwrap()))
}

/// The row of a plugin in the README: the path of its file, and what the plugin does.
fn row(plugin: &str) -> (PathBuf, String) {
    let readme = readme();
    let row = readme.lines().find(|line| line.starts_with(&format!("| [`{plugin}`](")));
    let row = row.unwrap_or_else(|| panic!("no row for {plugin}"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(row.split(['(', ')']).nth(1).unwrap());
    (path, row.split(" | ").nth(1).unwrap().trim_end_matches(" |").into())
}

/// The source of a plugin, with that of the files in its folder.
fn sources(plugin: &str) -> String {
    let (path, _) = row(plugin);
    let files = match path.ends_with("mod.rs") {
        true => std::fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().path()).collect(),
        false => vec![path],
    };
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// The properties in the block that a page's syntax shows.
fn documented(page: &Page) -> BTreeSet<String> {
    let (_, code) = blocks(page.section("Syntax"), "corefile").swap_remove(0);
    let words = code.lines().filter(|line| line.starts_with(' ')).filter_map(|line| line.split_whitespace().next());
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).map(Into::into).collect()
}

/// What becomes of a property in a plugin's block: the error without the property's name, or nothing if it starts.
fn verdict(plugin: &str, property: &str, arguments: &str) -> String {
    let head = match plugin {
        "bind" => "bind 127.0.0.1",
        "file" => "file /dev/null/none",
        "forward" => "forward . 127.0.0.1",
        "hosts" => "hosts /dev/null",
        "loadbalance" => "loadbalance weighted /dev/null",
        "root" => "root /",
        "template" => "template IN A",
        "tls" => "tls /dev/null /dev/null",
        other => other,
    };
    let text = format!(".:0 {{\n{head} {{\n{property}{arguments}\n}}\n}}\n");
    let corefile = match Corefile::parse_text("Corefile", &text) {
        Ok(corefile) => corefile,
        Err(why) => return why.to_string(),
    };
    match setup(&corefile, &Hub::new(), &|_| None) {
        Ok(_) => String::new(),
        // Quoted as a name may be: the plugin may have the same one.
        Err(faults) => [("'", "'"), ("\"", "\""), ("selector=", " ")]
            .iter()
            .fold(faults[0].to_string(), |why, (a, b)| why.replace(&format!("{a}{property}{b}"), "…")),
    }
}

/// Whether a plugin knows a property: alone or with an argument it is treated in another way than nonsense.
fn knows(plugin: &str, property: &str) -> bool {
    ["", " 1"].iter().any(|arguments| {
        let unknown = verdict(plugin, "frobnicate", arguments);
        assert_ne!(unknown, "", "{plugin} takes any property");
        verdict(plugin, property, arguments) != unknown
    })
}

#[test]
fn a_page_has_all_headings_in_order_and_something_under_each() {
    for (name, page) in pages() {
        let (title, _) = page.markdown.split_once('\n').unwrap();
        assert_eq!(title, format!("# {name}"));
        let headings: Vec<&str> = page.markdown.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        for heading in HEADINGS {
            assert!(page.section(heading).len() > 4, "{name}: {heading}");
        }
        let first = page.section("Name");
        assert!(first.starts_with(&format!("*{name}* - ")) && first.ends_with('.'), "{first}");
        assert_eq!(first.lines().count(), 1, "{first}");
    }
}

#[test]
fn the_readme_leads_to_every_page_and_says_the_same() {
    for (name, page) in pages() {
        let (path, what) = row(name);
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(source.starts_with(&format!("//! # {name}\n")), "{}", path.display());
        assert_eq!(what, page.summary());
    }
}

#[test]
fn a_page_leads_to_plugins_that_there_are() {
    for (name, page) in pages() {
        let see = page.section("See also");
        let words = see.split('`').skip(1).step_by(2).filter(|word| word.chars().all(|c| c.is_ascii_lowercase()));
        let others: Vec<_> = words.collect();
        assert!(!others.is_empty(), "{name}");
        for other in others {
            assert!(engine::plugin::is_known(other) && other != name, "{name}: {other}");
        }
    }
}

#[test]
fn every_option_is_documented_and_every_documented_one_is_known() {
    for (name, page) in pages() {
        let documented = documented(&page);
        for property in &documented {
            assert!(knows(name, property), "{name} does not know {property}");
        }
        // What a parser compares with is a literal in its source; of all literals it knows a few as properties.
        let source = sources(name);
        let code: String =
            source.lines().filter(|line| !line.starts_with("//!")).map(|l| l.to_owned() + "\n").collect();
        let is_property = |word: &&str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'))
        };
        let literals: BTreeSet<&str> = code.split('"').filter(is_property).collect();
        let syntax = page.section("Syntax");
        for word in literals {
            let is_shown = documented.contains(word) || syntax.contains(&format!("`{word}`"));
            assert!(is_shown || !knows(name, word), "{name}: {word} is not documented");
        }
    }
}

#[test]
fn every_argument_of_the_syntax_is_explained() {
    for (name, page) in pages() {
        let syntax = page.section("Syntax");
        let (_, code) = blocks(syntax, "corefile").swap_remove(0);
        let text = syntax.replace(&code, "");
        for property in documented(&page) {
            assert!(text.contains(&format!("`{property}`")), "{name}: {property}");
        }
        let (line, _) = code.split_once('\n').unwrap_or((&code, ""));
        let is_argument = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
        for argument in line.split(|c: char| !c.is_ascii_alphabetic()).filter(is_argument) {
            let marks = [format!("**{argument}**"), format!("**{argument}S**")];
            assert!(marks.iter().any(|mark| text.contains(mark)), "{name}: {argument}");
        }
    }
}

#[test]
fn every_metric_on_a_page_is_written_somewhere() {
    let mut code = String::new();
    for folder in ["engine", "admin"] {
        read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut code);
    }
    for (name, page) in pages() {
        let metrics = page.section("Metrics");
        assert!(!metrics.contains("_*"), "{name}: a pattern instead of names");
        for metric in metrics.split('`').filter(|word| word.starts_with("coredns_") || word.starts_with("zonda_")) {
            assert!(code.contains(&format!("\"{metric}\"")), "{name}: {metric}");
        }
        // And those that its own files write are on it.
        let source = sources(name);
        for metric in source.split('"').filter(|word| word.starts_with("coredns_") || word.starts_with("zonda_")) {
            let is_name = metric.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_');
            assert!(!is_name || page.markdown.contains(&format!("`{metric}`")), "{name} does not list {metric}");
        }
    }
}

/// Appends what stands in all source files below a folder, without doc comments of files.
fn read_all(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().filter(|line| !line.starts_with("//!")).for_each(|line| code.push_str(line));
        }
    }
}

#[test]
fn every_example_starts() {
    for (name, page) in pages() {
        let examples = blocks(page.section("Examples"), "corefile");
        assert!(!examples.is_empty(), "{name} has no example");
        for (_, example) in examples {
            let plugin = example.lines().any(|line| line.split_whitespace().next() == Some(name));
            assert!(plugin, "{name} is not in its example: {example}");
            start(&example);
        }
    }
}

#[test]
fn help_shows_pages_commands_and_names_that_are_near() {
    let folder = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| run(folder.path(), &[&["help"], arguments].concat());
    let (code, stdout, _) = help(&[]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = stdout.lines().collect();
    for (at, (name, page)) in pages().enumerate() {
        let (first, what) = lines[at].split_once("  ").unwrap();
        assert_eq!((first.trim(), what.trim()), (name, page.summary()));
        let (code, stdout, _) = help(&[name]);
        assert_eq!((code, stdout.trim_end()), (Some(0), page.plain().trim_end()));
        let headings: Vec<&str> = stdout.lines().filter(|line| line.starts_with(|c: char| c.is_alphabetic())).collect();
        assert_eq!(headings, HEADINGS.map(str::to_uppercase));
    }
    let (code, stdout, _) = help(&["check"]);
    assert_eq!((code, stdout.contains("Usage: zonda check")), (Some(0), true), "{stdout}");
    for (wrong, near) in
        [("forwrd", "near to it: forward"), ("chek", "near to it: check"), ("hots", "near to it: hosts")]
    {
        let (code, stdout, stderr) = help(&[wrong]);
        assert_eq!((code, &stdout[..]), (Some(2), ""));
        assert!(stderr.contains(&format!("there is no plugin and no command '{wrong}'; {near}")), "{stderr}");
    }
    let (code, _, stderr) = help(&["xyzzy"]);
    assert_eq!((code, stderr.contains("`zonda help` lists the plugins")), (Some(2), true), "{stderr}");
}

#[test]
fn the_guide_shows_the_example_as_it_is() {
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (guide, example) = (read("docs/plugin.md"), read("engine/plugin/example.rs"));
    let code = blocks(&guide, "rust");
    for (_, code) in &code {
        let is_row = code.starts_with("plugin!(") && read("engine/plugin/registry.rs").contains(code);
        assert!(is_row || example.contains(code), "{code}");
    }
    // All of the plugin is shown but what stands above and below it, and each test that is named is there.
    let shown: usize = code.iter().map(|(_, code)| code.lines().count()).sum();
    let (_, whole) = example.split_once("/// The plugin.").unwrap();
    let whole = whole.split("/// A pointer to").next().unwrap().lines().filter(|line| !line.is_empty()).count();
    assert!(shown + 10 > whole, "{shown} of {whole}");
    let words = guide.split("(`").skip(1).filter_map(|rest| rest.split("`)").next());
    for name in words.filter(|word| word.contains('_')) {
        assert!(example.contains(&format!("    fn {name}() {{")), "{name}");
    }
    for path in guide.split("](../").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path}");
    }
}
