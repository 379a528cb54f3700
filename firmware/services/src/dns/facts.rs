//! Settings, WAN status and the names of devices in the words of the DNS engine.

use alloc::vec::Vec;
use core::net::SocketAddrV4;

use dialtone_base::Zone;
use dialtone_dns::{Config, LocalName, Network, UPSTREAMS};
use dialtone_settings::tree::Settings;

use super::PORT;
use crate::state::{HomeName, WanStatus};

/// The home's domain, networks, and what may lead into them.
pub(super) fn config(settings: &Settings) -> Config {
    let mut config = Config {
        domain: settings.lan.domain.clone(),
        router: settings.system.hostname.clone(),
        rebind_protection: settings.dns.rebind_protection,
        rebind_allowed: settings.dns.rebind_allow.iter().cloned().collect(),
        ..Config::default()
    };
    // There is room for both: NETWORKS is four.
    let _ = config.networks.push(Network { zone: Zone::Lan, prefix: settings.lan.address });
    if settings.guest.enabled {
        let _ = config.networks.push(Network { zone: Zone::Guest, prefix: settings.guest.address });
    }
    config
}

/// The household's choice, else the operator's; nobody while the WAN is down.
pub(super) fn upstreams(settings: &Settings, wan: &WanStatus) -> heapless::Vec<SocketAddrV4, UPSTREAMS> {
    if wan.address.is_none() {
        return heapless::Vec::new();
    }
    let chosen = settings.dns.upstreams.as_slice();
    let servers = if chosen.is_empty() { wan.dns.as_slice() } else { chosen };
    // Asking ourselves would go round and round.
    let own = [settings.lan.address.address(), settings.guest.address.address()];
    let others = servers.iter().filter(|server| !own.contains(server));
    others.take(UPSTREAMS).map(|address| SocketAddrV4::new(*address, PORT)).collect()
}

/// The names of the home's devices.
pub(super) fn names(names: &[HomeName]) -> Vec<LocalName> {
    let local =
        |name: &HomeName| LocalName { name: name.label.clone(), address: name.address, zone: name.zone };
    names.iter().map(local).collect()
}
