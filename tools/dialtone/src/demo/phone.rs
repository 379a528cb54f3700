//! The demo's telephones: an operator with two accounts, settings that know them, a socket for each line.
//!
//! The operator is `netsim`'s; the router registers with it over the simulated WAN like with any other. The sockets lie in a
//! folder of this user's, for the handset page and for `dialtone handset`, and go when the demo ends.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use dialtone_base::{Duration, Seed};
use dialtone_hal_api::line::LineDriver;
use dialtone_hal_linux::executor::Host as Executor;
use dialtone_hal_linux::handset::HandsetSocket;
use dialtone_hal_testkit::FakeFlash;
use dialtone_netsim::operator::{self, Operator, Subscriber};
use dialtone_settings::storage::{SETTINGS_RANGE, SettingsStore};
use dialtone_settings::tree::Settings;
use embassy_futures::block_on;

/// Number, password and name of the two accounts.
const ACCOUNTS: [(&str, &str, &str); 2] =
    [("5551", "red telephone", "Line One"), ("5552", "blue telephone", "Line Two")];

/// The operator, with both accounts. Its echo waits a little, so that a person hears that it is one.
pub fn operator(unix_at_start: u64, seed: Seed) -> Operator {
    let settings = operator::Settings {
        unix_at_start,
        echo_delay: Duration::from_millis(400),
        ..operator::Settings::default()
    };
    let subscribers = ACCOUNTS.map(|(number, password, name)| Subscriber::new(number, password, name));
    Operator::new(settings, subscribers.into(), seed)
}

/// Flash in which the household has entered its accounts.
///
/// # Errors
/// When the settings are refused or do not fit, which a change to them would have to mend.
pub fn flash_with_accounts(flash: FakeFlash) -> Result<FakeFlash, String> {
    let settings = settings()?;
    block_on(async {
        let mut store =
            SettingsStore::open(flash, SETTINGS_RANGE).await.map_err(|error| format!("{error:?}"))?;
        store.commit(1, &settings).await.map_err(|error| format!("{error:?}"))?;
        Ok(store.into_flash())
    })
}

fn settings() -> Result<Settings, String> {
    let accounts: Vec<String> = ACCOUNTS
        .iter()
        .map(|(number, password, name)| {
            format!(
                r#"{{ "name": "{name}", "domain": "operator.test", "numbers": ["{number}"], "auth_password": "{password}",
                     "display_name": "{name}" }}"#
            )
        })
        .collect();
    let lines: Vec<String> = (0..ACCOUNTS.len())
        .map(|account| {
            let (number, _, name) = ACCOUNTS[account];
            format!(r#"{{ "name": "{name}", "account": {account}, "incoming": ["{number}"] }}"#)
        })
        .collect();
    let telephony = serde_json::from_str(&format!(
        r#"{{ "digit_map": "60x|555x|x.T", "accounts": [{}], "lines": [{}] }}"#,
        accounts.join(","),
        lines.join(",")
    ));
    Ok(Settings { telephony: telephony.map_err(|error| error.to_string())?, ..Settings::default() })
}

/// The sockets of the lines. Removed when dropped.
pub struct Lines {
    /// First line first.
    pub sockets: Vec<PathBuf>,
    folder: PathBuf,
}

impl Lines {
    /// Opens a socket for every line and serves it.
    ///
    /// # Errors
    /// When there is no folder for them.
    pub fn open(executor: &Executor, drivers: &[LineDriver]) -> Result<Self, String> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = base.join(format!("dialtone-demo-{}", std::process::id()));
        let about = |error: std::io::Error| format!("sockets of the lines in {}: {error}", folder.display());
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(about)?;
        let mut sockets = Vec::new();
        for driver in drivers {
            let path = folder.join(format!("{}.sock", driver.info.name));
            let socket = HandsetSocket::open(&path).map_err(about)?;
            let (reactor, driver) = (executor.reactor(), driver.clone());
            executor.spawn(async move {
                // A listener that fails leaves its line without a handset, and the others as they are.
                let error = socket.run(&reactor, driver).await;
                eprintln!("dialtone: a line's socket: {error}");
            });
            sockets.push(path);
        }
        Ok(Self { sockets, folder })
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Only what was made here is in it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_demo_are_ones_that_the_router_takes() {
        let settings = settings().unwrap();
        assert_eq!(settings.telephony.accounts.len(), 2);
        assert_eq!(dialtone_settings::validate::validate(&settings), Ok(()));
        flash_with_accounts(FakeFlash::new(dialtone_netsim::board::FLASH_PAGES)).unwrap();
    }
}
