//! From the settings tree to a DHCP server's configuration.

use dialtone_base::text::Text;
use dialtone_base::{Duration, Zone};
use dialtone_dhcp4::server::{Reservation, ServerConfig};
use dialtone_settings::tree::Settings;

use crate::state::WanStatus;

/// No lease is shorter, whatever a client asks for.
const SHORTEST: Duration = Duration::from_secs(120);
/// Clients may ask for this much, or for what the settings say when that is longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The configuration of one zone's server with a table of `capacity` addresses; `None` when it is to be off. A pool too
/// large for the table is cut at its end.
pub(super) fn server_config(
    settings: &Settings,
    wan: &WanStatus,
    zone: Zone,
    capacity: usize,
) -> Option<ServerConfig> {
    let (network, pool) = match zone {
        Zone::Lan => (settings.lan.address, &settings.lan.dhcp),
        Zone::Guest => (settings.guest.address, &settings.guest.dhcp),
        Zone::Wan => return None,
    };
    if zone == Zone::Guest && !settings.guest.enabled {
        return None;
    }
    let (first, last) = pool.range(network)?;
    let mut config = ServerConfig::home(zone, network);
    let ends = [network.network(), network.broadcast(), network.address()];
    config.reservations = settings
        .reservations
        .iter()
        .filter(|kept| network.contains(kept.address) && !ends.contains(&kept.address))
        .map(|kept| Reservation { mac: kept.mac, address: kept.address, name: kept.name.clone() })
        .collect();
    let outside = config.reservations.iter().filter(|kept| !(first..=last).contains(&kept.address)).count();
    let room = u32::try_from(capacity.saturating_sub(outside + 1)).unwrap_or(u32::MAX);
    config.first = first;
    config.last = last.min(first.to_bits().saturating_add(room).into());
    config.lease = Duration::from_secs(pool.lease_seconds.into()).max(SHORTEST);
    config.shortest_lease = SHORTEST;
    config.longest_lease = LONGEST.max(config.lease);
    config.domain = Text::new();
    if zone == Zone::Lan {
        config.domain = settings.lan.domain.clone();
        config.captive_portal = Text::lossy(settings.lan.captive_portal_uri.as_deref().unwrap_or_default());
    }
    // Those the household named by address, else the operator's: the router itself serves no time yet.
    let named = settings.system.ntp_servers.iter().filter_map(|server| server.parse().ok());
    config.time_servers = named.take(config.time_servers.capacity()).collect();
    if config.time_servers.is_empty() {
        config.time_servers = wan.ntp.iter().copied().take(config.time_servers.capacity()).collect();
    }
    Some(config)
}
