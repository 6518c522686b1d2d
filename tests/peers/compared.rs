//! What counts as a difference, and the table of those that are known.

use std::collections::BTreeSet;
use std::fmt;

use super::asked::to_dig;
use super::peer::Kind;
use crate::cases::Expected;
use crate::support::Question;

/// One question and two answers.
pub(super) struct Asked<'a> {
    pub(super) peer: Kind,
    pub(super) question: &'a Question,
    pub(super) ours: &'a Expected,
    pub(super) theirs: &'a Expected,
}

/// How two answers compare.
pub(super) enum Verdict {
    /// The same code, flags, answer and authority.
    Same,
    /// Not the same, as a row of the table says.
    Known(&'static str),
    /// Not the same, and nobody knows why.
    Different(String),
}

/// A difference that is known.
struct Difference {
    /// What differs, and the RFC that allows it.
    why: &'static str,
    applies: fn(&Asked<'_>) -> bool,
}

impl Asked<'_> {
    /// Compares. Additional data is left to each server (RFC 1034 §4.3.2 step 6) and not compared.
    pub(super) fn verdict(&self) -> Verdict {
        let mut what = String::new();
        if flags(self.ours) != flags(self.theirs) {
            what.push_str("status ");
        }
        for section in ["answer", "authority"] {
            if records(self.ours, section) != records(self.theirs, section) {
                what.push_str(&format!("{section} "));
            }
        }
        if what.is_empty() {
            return Verdict::Same;
        }
        match DIFFERENCES.iter().find(|difference| (difference.applies)(self)) {
            Some(difference) => Verdict::Known(difference.why),
            None => Verdict::Different(what),
        }
    }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "dig {}", to_dig(self.question))?;
        for (who, answer) in [("zonda", self.ours), ("peer", self.theirs)] {
            writeln!(formatter, "  {who}: {}", answer.status.join(" "))?;
            for section in ["answer", "authority"] {
                for line in records(answer, section) {
                    let line: String = line.chars().take(LINE_MAX).collect();
                    writeln!(formatter, "    {section}: {line}")?;
                }
            }
        }
        Ok(())
    }
}

/// The code, and whether the answer has authority and is whole.
fn flags(answer: &Expected) -> Vec<&str> {
    let words = answer.status.iter().map(String::as_str);
    words.enumerate().filter(|(at, word)| *at == 0 || ["aa", "tc", "ad"].contains(word)).map(|(_, word)| word).collect()
}

/// The records of a section in lower case: servers differ in which spelling of a name they keep (RFC 4343 §4).
fn records(answer: &Expected, section: &str) -> BTreeSet<String> {
    let lines = answer.sections.get(section).map_or(&[][..], Vec::as_slice);
    lines.iter().map(|line| line.to_ascii_lowercase()).collect()
}

/// Whether an answer has a flag.
fn has(answer: &Expected, flag: &str) -> bool {
    answer.status.iter().any(|word| word == flag)
}

/// The known differences; the first that applies counts.
const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "cut off at different records; TCP has it all (RFC 2181 §9)",
        applies: |asked| has(asked.ours, "tc") || has(asked.theirs, "tc"),
    },
    Difference {
        why: "ANY is answered with one RRset or all of them (RFC 8482 §4.1)",
        applies: |asked| asked.question.qtype == store::Rtype::ANY,
    },
];

/// Characters of a record that are printed.
const LINE_MAX: usize = 160;
