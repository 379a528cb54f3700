//! The simulated operator, used by a scripted telephone that speaks SIP by hand.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use dialtone_base::frame::PoolSize;
use dialtone_base::{Duration, FramePool, Instant, MacAddress, Seed, Zone};
use dialtone_hal_api::port::{PortHandle, PortInfo, port};
use dialtone_netsim::isp::Profile;
use dialtone_netsim::isp::names::{NameList, NameServers};
use dialtone_netsim::link::Quality;
use dialtone_netsim::operator::digest::{Algorithm, field, fields};
use dialtone_netsim::operator::media::{Described, from_mu};
use dialtone_netsim::operator::message::{self, Message, parameter};
use dialtone_netsim::operator::{Operator, PORT, Settings, Subscriber, WithOperator, Wrong};
use dialtone_netsim::peer::Echo;
use dialtone_netsim::world::{DeviceId, World};
use dialtone_netsim::{Isp, SocketHandle};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 60), PORT);

/// Two telephones on the ISP's network, no router in between.
struct Town {
    world: World,
    ends: [PortHandle; 2],
    now: Instant,
    operator: Rc<RefCell<Operator>>,
}

impl Town {
    fn new(seed: u64) -> Self {
        let pool = FramePool::leak(PoolSize { ordinary: 2048, super_frames: 0 });
        let subscribers = vec![
            Subscriber::new("5551", "one", "Ann").with_number("5559"),
            Subscriber::new("5552", "two", "Bob"),
        ];
        let settings = Settings { record: true, ..Settings::default() };
        let operator = Operator::new(settings, subscribers, Seed::from_number(seed));
        let names = NameServers::new(Box::new(operator.names(NameList::default())));
        let operator = operator.shared();
        let far_side = WithOperator { operator: operator.clone(), beyond: Echo };
        let isp = Isp::new(Profile::default(), names, Box::new(far_side), Seed::from_number(seed));
        let mut world = World::new(isp, pool, Seed::from_number(seed + 1));
        let info = PortInfo {
            name: "wire".into(),
            zone: Zone::Lan,
            mac: MacAddress([2; 6]),
            mtu: 1500,
            segmentation: false,
        };
        let (lan, lan_driver) = port(info.clone());
        let (wan, wan_driver) = port(info);
        let home = world.cable(lan_driver, Quality::delay(Duration::from_millis(5)));
        let (first, second) = (world.plug_new(home, "first"), world.plug_new(home, "second"));
        let street = world.cable(wan_driver, Quality::PERFECT);
        world.plug_isp(street);
        let mut town = Self { world, ends: [lan, wan], now: Instant::START, operator };
        let leased = town.run(60_000, |world| {
            [first, second].iter().all(|device| world.device(*device).address().is_some())
        });
        assert!(leased, "no leases");
        town
    }

    fn phone(&mut self, index: usize, user: &'static str, password: &'static str) -> Phone {
        let device = self.world.devices().nth(index).unwrap().0;
        let host = self.world.device(device);
        let (socket, sound) = (host.udp_bind(PORT), host.udp_bind(4000));
        let address = host.address().unwrap();
        Phone { device, socket, sound, address, user, password, sequence: 0, random: 0, nonce: None }
    }

    /// Runs until something is so, or for as long as given.
    fn run(&mut self, millis: u64, mut done: impl FnMut(&mut World) -> bool) -> bool {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let next = self.world.poll(self.now);
            let mut moved = false;
            let [lan, wan] = &self.ends;
            for (from, to) in [(lan, wan), (wan, lan)] {
                while let Some(frame) = from.receive.pop() {
                    to.transmit.push(frame);
                    moved = true;
                }
            }
            if done(&mut self.world) {
                return true;
            }
            if !moved {
                match next {
                    Some(at) if at <= end => self.now = at,
                    _ => {
                        self.now = end;
                        return false;
                    }
                }
            }
        }
    }

    fn wait(&mut self, millis: u64) {
        self.run(millis, |_| false);
    }
}

struct Phone {
    device: DeviceId,
    socket: SocketHandle,
    sound: SocketHandle,
    address: Ipv4Addr,
    user: &'static str,
    password: &'static str,
    sequence: u32,
    random: u32,
    /// Nonce and how often it was used.
    nonce: Option<(String, u32)>,
}

