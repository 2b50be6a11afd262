//! What an archive lacks, for the daemon to know.

use sockerless_agent_wire::{
    limits,
    request::{End, Entry, Fault, LeftOut},
};

/// What could not be read so far.
#[derive(Debug, Default)]
pub struct List {
    first: Option<Fault>,
    list: Vec<LeftOut>,
    bytes: usize,
    more: u64,
}

impl List {
    /// Notes one, by the name that it would have. What is too much to tell is counted.
    pub fn note(&mut self, fault: &Fault, name: &[u8], entry: Entry) {
        self.first.get_or_insert_with(|| fault.clone());
        self.bytes += name.len() + entry.path.len() + limits::LEFT_OUT_EACH;
        if self.bytes > limits::LEFT_OUT {
            self.more += 1;
        } else {
            self.list.push(LeftOut { name: String::from_utf8_lossy(name).into_owned(), entry });
        }
    }

    /// How an archive ends from which this was left out, and which is otherwise whole.
    pub fn end(self) -> End {
        match self.first {
            None => End::Done,
            Some(fault) => End::Partial { fault, left_out: self.list, more: self.more },
        }
    }
}

#[cfg(test)]
mod tests {
    use sockerless_agent_wire::request::FaultKind;

    use super::*;
    use crate::work::fault::fault;

    #[test]
    fn the_first_reason_is_told_and_no_more_names_than_fit() {
        let mut list = List::default();
        for number in 0..1000 {
            let why = fault(FaultKind::Forbidden, format!("open /{number}: permission denied"));
            list.note(&why, b"name", Entry::default());
        }
        let End::Partial { fault, left_out, more } = list.end() else { panic!("all was well") };
        assert_eq!(fault.message, "open /0: permission denied");
        assert_eq!(left_out.len(), limits::LEFT_OUT / (limits::LEFT_OUT_EACH + 4));
        assert_eq!(left_out.len() as u64 + more, 1000);
        assert_eq!(List::default().end(), End::Done);
    }
}
