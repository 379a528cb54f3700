//! A home in virtual time: two telephones, two accounts, and a network that does what the test says.

extern crate std;

use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;

use dialtone_base::telephony::{CallId, Key, LineId, Number, Party, Presentation};
use dialtone_base::{Duration, Instant};

use crate::call_log::Entry;
use crate::calls::config::{Account, Numbering};
use crate::calls::{
    Alert, CallOrder, Cause, Config, Exchange, FeatureChange, Input, Line, LineEvent, LineOrder, Output,
    Progress, Rejected, RingPattern, Tone, TransferProgress, Voice,
};

pub(super) const ONE: LineId = LineId(0);
pub(super) const TWO: LineId = LineId(1);

/// What a telephone was told last.
#[derive(Clone, Debug, Default)]
pub(super) struct Phone {
    pub tone: Option<Tone>,
    pub ring: Option<(RingPattern, Party)>,
    pub with: Vec<Voice>,
    pub announced: usize,
    pub shown: Option<Party>,
    pub reversed: bool,
    pub lamp: bool,
    pub disconnects: usize,
}

/// What the carrier was told about a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    pub orders: Vec<CallOrder>,
    pub held: bool,
    pub over: bool,
}

pub(super) struct World {
    pub exchange: Exchange,
    pub now: Instant,
    pub phones: [Phone; LineId::LIMIT],
    pub calls: BTreeMap<u32, Carried>,
    pub log: Vec<Entry>,
    pub changes: Vec<FeatureChange>,
    /// Who began to talk, with whom, and whether they called.
    pub began: Vec<(LineId, Number, bool)>,
    next_in: u32,
}

pub(super) fn number(text: &str) -> Number {
    Number::lossy(text)
}

pub(super) fn party(text: &str) -> Party {
    Party { number: number(text), ..Party::default() }
}