impl Phone {
    fn request(&mut self, method: &str, to: &str, call_id: &str) -> Message {
        self.sequence += 1;
        self.random += 1;
        let (user, address) = (self.user, self.address);
        Message::request(method, &format!("sip:{to}@operator.test"))
            .with("Via", format!("SIP/2.0/UDP {address}:5060;branch=z9hG4bK{user}{};rport", self.random))
            .with("Max-Forwards", "70")
            .with("From", format!("<sip:{user}@operator.test>;tag={user}{call_id}"))
            .with("To", format!("<sip:{to}@operator.test>"))
            .with("Call-ID", call_id)
            .with("CSeq", format!("{} {method}", self.sequence))
            .with("Contact", format!("<sip:{user}@{address}:5060>"))
    }

    fn send(&mut self, town: &mut Town, message: &Message) {
        town.world.device(self.device).udp_send(self.socket, SERVER, &message.bytes());
    }

    /// The next message within ten seconds.
    fn next(&mut self, town: &mut Town) -> Option<Message> {
        let (device, socket) = (self.device, self.socket);
        let mut got = None;
        town.run(10_000, |world| {
            got = world.device(device).udp_receive(socket);
            got.is_some()
        });
        got.map(|(_, bytes)| Message::parse(&bytes).expect("a message"))
    }

    /// The next message that is wanted; others are passed over.
    fn expect(&mut self, town: &mut Town, wanted: &str) -> Message {
        for _ in 0..20 {
            let message = self.next(town).unwrap_or_else(|| panic!("{} waits for {wanted}", self.user));
            let what = match message.code() {
                Some(code) => format!("{code} {}", message.method()),
                None => message.method().to_string(),
            };
            if what == wanted {
                return message;
            }
        }
        panic!("{} does not hear {wanted}", self.user)
    }

    fn with_credentials(
        &mut self,
        mut request: Message,
        challenge: &Message,
        algorithm: Algorithm,
    ) -> Message {
        let proxy = challenge.code() == Some(407);
        let header = if proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        let all: Vec<_> = challenge.all(header).map(fields).collect();
        let own = all.iter().find(|one| field(one, "algorithm") == Some(algorithm.name())).expect("offered");
        let (realm, nonce) = (field(own, "realm").unwrap(), field(own, "nonce").unwrap().to_string());
        let count = match &mut self.nonce {
            Some((known, count)) if *known == nonce => {
                *count += 1;
                *count
            }
            other => {
                *other = Some((nonce.clone(), 1));
                1
            }
        };
        let uri = request.uri().to_string();
        let first = algorithm.hex(&format!("{}:{realm}:{}", self.user, self.password));
        let second = algorithm.hex(&format!("{}:{uri}", request.method()));
        let response = algorithm.hex(&format!("{first}:{nonce}:{count:08x}:abc:auth:{second}"));
        self.sequence += 1;
        self.random += 1;
        request.set("CSeq", format!("{} {}", self.sequence, request.method()));
        let (user, address) = (self.user, self.address);
        request.set("Via", format!("SIP/2.0/UDP {address}:5060;branch=z9hG4bK{user}{};rport", self.random));
        let name = if proxy { "Proxy-Authorization" } else { "Authorization" };
        let algorithm = algorithm.name();
        request.set(
            name,
            format!(
                r#"Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", algorithm={algorithm}, cnonce="abc", qop=auth, nc={count:08x}"#
            ),
        );
        request
    }

    fn register(&mut self, town: &mut Town) -> Message {
        let request = self.request("REGISTER", self.user, "registration").with("Expires", "600");
        self.send(town, &request);
        let challenge = self.expect(town, "401 REGISTER");
        let again = self.with_credentials(request, &challenge, Algorithm::Sha256);
        self.send(town, &again);
        self.expect(town, "200 REGISTER")
    }

