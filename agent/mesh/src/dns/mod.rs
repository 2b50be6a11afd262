//! Questions to name servers: answered for the names of the mesh, handed on for all others.

mod forward;
mod message;
mod stream;

use std::{
    cell::Cell,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
};

use tokio::sync::Semaphore;

use crate::{Addresses, Fabric, tuning};
use message::{A, ANY, Code, PTR, Question, Record};

pub(crate) use stream::serve_stream;

/// Name servers listen here.
pub(crate) const PORT: u16 = 53;

/// Who answers the container's questions.
pub(crate) struct Resolver<F> {
    fabric: Rc<F>,
    addresses: Addresses,
    /// Room for questions to other name servers.
    forwards: Semaphore,
    /// Answers to questions for names so far.
    turn: Cell<usize>,
}

impl<F: Fabric> Resolver<F> {
    pub(crate) fn new(fabric: Rc<F>, addresses: Addresses) -> Self {
        Self { fabric, addresses, forwards: Semaphore::new(tuning::FORWARDS), turn: Cell::new(0) }
    }

    /// The answer to a question that came as a datagram; `None` is silence.
    pub(crate) async fn answer(&self, query: &[u8], server: SocketAddr) -> Option<Vec<u8>> {
        let question = Question::parse(query);
        if let Some(answer) = question.as_ref().and_then(|question| self.known(question)) {
            return Some(answer);
        }
        let _place = self.forwards.try_acquire().ok()?;
        match self.ask(query, server).await {
            Ok(answer) => answer,
            // A resolver asks its next server then, at once.
            Err(_) => question.map(|question| question.reply(Code::ServerFailure, &[])),
        }
    }

    /// Who is asked in the place of a server, at least one.
    fn servers(&self, asked: SocketAddr) -> Vec<SocketAddr> {
        let servers = self.fabric.name_servers(asked);
        if servers.is_empty() { vec![asked] } else { servers }
    }

    /// The mesh's own answer to a question, if it is about one of its names or addresses.
    fn known(&self, question: &Question<'_>) -> Option<Vec<u8>> {
        if let Some(address) = question.reverse() {
            let addresses = &self.addresses;
            let address = addresses.behind(address).or(addresses.is_virtual(address).then_some(address))?;
            let name = self.fabric.name(address);
            let record = name.and_then(|name| Record::name(&name)).filter(|_| question.is(&[PTR, ANY]));
            let code = if record.is_some() { Code::Fine } else { Code::NoSuchName };
            return Some(question.reply(code, record.as_slice()));
        }
        let mut addresses = self.fabric.resolve(&question.name)?;
        if !question.is(&[A, ANY]) {
            // The name is known, and has nothing of this kind.
            return Some(question.reply(Code::Fine, &[]));
        }
        self.rotate(&mut addresses);
        let records: Vec<Record> =
            addresses.into_iter().take(tuning::ADDRESSES).map(Record::address).collect();
        Some(question.reply(Code::Fine, &records))
    }

    /// Who asks twice reaches another first.
    fn rotate(&self, addresses: &mut [Ipv4Addr]) {
        if addresses.len() > 1 {
            let turn = self.turn.get();
            self.turn.set(turn.wrapping_add(1));
            addresses.rotate_left(turn % addresses.len());
        }
    }
}