pub(super) fn config() -> Config {
    let account = |own: &str| Account {
        enabled: true,
        numbers: [number(own)].into_iter().collect(),
        ..Account::default()
    };
    Config {
        emergency: ["110", "112"].into_iter().collect(),
        numbering: Numbering { country_code: "49", international_prefix: "00", national_prefix: "0" },
        accounts: [account("0305550100"), account("0305550200")].into_iter().collect(),
        ..Config::default()
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    /// Changes the usual home.
    pub(super) fn set(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        Self::with(config)
    }

    pub(super) fn with(config: Config) -> Self {
        let accounts = config.accounts.len() as u8;
        let mut world = Self {
            exchange: Exchange::new(Box::new(config)),
            now: Instant::from_secs(100),
            phones: Default::default(),
            calls: BTreeMap::new(),
            log: Vec::new(),
            changes: Vec::new(),
            began: Vec::new(),
            next_in: 0,
        };
        for account in 0..accounts {
            world.tell(Input::Registration { account, up: true });
        }
        world
    }

    pub(super) fn try_tell(&mut self, input: Input) -> Result<(), Rejected> {
        let result = self.exchange.handle(self.now, input);
        self.drain();
        result
    }

    pub(super) fn tell(&mut self, input: Input) {
        let shown = std::format!("{input:?}");
        assert_eq!(self.try_tell(input), Ok(()), "{shown}");
    }

    fn drain(&mut self) -> Option<Instant> {
        for _ in 0..1000 {
            match self.exchange.poll(self.now) {
                Output::Wait(deadline) => return deadline,
                output => self.obey(output),
            }
        }
        panic!("orders without end");
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Line { line, order } => {
                let phone = &mut self.phones[line.index()];
                match order {
                    LineOrder::Tone(tone) => phone.tone = Some(tone),
                    LineOrder::Silence => phone.tone = None,
                    LineOrder::Ring { pattern, caller } => {
                        assert!(phone.ring.is_none(), "rings twice");
                        phone.ring = Some((pattern, caller));
                    }
                    LineOrder::StopRing => assert!(phone.ring.take().is_some(), "stops what does not ring"),
                    LineOrder::CallWaiting { caller, again } => {
                        assert!(!phone.with.is_empty() || again || phone.tone.is_none());
                        phone.announced += 1;
                        phone.shown = Some(caller);
                    }
                    LineOrder::Disconnect => phone.disconnects += 1,
                    LineOrder::Polarity { reversed } => phone.reversed = reversed,
                    LineOrder::MessageWaiting(on) => phone.lamp = on,
                }
            }
            Output::Connect { line, with } => self.phones[line.index()].with = with.iter().copied().collect(),
            Output::Call { call, order } => {
                if let CallOrder::Dial { .. } = order {
                    assert!(call.0 % 2 == 1 && !self.calls.contains_key(&call.0), "{call} was there before");
                }
                let carried = self.calls.entry(call.0).or_default();
                assert!(!carried.over, "{call} is over: {order:?} after {:?}", carried.orders);
                match &order {
                    CallOrder::Hold => assert!(!core::mem::replace(&mut carried.held, true)),
                    CallOrder::Resume => assert!(core::mem::replace(&mut carried.held, false)),
                    CallOrder::HangUp | CallOrder::Reject(_) | CallOrder::Redirect(_) => carried.over = true,
                    _ => {}
                }
                carried.orders.push(order);
            }
            Output::Change(change) => self.changes.push(change),
            Output::Began { line, number, incoming } => self.began.push((line, number, incoming)),
            Output::Log { entry, .. } => {
                assert_eq!(entry.id as usize, self.log.len() + 1);
                self.log.push(entry);
            }
            Output::Wait(_) => unreachable!("handled before"),
        }
    }

    /// Time goes by, with everything that happens meanwhile at its own instant.
    pub(super) fn wait(&mut self, seconds: u64) {
        self.wait_for(Duration::from_secs(seconds));
    }

    pub(super) fn wait_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.drain().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
        }
        self.now = end;
        self.drain();
    }

    // --- people ---

    pub(super) fn lift(&mut self, line: LineId) {
        self.tell(Input::Line { line, event: LineEvent::OffHook });
    }

    pub(super) fn put_down(&mut self, line: LineId) {
        self.tell(Input::Line { line, event: LineEvent::OnHook });
    }

    pub(super) fn flash(&mut self, line: LineId) {
        self.tell(Input::Line { line, event: LineEvent::Flash });
    }

    pub(super) fn press(&mut self, line: LineId, keys: &str) {
        for key in keys.chars() {
            let event = LineEvent::Key(Key::from_char(key).unwrap());
            let _ = self.try_tell(Input::Line { line, event });
            self.now += Duration::from_millis(100);
        }
    }

    /// Lifts the receiver and dials; the call it made.
    pub(super) fn call(&mut self, line: LineId, digits: &str) -> CallId {
        self.lift(line);
        self.dial(line, digits)
    }

    pub(super) fn dial(&mut self, line: LineId, digits: &str) -> CallId {
        self.press(line, digits);
        if self.phones[line.index()].tone.is_none() {
            self.press(line, "#");
        }
        self.newest_out()
    }

    /// An answered call to this number.
    pub(super) fn talk_to(&mut self, line: LineId, digits: &str) -> CallId {
        let call = self.call(line, digits);
        self.tell(Input::Answered { call });
        call
    }

    // --- the network ---

    pub(super) fn incoming(&mut self, account: u8, called: &str, from: &str) -> CallId {
        self.incoming_from(account, called, party(from))
    }

    pub(super) fn incoming_from(&mut self, account: u8, called: &str, from: Party) -> CallId {
        self.next_in += 2;
        let call = CallId(self.next_in);
        let called = number(called);
        let alert = Alert::Normal;
        let _ = self.try_tell(Input::Incoming { call, account, called, from, alert, replaces: None });
        call
    }

    pub(super) fn anonymous(&mut self, account: u8, called: &str) -> CallId {
        let from = Party { presentation: Presentation::Withheld, ..party("0309999999") };
        self.incoming_from(account, called, from)
    }

    pub(super) fn rings_there(&mut self, call: CallId) {
        self.tell(Input::Progress { call, progress: Progress::Ringing });
    }

    pub(super) fn answered(&mut self, call: CallId) {
        self.tell(Input::Answered { call });
    }

    pub(super) fn ended(&mut self, call: CallId, cause: Cause) {
        self.calls.entry(call.0).or_default().over = true;
        self.tell(Input::Ended { call, cause });
    }

    pub(super) fn transfer(&mut self, call: CallId, progress: TransferProgress) {
        self.tell(Input::Transfer { call, progress });
    }

    // --- what is seen ---

    pub(super) fn newest_out(&self) -> CallId {
        CallId(self.calls.keys().copied().filter(|id| id % 2 == 1).max().expect("a call went out"))
    }

    pub(super) fn phone(&self, line: LineId) -> &Phone {
        &self.phones[line.index()]
    }

    pub(super) fn orders(&self, call: CallId) -> &[CallOrder] {
        self.calls.get(&call.0).map_or(&[], |carried| &carried.orders)
    }

    pub(super) fn last_order(&self, call: CallId) -> Option<&CallOrder> {
        self.orders(call).last()
    }

    pub(super) fn dialled(&self, call: CallId) -> (u8, &str) {
        match self.orders(call) {
            [CallOrder::Dial { account, to, .. }, ..] => (*account, to.as_str()),
            other => panic!("{call} is no outgoing call: {other:?}"),
        }
    }

    pub(super) fn line(&mut self, line: LineId, change: impl FnOnce(&mut Line)) {
        let mut config = Box::new(self.exchange.config().clone());
        change(&mut config.lines[line.index()]);
        self.tell(Input::Configure(config));
    }

    #[track_caller]
    pub(super) fn hears(&self, line: LineId, with: &[Voice]) {
        let phone = self.phone(line);
        assert_eq!(phone.with, with);
        assert_eq!(phone.tone, None, "a tone hides the voice");
    }

    #[track_caller]
    pub(super) fn hears_tone(&self, line: LineId, tone: Tone) {
        assert_eq!(self.phone(line).tone, Some(tone));
    }

    /// Everything is over: no call, no voice, no ring, no tone, nothing to wait for.
    #[track_caller]
    pub(super) fn is_quiet(&mut self) {
        assert_eq!(self.exchange.calls_in_progress(), 0);
        for phone in &self.phones {
            assert!(phone.tone.is_none() && phone.ring.is_none() && phone.with.is_empty(), "{phone:?}");
            assert!(!phone.reversed);
        }
        for (id, carried) in &self.calls {
            assert!(carried.over, "call {id} was never ended: {:?}", carried.orders);
        }
        assert_eq!(self.drain(), None, "a timer runs for nothing");
    }
}