    fn offer(&self) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\n",
            self.address
        )
    }

    /// Sends an INVITE with credentials; the one that counts.
    fn invite(&mut self, town: &mut Town, to: &str, call_id: &str) -> Message {
        let invite = self.request("INVITE", to, call_id).with_sdp(self.offer());
        self.send(town, &invite);
        let challenge = self.expect(town, "407 INVITE");
        self.acknowledge(town, &invite, &challenge);
        let invite = self.with_credentials(invite, &challenge, Algorithm::Md5);
        self.send(town, &invite);
        invite
    }

    fn acknowledge(&mut self, town: &mut Town, invite: &Message, response: &Message) {
        let good = response.code().is_some_and(|code| code < 300);
        let uri = if good { message::uri_of(response.header("Contact").unwrap()) } else { invite.uri() };
        let mut ack = self.within("ACK", uri, response);
        ack.set("CSeq", format!("{} ACK", invite.sequence()));
        if !good {
            ack.set("Via", invite.header("Via").unwrap());
        }
        self.send(town, &ack);
    }

    /// A request in the dialog that this response or request belongs to.
    fn within(&mut self, method: &str, uri: &str, of: &Message) -> Message {
        let ours = of.code().is_some();
        let (from, to) = if ours { ("From", "To") } else { ("To", "From") };
        let mut request = self.request(method, "x", of.header("Call-ID").unwrap());
        request.start = message::Start::Request { method: method.into(), uri: uri.into() };
        request.set("From", of.header(from).unwrap());
        request.set("To", of.header(to).unwrap());
        let mut routes: Vec<String> = of.all("Record-Route").map(Into::into).collect();
        if ours {
            routes.reverse();
        }
        for route in routes {
            request = request.with("Route", route);
        }
        request
    }

    fn answer(&mut self, town: &mut Town, request: &Message, code: u16) -> Message {
        let mut response = Message::response(request, code);
        for route in request.all("Record-Route") {
            response = response.with("Record-Route", route);
        }
        if request.to_tag().is_none() {
            let to = format!("{};tag=callee{}", request.header("To").unwrap(), self.user);
            response.set("To", to);
        }
        response = response.with("Contact", format!("<sip:{}@{}:5060>", self.user, self.address));
        if request.method() == "INVITE" && code == 200 {
            response = response.with_sdp(self.offer());
        }
        self.send(town, &response);
        response
    }

    fn sound(&mut self, town: &mut Town, to: SocketAddrV4, packet: &[u8]) {
        town.world.device(self.device).udp_send(self.sound, to, packet);
    }

    fn heard(&mut self, town: &mut Town) -> Vec<Vec<u8>> {
        let host = town.world.device(self.device);
        std::iter::from_fn(|| host.udp_receive(self.sound)).map(|(_, packet)| packet).collect()
    }
}

fn packet(payload: u8, sequence: u16, stamp: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload];
    packet.extend(sequence.to_be_bytes());
    packet.extend(stamp.to_be_bytes());
    packet.extend(77_u32.to_be_bytes());
    packet.extend(body);
    packet
}

#[test]
fn registrations_are_challenged_kept_and_fetched_and_wrong_passwords_refused() {
    let mut town = Town::new(1);
    let mut ann = town.phone(0, "5551", "one");
    let said = ann.register(&mut town);
    assert_eq!(parameter(said.header("Contact").unwrap(), "expires"), Some("600"));
    assert_eq!(town.operator.borrow().bindings(town.now, "5551").len(), 1);

    // A nonce that was used up is stale, and not a wrong password.
    town.operator.borrow_mut().faults.always_stale = true;
    let request = ann.request("REGISTER", "5551", "registration");
    ann.send(&mut town, &request);
    let challenge = ann.expect(&mut town, "401 REGISTER");
    assert!(!challenge.header("WWW-Authenticate").unwrap().contains("stale"));
    town.wait(10);
    let request = ann.with_credentials(request, &challenge, Algorithm::Md5);
    ann.send(&mut town, &request);
    assert!(ann.expect(&mut town, "401 REGISTER").header("WWW-Authenticate").unwrap().contains("stale=true"));
    town.operator.borrow_mut().faults.always_stale = false;

    let mut liar = town.phone(1, "5552", "guess");
    let request = liar.request("REGISTER", "5552", "registration");
    liar.send(&mut town, &request);
    let challenge = liar.expect(&mut town, "401 REGISTER");
    let request = liar.with_credentials(request, &challenge, Algorithm::Sha256);
    liar.send(&mut town, &request);
    liar.expect(&mut town, "403 REGISTER");
    assert!(town.operator.borrow().bindings(town.now, "5552").is_empty());
    town.wait(601_000);
    assert!(town.operator.borrow().bindings(town.now, "5551").is_empty(), "it was for ten minutes");
}

