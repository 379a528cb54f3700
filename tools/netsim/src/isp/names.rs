//! The ISP's name servers: where names come from, and who is out of order.
//!
//! A [`NameSource`] may answer at once or later, so the demo can ask the host's own resolver in another thread.
//! Over UDP only; addresses, and SRV and NAPTR records where a list has them (a known name has no other types).

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::dns_message::{self, Answer, Question, Record};
use crate::packet::Datagram;

/// Knows names.
pub trait NameSource {
    /// The answer, or `None` when [`NameSource::finished`] will bring it under `ticket`.
    fn look_up(&mut self, name: &str, ticket: u64) -> Option<Answer>;

    /// An answer that has become known.
    fn finished(&mut self) -> Option<(u64, Answer)> {
        None
    }
}

/// A fixed list; every other name does not exist.
#[derive(Clone, Debug, Default)]
pub struct NameList(HashMap<String, Answer>);

impl NameList {
    /// With one name that has one address.
    pub fn with(mut self, name: &str, address: Ipv4Addr) -> Self {
        self.0.insert(name.to_ascii_lowercase(), Answer::Addresses(vec![address]));
        self
    }

    /// With one name that has these records.
    pub fn with_records(mut self, name: &str, records: Vec<Record>) -> Self {
        self.0.insert(name.to_ascii_lowercase(), Answer::Records(records));
        self
    }

    /// This list first, then whatever `others` know.
    pub fn before(self, others: impl NameSource + 'static) -> impl NameSource {
        Layered { first: self, others }
    }
}

impl NameSource for NameList {
    fn look_up(&mut self, name: &str, _ticket: u64) -> Option<Answer> {
        Some(self.0.get(name).cloned().unwrap_or(Answer::NoSuchName))
    }
}

struct Layered<S> {
    first: NameList,
    others: S,
}

impl<S: NameSource> NameSource for Layered<S> {
    fn look_up(&mut self, name: &str, ticket: u64) -> Option<Answer> {
        match self.first.0.get(name) {
            Some(answer) => Some(answer.clone()),
            None => self.others.look_up(name, ticket),
        }
    }

    fn finished(&mut self) -> Option<(u64, Answer)> {
        self.others.finished()
    }
}

/// All the ISP's name servers.
pub struct NameServers {
    /// These do not answer.
    pub silent: BTreeSet<Ipv4Addr>,
    /// Seconds an answer may be kept.
    pub time_to_live: u32,
    source: Box<dyn NameSource>,
    asked: HashMap<Ipv4Addr, u64>,
    waiting: HashMap<u64, Waiting>,
    next_ticket: u64,
}

struct Waiting {
    client: SocketAddrV4,
    server: SocketAddrV4,
    question: Question,
}

impl NameServers {
    /// Servers that all know what `source` knows.
    pub fn new(source: Box<dyn NameSource>) -> Self {
        Self {
            silent: BTreeSet::new(),
            time_to_live: 300,
            source,
            asked: HashMap::new(),
            waiting: HashMap::new(),
            next_ticket: 0,
        }
    }

    /// How many questions reached `server`, answered or not.
    pub fn asked(&self, server: Ipv4Addr) -> u64 {
        self.asked.get(&server).copied().unwrap_or(0)
    }

    pub(super) fn ask(&mut self, datagram: &Datagram<'_>) -> Option<Vec<u8>> {
        let question = dns_message::read_question(datagram.payload)?;
        *self.asked.entry(*datagram.to.ip()).or_default() += 1;
        if self.silent.contains(datagram.to.ip()) {
            return None;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let Some(answer) = self.source.look_up(&question.name, ticket) else {
            let waiting = Waiting { client: datagram.from, server: datagram.to, question };
            self.waiting.insert(ticket, waiting);
            return None;
        };
        Some(dns_message::answer(&question, &answer, self.time_to_live))
    }

    /// Client, server and message of every answer that has become known.
    pub(super) fn finished(&mut self) -> Vec<(SocketAddrV4, SocketAddrV4, Vec<u8>)> {
        let mut messages = Vec::new();
        while let Some((ticket, answer)) = self.source.finished() {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                let message = dns_message::answer(&waiting.question, &answer, self.time_to_live);
                messages.push((waiting.client, waiting.server, message));
            }
        }
        messages
    }
}
