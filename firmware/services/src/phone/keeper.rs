//! What the telephone wants to be remembered: switched features, and the call log.
//!
//! Flash takes its time; the phone task must not. It leaves its wishes here, and [`run`], a task of its own, carries them out:
//! features become settings, calls become lines of the log, which outlives the power. A flash that fails costs the memory of calls,
//! never a call.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use dialtone_base::event::Event;
use dialtone_base::telephony::{CallId, Number};
use dialtone_hal_api::flash::SharedFlash;
use dialtone_phone::call_log::{self, CallLog, Entry};
use dialtone_phone::calls::{Feature, FeatureChange};
use dialtone_settings::storage::{CALLS_RANGE, FlashMap};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use heapless::Deque;

use crate::media::Quality;
use crate::settings::{Request, SettingsControl};
use crate::state::RouterState;

/// Wishes that may wait.
const WAITING: usize = 16;
/// Longest entry in flash.
const RECORD: usize = 256;

/// The wishes.
pub struct PhoneKeeper {
    wishes: Channel<CriticalSectionRawMutex, Wish, WAITING>,
    restored: Signal<CriticalSectionRawMutex, ()>,
}

#[allow(clippy::large_enum_variant)]
enum Wish {
    Change(FeatureChange),
    Log(Option<CallId>, Entry),
    Rate(CallId, Quality),
}

impl PhoneKeeper {
    /// Made once, for the lifetime of the program.
    pub fn leak() -> &'static Self {
        Box::leak(Box::new(Self { wishes: Channel::new(), restored: Signal::new() }))
    }

    /// Waits until the call log is what flash remembers.
    pub(super) async fn restored(&self) {
        self.restored.wait().await;
    }

    /// A feature was switched at a telephone.
    pub(super) fn change(&self, change: FeatureChange) {
        self.wish(Wish::Change(change));
    }

    /// A call is over.
    pub(super) fn log(&self, call: Option<CallId>, entry: Entry) {
        self.wish(Wish::Log(call, entry));
    }

    /// How a call sounded.
    pub(super) fn rate(&self, call: CallId, quality: Quality) {
        self.wish(Wish::Rate(call, quality));
    }

    fn wish(&self, wish: Wish) {
        if self.wishes.try_send(wish).is_err() {
            dialtone_base::warn!("phone: flash is slower than the telephone; a note is lost");
        }
    }
}

/// Restores the call log, then carries out wishes. Never ends.
pub async fn run(
    flash: SharedFlash,
    keeper: &'static PhoneKeeper,
    control: &'static SettingsControl,
    state: &'static RouterState,
) -> ! {
    let mut map = FlashMap::open(flash, CALLS_RANGE).await.ok();
    restore(&mut map, state).await;
    keeper.restored.signal(());
    let mut told = false;
    // Calls whose sound is reported a moment after they ended.
    let mut lately: Deque<(CallId, u32), 8> = Deque::new();
    loop {
        match keeper.wishes.receive().await {
            Wish::Change(change) => change_settings(&change, control, state).await,
            Wish::Log(call, entry) => {
                if let Some(call) = call {
                    if lately.is_full() {
                        lately.pop_front();
                    }
                    let _ = lately.push_back((call, entry.id));
                }
                let kept = store(&mut map, &entry).await;
                if !kept && !told {
                    state.note(Event::FlashTrouble {
                        what: "does not keep the call log: a restart will forget it",
                    });
                }
                told = !kept;
                critical_section::with(|token| state.call_log.borrow_ref_mut(token).add(entry));
            }
            Wish::Rate(call, quality) => {
                let Some((_, id)) = lately.iter().find(|(other, _)| *other == call) else { continue };
                let rated = critical_section::with(|token| {
                    let mut log = state.call_log.borrow_ref_mut(token);
                    log.rate(*id, heard(&quality));
                    log.iter().find(|entry| entry.id == *id).cloned()
                });
                if let Some(entry) = rated {
                    // The entry itself is kept already.
                    let _ = store(&mut map, &entry).await;
                }
            }
        }
    }
}

/// What flash remembers, in its order.
async fn restore(map: &mut Option<FlashMap<SharedFlash>>, state: &RouterState) {
    let mut entries: Vec<Entry> = Vec::new();
    if let Some(map) = map {
        // Unreadable entries are skipped; they will be overwritten.
        let _ = map
            .for_each(|_, bytes| {
                if let Ok(entry) = postcard::from_bytes::<Entry>(bytes) {
                    entries.retain(|other| other.id != entry.id);
                    entries.push(entry);
                }
            })
            .await;
    }
    entries.sort_by_key(|entry| entry.id);
    let mut log = CallLog::new();
    // Older ones than the log holds were overwritten in its place; newer values come last.
    for entry in entries {
        log.add(entry);
    }
    critical_section::with(|token| *state.call_log.borrow_ref_mut(token) = log);
}

/// Entries take turns in as many places as the log holds.
async fn store(map: &mut Option<FlashMap<SharedFlash>>, entry: &Entry) -> bool {
    let Some(map) = map else { return false };
    let mut bytes = [0; RECORD];
    let Ok(bytes) = postcard::to_slice(entry, &mut bytes) else { return false };
    let place = entry.id % call_log::ENTRIES as u32;
    map.store(place as u16, bytes).await.is_ok()
}

/// What of a call's quality is kept.
fn heard(quality: &Quality) -> call_log::Quality {
    let packets = u64::from(quality.received) + u64::from(quality.lost);
    call_log::Quality {
        mos_hundredths: quality.opinion,
        loss: (u64::from(quality.lost) * 10_000).checked_div(packets).unwrap_or(0) as u16,
        round_trip: quality.round_trip.unwrap_or(0),
        jitter: quality.jitter,
    }
}

async fn change_settings(change: &FeatureChange, control: &SettingsControl, state: &RouterState) {
    let (field, value) = setting(&change.feature);
    let path = format!("telephony.lines.{}.{field}", change.line.0);
    let request = match value {
        Some(value) => Request::Set { path, value },
        None => Request::Reset { path },
    };
    if let Err(fault) = control.ask(request).await {
        dialtone_base::warn!("phone: the feature is on until the next start only: {fault}");
        state.note(Event::FlashTrouble { what: "a feature switched at the telephone could not be kept" });
    }
}

/// The field of a line and its value; `None` for its default.
fn setting(feature: &Feature) -> (&'static str, Option<String>) {
    let switch = |on: bool| Some(on.to_string());
    let number = |number: &Option<Number>| number.as_ref().map(|number| format!("{:?}", number.as_str()));
    match feature {
        Feature::CallWaiting(on) => ("call_waiting", switch(*on)),
        Feature::DoNotDisturb(on) => ("do_not_disturb", switch(*on)),
        Feature::ForwardAlways(to) => ("forward_always", number(to)),
        Feature::ForwardBusy(to) => ("forward_busy", number(to)),
        Feature::ForwardNoAnswer(to) => ("forward_no_answer", number(to)),
        Feature::WithholdNumber(on) => ("withhold_number", switch(*on)),
        Feature::RejectAnonymous(on) => ("reject_anonymous", switch(*on)),
    }
}