#[test]
fn the_echo_sends_sound_and_keys_back_and_every_key_is_heard_once() {
    let mut town = Town::new(2);
    let mut ann = town.phone(0, "5551", "one");
    let invite = ann.invite(&mut town, "600", "call1");
    let answer = ann.expect(&mut town, "200 INVITE");
    ann.acknowledge(&mut town, &invite, &answer);
    let described = Described::read(answer.sdp().unwrap()).unwrap();
    assert_eq!(described.payload("telephone-event"), Some(101));
    for number in 0..10 {
        ann.sound(&mut town, described.address, &packet(0, number, u32::from(number) * 160, &[0x55; 160]));
        town.wait(20);
    }
    for end in [0, 0, 0x80, 0x80, 0x80] {
        ann.sound(&mut town, described.address, &packet(101, 11, 1600, &[5, end | 10, 1, 0x90]));
    }
    town.wait(100);
    let heard = ann.heard(&mut town);
    assert_eq!(heard.len(), 15);
    assert!(heard[3][12..].iter().all(|byte| *byte == 0x55) && heard[3][8..12] != 77_u32.to_be_bytes());
    let bye = ann.within("BYE", message::uri_of(answer.header("Contact").unwrap()), &answer);
    ann.send(&mut town, &bye);
    ann.expect(&mut town, "200 BYE");
    town.wait(100);
    let heard = town.operator.borrow().heard();
    assert_eq!((heard[0].keys.as_str(), heard[0].packets, heard[0].samples.len()), ("5", 15, 1600));
    assert_eq!((heard[0].samples[7], town.operator.borrow().busy_with()), (from_mu(0x55), 0));
}

#[test]
fn the_time_is_spoken_in_packets_of_twenty_milliseconds_and_the_operator_hangs_up() {
    let mut town = Town::new(3);
    let mut ann = town.phone(0, "5551", "one");
    let invite = ann.invite(&mut town, "601", "call1");
    ann.expect(&mut town, "180 INVITE");
    let answer = ann.expect(&mut town, "200 INVITE");
    // The answer is repeated until it is acknowledged.
    ann.expect(&mut town, "200 INVITE");
    ann.acknowledge(&mut town, &invite, &answer);
    ann.heard(&mut town);
    let before = town.now;
    for _ in 0..3 {
        town.wait(1000);
        assert_eq!(ann.heard(&mut town).len(), 50);
    }
    let bye = loop {
        if let Some(message) = ann.next(&mut town)
            && message.method() == "BYE"
        {
            break message;
        }
        assert!(town.now.since(before) < Duration::from_secs(60));
    };
    ann.answer(&mut town, &bye, 200);
    town.wait(100);
    assert_eq!(town.operator.borrow().busy_with(), 0);
}

#[test]
fn who_calls_602_is_called_back_and_sees_the_number() {
    let mut town = Town::new(4);
    let mut ann = town.phone(0, "5551", "one");
    ann.register(&mut town);
    let invite = ann.invite(&mut town, "602", "call1");
    let answer = ann.expect(&mut town, "200 INVITE");
    ann.acknowledge(&mut town, &invite, &answer);
    let bye = ann.within("BYE", message::uri_of(answer.header("Contact").unwrap()), &answer);
    ann.send(&mut town, &bye);
    ann.expect(&mut town, "200 BYE");
    let call = ann.expect(&mut town, "INVITE");
    assert!(call.header("From").unwrap().starts_with("\"Call Back\" <sip:602@operator.test>"));
    ann.answer(&mut town, &call, 180);
    town.wait(2000);
    ann.answer(&mut town, &call, 200);
    ann.expect(&mut town, "ACK");
    let bye = ann.expect(&mut town, "BYE");
    ann.answer(&mut town, &bye, 200);
    town.wait(100);
    assert_eq!(town.operator.borrow().busy_with(), 0);
}

