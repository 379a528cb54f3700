//! Keeps the settings: reads them at start, changes them on request, tells everybody, writes them to flash.
//!
//! [`SettingsControl`] is what the console and the web API hold: one request at a time, each answered with what came of it.
//! The service alone owns the engine and its range of flash. A flash that fails costs the memory of changes, never the
//! router: the tree in force stays in force and the trouble is told.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use dialtone_base::Instant;
use dialtone_base::event::Event;
use dialtone_base::text::Text;
use dialtone_hal_api::flash::SharedFlash;
use dialtone_settings::json;
use dialtone_settings::storage::{Origin, SETTINGS_RANGE, SettingsStore};
use dialtone_settings::tree::Settings;
use dialtone_settings::trial::{Applied, Engine, Input, Output, Rejected};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::mutex::Mutex;

use crate::state::{RouterState, now, wait_until};

/// Somebody's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// This file, as JSON, instead of everything.
    Import(String),
    /// One field.
    Set {
        /// Its path.
        path: String,
        /// JSON, a word, or words with commas.
        value: String,
    },
    /// A field back to its default, an entry out of its list, everything with an empty path.
    Reset {
        /// Its path.
        path: String,
    },
    /// The change on trial works.
    Confirm,
    /// The change on trial does not.
    Revert,
}

/// What came of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The revision in force now.
    pub revision: u32,
    /// When it goes back unless confirmed; `None` when it is final.
    pub trial_ends: Option<Instant>,
    /// It is not in flash (yet): it would be lost with the power.
    pub unsaved: bool,
}

/// An answer: what came of it, or the faults in words, one a line.
pub type Answer = Result<Accepted, String>;

/// The door to the settings service.
pub struct SettingsControl {
    turn: Mutex<CriticalSectionRawMutex, ()>,
    requests: Channel<CriticalSectionRawMutex, Request, 1>,
    answers: Channel<CriticalSectionRawMutex, Answer, 1>,
}

impl SettingsControl {
    /// Made once, for the lifetime of the program.
    pub fn leak() -> &'static Self {
        Box::leak(Box::new(Self { turn: Mutex::new(()), requests: Channel::new(), answers: Channel::new() }))
    }

    /// Asks and waits for the answer; others wait their turn.
    ///
    /// # Errors
    /// The faults in words. Nothing was changed then.
    pub async fn ask(&self, request: Request) -> Answer {
        let _turn = self.turn.lock().await;
        // An answer left by somebody who did not wait for it is not ours.
        self.answers.clear();
        self.requests.send(request).await;
        self.answers.receive().await
    }
}

/// Runs the settings engine on `flash`; never ends.
pub async fn run(flash: SharedFlash, control: &'static SettingsControl, state: &'static RouterState) -> ! {
    let (mut store, settings, revision) = read(flash, state).await;
    let mut engine = Engine::new(settings, revision);
    state.settings.sender().send(Arc::new(engine.settings().clone()));
    let mut told = tell_unknown_ports(state, &[], engine.settings());
    loop {
        let deadline = drain(&mut engine, &mut store, state).await;
        match select(control.requests.receive(), wait_until(deadline)).await {
            Either::First(request) => {
                let result = input_for(&engine, request)
                    .and_then(|input| engine.handle(now(), input).map_err(|rejected| words(&rejected)));
                drain(&mut engine, &mut store, state).await;
                let accepted = Accepted {
                    revision: engine.revision(),
                    trial_ends: engine.trial_deadline(),
                    unsaved: engine.is_unsaved(),
                };
                control.answers.send(result.map(|()| accepted)).await;
                told = tell_unknown_ports(state, &told, engine.settings());
            }
            Either::Second(()) => {}
        }
    }
}

/// What flash holds, or factory settings; what was wrong is told.
async fn read(
    flash: SharedFlash,
    state: &RouterState,
) -> (Option<SettingsStore<SharedFlash>>, Box<Settings>, u32) {
    let mut store = match SettingsStore::open(flash, SETTINGS_RANGE).await {
        Ok(store) => store,
        Err(_) => {
            state.note(Event::FlashTrouble {
                what: "does not work: factory settings, and changes will not be kept",
            });
            return (None, Box::default(), 0);
        }
    };
    match store.load().await {
        Ok(loaded) => {
            let what = match loaded.origin {
                Origin::Newest | Origin::FirstStart => None,
                Origin::LastGood => Some("the newest settings were damaged: the ones before are in force"),
                Origin::Damaged => Some("the settings were damaged: factory settings are in force"),
            };
            let newer = (loaded.newer_sections > 0)
                .then_some("holds settings of newer firmware: kept, but not in force");
            for what in [what, newer].into_iter().flatten() {
                state.note(Event::FlashTrouble { what });
            }
            (Some(store), loaded.settings, loaded.revision)
        }
        Err(_) => {
            state.note(Event::FlashTrouble { what: "cannot be read: factory settings are in force" });
            (Some(store), Box::default(), 0)
        }
    }
}

/// Does what the engine says until it waits; when it wants to be asked again.
async fn drain(
    engine: &mut Engine,
    store: &mut Option<SettingsStore<SharedFlash>>,
    state: &RouterState,
) -> Option<Instant> {
    loop {
        match engine.poll(now()) {
            Output::Apply(applied) => {
                state.note(match applied {
                    Applied::Final { revision } => Event::SettingsApplied { revision, trial: false },
                    Applied::OnTrial { revision, .. } => Event::SettingsApplied { revision, trial: true },
                    Applied::Reverted { revision } => Event::SettingsReverted { revision },
                });
                state.settings.sender().send(Arc::new(engine.settings().clone()));
            }
            Output::Store { revision } => {
                let ok = match store {
                    Some(store) => store.commit(revision, engine.settings()).await.is_ok(),
                    None => false,
                };
                if !ok {
                    state.note(Event::FlashTrouble {
                        what: "the change could not be kept: it is lost with the power",
                    });
                }
                // Refused only while outputs wait, which cost another round here.
                let _ = engine.handle(now(), Input::Stored { ok, revision });
            }
            Output::Wait(deadline) => return deadline,
        }
    }
}

/// Only the board knows its ports: tells names that lend nothing, once each. Those that are wrong now.
fn tell_unknown_ports(state: &RouterState, told: &[Text<15>], settings: &Settings) -> Vec<Text<15>> {
    let unknown: Vec<_> = state.unknown_guest_ports(settings).cloned().collect();
    for name in unknown.iter().filter(|name| !told.contains(name)) {
        state.note(Event::NoSuchPort { name: name.clone() });
    }
    unknown
}

fn input_for(engine: &Engine, request: Request) -> Result<Input, String> {
    let tree = match request {
        Request::Import(text) => json::import_over(engine.settings(), &text),
        Request::Set { path, value } => json::with_value(engine.settings(), &path, &value),
        Request::Reset { path } => json::without_value(engine.settings(), &path),
        Request::Confirm => return Ok(Input::Confirm),
        Request::Revert => return Ok(Input::Revert),
    };
    tree.map(Input::Propose).map_err(|refused| refused.to_string())
}

fn words(rejected: &Rejected) -> String {
    rejected.to_string()
}
