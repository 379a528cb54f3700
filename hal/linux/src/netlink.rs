//! Just enough netlink: dump and repeat addresses and routes, watch links, cut an interface off from the kernel.
//!
//! Messages are built and read as bytes; attributes are taken as they come and given back unchanged.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::executor::Reactor;
use crate::interface::{Interface, set_option, socket};

/// A netlink socket.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// One message without its header.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is: `RTM_…`.
    pub kind: u16,
    /// The fixed structure and the attributes.
    pub body: Vec<u8>,
}

impl Netlink {
    /// To ask the routing side.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn route() -> io::Result<Self> {
        Self::open(libc::NETLINK_ROUTE, 0)
    }

    fn open(protocol: i32, groups: u32) -> io::Result<Self> {
        let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol)?;
        // SAFETY: all zeros is a valid sockaddr_nl.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = groups;
        // SAFETY: the pointer and size describe a live address.
        let result = unsafe {
            libc::bind(
                socket.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_nl>() as libc::socklen_t,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(Self { socket, sequence: 1 }) }
    }

    /// All objects a dump request lists.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn dump(&mut self, kind: i32, body: &[u8]) -> io::Result<Vec<Message>> {
        let message = self.frame(kind as u16, libc::NLM_F_REQUEST | libc::NLM_F_DUMP, body);
        self.send(&message)?;
        let mut found = Vec::new();
        loop {
            for message in messages(&self.receive()?) {
                match i32::from(message.kind) {
                    libc::NLMSG_DONE => return Ok(found),
                    libc::NLMSG_ERROR => {
                        return Err(error_of(&message.body).unwrap_or_else(io::Error::last_os_error));
                    }
                    _ => found.push(message),
                }
            }
        }
    }

    /// Asks for one change and waits for the answer.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn change(&mut self, kind: i32, flags: i32, body: &[u8]) -> io::Result<()> {
        let message = self.frame(kind as u16, libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags, body);
        self.send(&message)?;
        self.acknowledged(1)
    }

    fn acknowledged(&mut self, mut expected: usize) -> io::Result<()> {
        while expected > 0 {
            for message in messages(&self.receive()?) {
                if i32::from(message.kind) == libc::NLMSG_ERROR {
                    error_of(&message.body).map_or(Ok(()), Err)?;
                    expected = expected.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, kind: u16, flags: i32, body: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(flags as u16).to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&0_u32.to_ne_bytes());
        message.extend_from_slice(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the pointer and length describe `bytes`.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        // SAFETY: the pointer and length describe `bytes`.
        let count = unsafe { libc::recv(self.socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        bytes.truncate(count as usize);
        Ok(bytes)
    }
}

/// Keeps the kernel's own stack from seeing anything that arrives on an interface: an nftables chain at its ingress
/// that drops all, behind the packet taps. Lives as long as this value, whatever happens to the process.
pub struct IngressDrop {
    _owner: Netlink,
}

impl IngressDrop {
    /// Cuts `interface` off.
    ///
    /// # Errors
    /// Without the right to (CAP_NET_ADMIN), or on a kernel without nftables' netdev family (before 4.2) or owned
    /// tables (before 5.12).
    pub fn new(interface: &Interface) -> io::Result<Self> {
        const OWNED: u32 = 2;
        const NETDEV: u8 = libc::NFPROTO_NETDEV as u8;
        let nft = |message: i32| ((libc::NFNL_SUBSYS_NFTABLES as u16) << 8) | message as u16;
        let mut netlink = Netlink::open(libc::NETLINK_NETFILTER, 0)?;
        let name = format!("dialtone_{}", interface.name);

        let mut table = vec![NETDEV, 0, 0, 0];
        text(&mut table, TABLE_NAME, &name);
        number(&mut table, TABLE_FLAGS, OWNED);

        let mut hook = Vec::new();
        number(&mut hook, HOOK_NUMBER, libc::NF_NETDEV_INGRESS as u32);
        number(&mut hook, HOOK_PRIORITY, (-500_i32) as u32);
        text(&mut hook, HOOK_DEVICE, &interface.name);
        let mut chain = vec![NETDEV, 0, 0, 0];
        text(&mut chain, CHAIN_TABLE, &name);
        text(&mut chain, CHAIN_NAME, "ingress");
        text(&mut chain, CHAIN_TYPE, "filter");
        number(&mut chain, CHAIN_POLICY, DROP);
        attribute(&mut chain, CHAIN_HOOK | libc::NLA_F_NESTED as u16, &hook);

        let batch = [0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8];
        let change = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE;
        let mut bytes = netlink.frame(libc::NFNL_MSG_BATCH_BEGIN as u16, libc::NLM_F_REQUEST, &batch);
        bytes.extend(netlink.frame(nft(libc::NFT_MSG_NEWTABLE), change, &table));
        bytes.extend(netlink.frame(nft(libc::NFT_MSG_NEWCHAIN), change, &chain));
        bytes.extend(netlink.frame(libc::NFNL_MSG_BATCH_END as u16, libc::NLM_F_REQUEST, &batch));
        netlink.send(&bytes)?;
        netlink.acknowledged(2)?;
        Ok(Self { _owner: netlink })
    }
}

/// Tells of every change of an interface's link, the present state first. Ends only with an error of the socket.
///
/// # Errors
/// When the socket fails.
pub async fn watch_link(
    reactor: &Reactor,
    interface: &Interface,
    mut tell: impl FnMut(bool),
) -> io::Result<()> {
    const LINKS: u32 = 1;
    let netlink = Netlink::open(libc::NETLINK_ROUTE, LINKS)?;
    // SAFETY: no pointers are passed.
    unsafe { libc::fcntl(netlink.socket.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    // A burst of changes elsewhere must not lose ours; when it does, the state is asked anew below.
    let _ = set_option(&netlink.socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 1 << 20);
    let watch = reactor.watch(&netlink.socket)?;
    tell(interface.is_running().unwrap_or(false));
    loop {
        match netlink.receive() {
            Ok(bytes) => {
                for message in messages(&bytes) {
                    if let Some(up) = link_state(&message, interface.index) {
                        tell(up);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => watch.readable().await,
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                tell(interface.is_running().unwrap_or(false))
            }
            Err(error) => return Err(error),
        }
    }
}

fn link_state(message: &Message, index: i32) -> Option<bool> {
    let number = |at: usize| Some(u32::from_ne_bytes(message.body.get(at..at + 4)?.try_into().ok()?));
    if number(4)? != index as u32 {
        return None;
    }
    let flags = number(8)? as i32;
    match message.kind {
        libc::RTM_NEWLINK => Some(flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0),
        libc::RTM_DELLINK => Some(false),
        _ => None,
    }
}

/// The messages in what one receive gave.
fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(header) = rest.get(..16) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let Some(body) = rest.get(16..length) else { break };
        found.push(Message { kind: u16::from_ne_bytes([header[4], header[5]]), body: body.to_vec() });
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn error_of(body: &[u8]) -> Option<io::Error> {
    let code = i32::from_ne_bytes(body.get(..4)?.try_into().ok()?);
    (code != 0).then(|| io::Error::from_raw_os_error(-code))
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn text(message: &mut Vec<u8>, kind: u16, value: &str) {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    attribute(message, kind, &bytes);
}

/// nftables' numbers are in network byte order.
fn number(message: &mut Vec<u8>, kind: u16, value: u32) {
    attribute(message, kind, &value.to_be_bytes());
}

// From linux/netfilter/nf_tables.h; `libc` does not have them.
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
const DROP: u32 = 0;