#[test]
fn subscribers_call_each_other_through_the_proxy_and_hang_up() {
    let mut town = Town::new(5);
    let (mut ann, mut bob) = (town.phone(0, "5551", "one"), town.phone(1, "5552", "two"));
    ann.register(&mut town);
    bob.register(&mut town);
    let invite = bob.invite(&mut town, "5559", "call1");
    let call = ann.expect(&mut town, "INVITE");
    assert_eq!(call.header("P-Asserted-Identity"), Some("\"Bob\" <sip:5552@operator.test>"));
    assert_eq!(call.header("Max-Forwards"), Some("69"));
    assert!(call.header("Proxy-Authorization").is_none(), "credentials are nobody else's business");
    ann.answer(&mut town, &call, 180);
    bob.expect(&mut town, "180 INVITE");
    let accepted = ann.answer(&mut town, &call, 200);
    let answer = bob.expect(&mut town, "200 INVITE");
    assert_eq!(answer.to_tag(), accepted.to_tag());
    bob.acknowledge(&mut town, &invite, &answer);
    ann.expect(&mut town, "ACK");
    // The one called hangs up.
    let bye = ann.within("BYE", message::uri_of(call.header("Contact").unwrap()), &call);
    ann.send(&mut town, &bye);
    let bye = bob.expect(&mut town, "BYE");
    bob.answer(&mut town, &bye, 200);
    ann.expect(&mut town, "200 BYE");
    town.wait(40_000);
    assert_eq!(town.operator.borrow().busy_with(), 0);

    // Busy, and given up.
    let invite = bob.invite(&mut town, "5551", "call2");
    let call = ann.expect(&mut town, "INVITE");
    ann.answer(&mut town, &call, 486);
    let busy = bob.expect(&mut town, "486 INVITE");
    bob.acknowledge(&mut town, &invite, &busy);
    let invite = bob.invite(&mut town, "5551", "call3");
    let call = ann.expect(&mut town, "INVITE");
    ann.answer(&mut town, &call, 180);
    bob.expect(&mut town, "180 INVITE");
    let mut cancel = bob.request("CANCEL", "5551", "call3");
    for name in ["Via", "From", "To"] {
        cancel.set(name, invite.header(name).unwrap());
    }
    cancel.set("CSeq", format!("{} CANCEL", invite.sequence()));
    bob.send(&mut town, &cancel);
    bob.expect(&mut town, "200 CANCEL");
    let cancelled = ann.expect(&mut town, "CANCEL");
    assert_eq!(cancelled.branch(), call.branch());
    ann.answer(&mut town, &cancelled, 200);
    ann.answer(&mut town, &call, 487);
    bob.expect(&mut town, "487 INVITE");
    let nobody = bob.invite(&mut town, "777", "call4");
    let refused = bob.expect(&mut town, "404 INVITE");
    bob.acknowledge(&mut town, &nobody, &refused);
}

#[test]
fn waiting_messages_are_told_to_who_subscribed() {
    let mut town = Town::new(6);
    let mut ann = town.phone(0, "5551", "one");
    let request =
        ann.request("SUBSCRIBE", "5551", "watch").with("Event", "message-summary").with("Expires", "60");
    ann.send(&mut town, &request);
    let challenge = ann.expect(&mut town, "407 SUBSCRIBE");
    let request = ann.with_credentials(request, &challenge, Algorithm::Sha256);
    ann.send(&mut town, &request);
    ann.expect(&mut town, "200 SUBSCRIBE");
    let notify = ann.expect(&mut town, "NOTIFY");
    assert!(notify.body.starts_with(b"Messages-Waiting: no"));
    ann.answer(&mut town, &notify, 200);
    let invite = ann.invite(&mut town, "604", "call1");
    let answer = ann.expect(&mut town, "200 INVITE");
    ann.acknowledge(&mut town, &invite, &answer);
    let notify = ann.expect(&mut town, "NOTIFY");
    assert!(String::from_utf8_lossy(&notify.body).contains("Messages-Waiting: yes"));
    assert!(String::from_utf8_lossy(&notify.body).contains("Voice-Message: 1/0"));
}

