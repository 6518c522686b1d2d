//! Answers of other servers in the place of one's own, and a response that is put aside until there is one.

use super::Response;
use crate::wire::received::AD;
use crate::wire::{Query, Received};

impl Response<'_> {
    /// Makes this answer that of another server to the same question, `age` seconds after it came. What does not fit is
    /// left out: first the additional section, then the authority section of an answer with data; else the client is told
    /// to ask again over TCP, and gets nothing now.
    pub fn take(&mut self, received: &Received, age: u32, query: &Query) {
        self.reset();
        let has_data = received.counts()[0] > 0;
        let shortest = if has_data { 1 } else { 2 };
        let fitting = (shortest..=3).rev().find(|&sections| self.fits(received.records(sections).0.len()));
        let (records, counts) = fitting.map_or((&[][..], [0; 3]), |sections| received.records(sections));
        let start = self.len;
        self.write(records);
        self.counts = counts;
        self.rcode = received.rcode;
        self.authoritative = received.is_authoritative();
        self.truncated = fitting.is_none() || received.is_truncated();
        // AD is for those who said that they understand it (RFC 6840 §5.8).
        let understands = query.authentic_data || query.edns.is_some_and(|edns| edns.dnssec_ok);
        self.echo[1] |= received.flags() & if understands { 0xff } else { !AD };
        if age > 0 {
            let written = start..self.len;
            for at in received.ttls().iter().map(|at| usize::from(*at)).filter(|at| written.contains(at)) {
                let room = self.buffer.get_mut(at..at + 4).and_then(|room| room.first_chunk_mut::<4>());
                if let Some(room) = room {
                    *room = u32::from_be_bytes(*room).saturating_sub(age).to_be_bytes();
                }
            }
        }
    }

    /// The client's message up to the end of its question.
    pub fn head(&self) -> &[u8] {
        self.buffer.get(..self.question_end).unwrap_or_default()
    }

    /// Puts aside what has been settled of this answer, without its records.
    pub fn park(&self) -> Parked {
        let options = self.options_end - self.options_len..self.options_end;
        Parked {
            head: self.head().into(),
            options: self.buffer.get(options).unwrap_or_default().into(),
            size: self.buffer.len(),
            state: Response { buffer: &mut [], ..*self },
        }
    }
}

/// A response that was put aside: what is known of it while its answer is waited for.
pub struct Parked {
    /// Header and question.
    head: Box<[u8]>,
    /// The options that wait for the end of the message.
    options: Box<[u8]>,
    /// Octets of the buffer that it was in.
    size: usize,
    /// The rest, without a buffer.
    state: Response<'static>,
}

impl Parked {
    /// The message up to the end of its question.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Goes on with the response in a buffer that is made for it.
    pub fn resume<'b>(&self, buffer: &'b mut Vec<u8>) -> Response<'b> {
        let size = (self.state.limit + self.state.options_len + super::OPT_OCTETS).min(self.size);
        buffer.clear();
        buffer.resize(size.max(self.state.options_end).max(self.head.len()), 0);
        buffer[..self.head.len()].copy_from_slice(&self.head);
        let options_start = self.state.options_end - self.state.options_len;
        buffer[options_start..self.state.options_end].copy_from_slice(&self.options);
        let mut response = Response { buffer, ..self.state };
        response.reset();
        response
    }
}
