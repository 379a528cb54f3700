//! The simulated ISP's knowledge of names: the host's own resolver, or the built-in web for everything.
//!
//! The host's resolver blocks, so a few threads ask it; questions wait in a bounded queue. Only public addresses come
//! back: what this computer calls its printer is none of the home's business.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use dialtone_netsim::dns_message::Answer;
use dialtone_netsim::isp::names::NameSource;

use super::far_side::{BUILT_IN_WEB, is_public};

/// Threads that ask the host's resolver.
const THREADS: usize = 8;
/// Questions that may wait for a thread.
const WAITING: usize = 256;

/// Where the simulated ISP's names come from.
pub struct HostNames {
    questions: Option<SyncSender<(u64, String)>>,
    answers: Receiver<(u64, Answer)>,
}

impl HostNames {
    /// With `internet`: the host's resolver, whose answers wake `wake`.
    pub fn new(internet: bool, wake: Arc<Mutex<Option<Waker>>>) -> Self {
        let (answered, answers) = channel();
        let questions = internet.then(|| {
            let (ask, asked) = sync_channel(WAITING);
            let asked = Arc::new(Mutex::new(asked));
            for _ in 0..THREADS {
                let (asked, answered, wake) = (asked.clone(), answered.clone(), wake.clone());
                std::thread::spawn(move || work(&asked, &answered, &wake));
            }
            ask
        });
        Self { questions, answers }
    }
}

impl NameSource for HostNames {
    fn look_up(&mut self, name: &str, ticket: u64) -> Option<Answer> {
        let Some(questions) = &self.questions else {
            return Some(Answer::Addresses(vec![BUILT_IN_WEB]));
        };
        if is_reserved_for_tests(name) {
            return Some(Answer::Addresses(vec![BUILT_IN_WEB]));
        }
        // Reverse and service names: the host's resolver only knows addresses.
        if name.ends_with(".arpa") || name.starts_with('_') || name.is_empty() {
            return Some(Answer::NoSuchName);
        }
        match questions.try_send((ticket, name.to_string())) {
            Ok(()) => None,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Some(Answer::Failed),
        }
    }

    fn finished(&mut self) -> Option<(u64, Answer)> {
        self.answers.try_recv().ok()
    }
}

/// RFC 6761, section 6.2: nobody's names, so they are ours.
fn is_reserved_for_tests(name: &str) -> bool {
    name == "test" || name.ends_with(".test")
}

fn work(
    asked: &Mutex<Receiver<(u64, String)>>,
    answered: &Sender<(u64, Answer)>,
    wake: &Mutex<Option<Waker>>,
) {
    loop {
        let question = asked.lock().map(|asked| asked.recv());
        let Ok(Ok((ticket, name))) = question else { return };
        if answered.send((ticket, ask_host(&name))).is_err() {
            return;
        }
        if let Ok(Some(waker)) = wake.lock().as_deref() {
            waker.wake_by_ref();
        }
    }
}

fn ask_host(name: &str) -> Answer {
    match (name, 0).to_socket_addrs() {
        Ok(found) => {
            let mut addresses: Vec<_> = found
                .filter_map(|address| match address.ip() {
                    IpAddr::V4(address) if is_public(address) => Some(address),
                    _ => None,
                })
                .collect();
            addresses.dedup();
            addresses.truncate(16);
            Answer::Addresses(addresses)
        }
        // The standard library does not say whether the name or the resolver is at fault.
        Err(_) => Answer::NoSuchName,
    }
}

/// Whether this computer reaches the internet: a name resolves and somebody answers there, within about three seconds.
pub fn internet_is_there() -> bool {
    let (tell, told) = channel();
    // Not joined: a resolver that hangs must not hold up the demo.
    std::thread::spawn(move || {
        let there = ("example.com", 443).to_socket_addrs().is_ok_and(|mut found| {
            found.any(|address: SocketAddr| {
                address.is_ipv4() && TcpStream::connect_timeout(&address, Duration::from_millis(1500)).is_ok()
            })
        });
        tell.send(there)
    });
    told.recv_timeout(Duration::from_secs(3)).unwrap_or(false)
}