#[test]
fn faults_are_as_ordered() {
    let mut town = Town::new(7);
    let mut ann = town.phone(0, "5551", "one");
    let request = ann.request("REGISTER", "5551", "registration");
    town.operator.borrow_mut().faults.unavailable = Some(Some(120));
    ann.send(&mut town, &request);
    assert_eq!(ann.expect(&mut town, "503 REGISTER").header("Retry-After"), Some("120"));
    town.operator.borrow_mut().faults.unavailable = None;
    town.operator.borrow_mut().faults.shortest_registration = Some(900);
    let request = ann.request("REGISTER", "5551", "registration").with("Expires", "600");
    ann.send(&mut town, &request);
    let challenge = ann.expect(&mut town, "401 REGISTER");
    let request = ann.with_credentials(request, &challenge, Algorithm::Sha256);
    ann.send(&mut town, &request);
    assert_eq!(ann.expect(&mut town, "423 REGISTER").header("Min-Expires"), Some("900"));

    town.operator.borrow_mut().faults.slow = Duration::from_secs(3);
    let before = town.now;
    let request = ann.request("OPTIONS", "", "options");
    let request = Message { start: Message::request("OPTIONS", "sip:operator.test").start, ..request };
    ann.send(&mut town, &request);
    ann.expect(&mut town, "200 OPTIONS");
    assert!(town.now.since(before) >= Duration::from_secs(3));
    town.operator.borrow_mut().faults.slow = Duration::from_micros(0);

    for wrong in [Wrong::OtherBranch, Wrong::OtherMethod, Wrong::NoTag] {
        town.operator.borrow_mut().faults.wrong = Some(wrong);
        let request = ann.request("OPTIONS", "", "options");
        ann.send(&mut town, &request);
        assert!(ann.next(&mut town).is_some(), "{wrong:?}");
    }
    town.operator.borrow_mut().faults.wrong = None;
    let servers = town.operator.borrow().settings.servers.clone();
    town.operator.borrow_mut().faults.gone.extend(servers);
    let request = ann.request("REGISTER", "5551", "registration");
    ann.send(&mut town, &request);
    assert!(ann.next(&mut town).is_none(), "they are gone");
}

#[test]
fn over_tcp_the_same_connection_carries_calls_both_ways() {
    let mut town = Town::new(8);
    let device = town.world.devices().next().unwrap().0;
    let socket = town.world.device(device).tcp_connect(SERVER).unwrap();
    let address = town.world.device(device).address().unwrap();
    let text = |method: &str, more: &str| {
        format!(
            "{method} sip:operator.test SIP/2.0\r\nVia: SIP/2.0/TCP {address}:5060;branch=z9hG4bK{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:5551@operator.test>;tag=1\r\nTo: <sip:5551@operator.test>\r\nCall-ID: c\r\n\
             CSeq: 1 {method}\r\nContact: <sip:5551@{address}:5060;transport=tcp>\r\n{more}Content-Length: 0\r\n\r\n"
        )
    };
    town.operator.borrow_mut().settings.algorithms.clear();
    let mut to_send = b"\r\n\r\n".to_vec();
    to_send.extend(text("REGISTER", "").into_bytes());
    let (mut back, mut called) = (Vec::new(), false);
    let operator = town.operator.clone();
    let now = town.now;
    let done = town.run(20_000, |world| {
        let socket = world.device(device).tcp(socket);
        if socket.may_send() && !to_send.is_empty() {
            // In pieces, as networks like it.
            let piece = to_send.len().min(100);
            let sent = socket.send_slice(&to_send[..piece]).unwrap();
            to_send.drain(..sent);
        }
        while socket.can_recv() {
            back.extend(socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap());
        }
        let said = String::from_utf8_lossy(&back).into_owned();
        if said.contains("200 OK") && !std::mem::replace(&mut called, said.contains("200 OK")) {
            operator.borrow_mut().call(now, "602", "5551");
        }
        said.contains("INVITE sip:5551@")
    });
    let said = String::from_utf8_lossy(&back);
    assert!(done && said.starts_with("\r\nSIP/2.0 200 OK"), "{said}");
    assert!(said.contains("Contact: <sip:602@203.0.113.60;transport=tcp>"), "{said}");
}
