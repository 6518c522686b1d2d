//! One record from its text, and into an answer.

use domain::base::iana::Class;
use store::zonefile::{Options, read_text};
use store::{Name, Record};

use crate::wire::{Full, Query, Response, Section};

/// A record that a template wrote.
#[derive(Clone, Debug)]
pub(super) struct Made {
    record: Record,
    class: Class,
}

impl Made {
    /// Reads one record in the form of zone files; names without a final dot have one all the same.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        // Zone files are of class IN, answers may be of others: the class stands second or third.
        let mut class = Class::IN;
        let mut words: Vec<&str> = text.splitn(4, [' ', '\t']).collect();
        if let Some(word) = words.iter_mut().take(3).skip(1).find(|word| CLASSES.iter().any(|(name, _)| name == *word))
        {
            class = CLASSES.iter().find(|(name, _)| name == word).map_or(class, |(_, class)| *class);
            *word = "IN";
        }
        let text = format!("$TTL {TTL}\n{}\n", words.join(" "));
        let options = Options { include: false, faults_max: 1, generated_max: 0 };
        let parsed = read_text("record", text.as_bytes(), Some(&Name::root_bytes()), &options)
            .map_err(|faults| faults.first().map_or_else(|| "it is no record".into(), |fault| fault.message.clone()))?;
        match <[Record; 1]>::try_from(parsed.records) {
            Ok([record]) => Ok(Self { record, class }),
            Err(records) => Err(format!("it is {} records and not one", records.len())),
        }
    }

    /// Appends the record to an answer; the question's name is not written twice.
    pub(super) fn append(&self, section: Section, query: &Query, response: &mut Response<'_>) -> Result<(), Full> {
        let owner = self.record.owner.as_slice();
        let owner = if owner.eq_ignore_ascii_case(query.name.as_slice()) { &QUESTION_NAME[..] } else { owner };
        let (rtype, class) = (self.record.rtype.to_int(), self.class.to_int());
        response.append_record(section, owner, rtype, class, self.record.ttl, &[&self.record.rdata])
    }
}

/// Classes that a record may be of besides IN; ANY is what `.Class` is in a question for all classes.
const CLASSES: &[(&str, Class)] = &[("CH", Class::CH), ("HS", Class::HS), ("ANY", Class::ANY)];

/// Seconds of a record without a TTL.
const TTL: u32 = 3600;

/// A pointer to the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];
