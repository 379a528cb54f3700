//! A simulated host's network card: two lists of frames between smoltcp and the wire.

use std::collections::VecDeque;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// Frames the card queues for the wire before the stack has to wait.
const TRANSMIT_RING: usize = 256;

pub(crate) struct Nic {
    /// Received, not yet seen by the stack.
    pub inbox: VecDeque<Vec<u8>>,
    /// Sent by the stack, not yet on the wire.
    pub outbox: VecDeque<Vec<u8>>,
    mtu: usize,
}

impl Nic {
    /// `mtu` counts IP bytes.
    pub fn new(mtu: usize) -> Self {
        Self { inbox: VecDeque::new(), outbox: VecDeque::new(), mtu }
    }
}

impl phy::Device for Nic {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        // An answer may overfill the ring a little: the stack answers at most once per frame.
        self.inbox.pop_front().map(|frame| (Received(frame), Sending(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        (self.outbox.len() < TRANSMIT_RING).then_some(Sending(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

pub(crate) struct Received(Vec<u8>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(crate) struct Sending<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}
