//! Which way to an interface: asked for, or the best that works there.

use std::fmt;
use std::io;
use std::str::FromStr;

use dialtone_base::text::Text;
use dialtone_base::{FramePool, MacAddress, Zone, warn};
use dialtone_hal_api::port::{PortDriver, PortInfo};
use embassy_futures::select::select;

use super::packet::PacketPort;
use super::tap::TapPort;
use super::xdp::XdpPort;
use super::{Drops, run};
use crate::custody::Custody;
use crate::executor::Reactor;
use crate::interface::Interface;
use crate::netlink::watch_link;

/// How to reach interfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// The best that works, per interface.
    #[default]
    Auto,
    /// AF_XDP.
    Xdp,
    /// AF_PACKET.
    Packet,
    /// TAP devices, made by us.
    Tap,
}

/// A port that was opened.
pub struct Opened {
    /// What is fixed about it.
    pub info: PortInfo,
    /// The interface; `None` for a TAP device, whose kernel side is somebody else's end of the cable.
    pub interface: Option<Interface>,
    /// The way that was taken.
    pub backend: Chosen,
    /// Why, for people.
    pub why: String,
}

/// The backend that was chosen.
#[expect(clippy::large_enum_variant, reason = "one per port, moved once")]
pub enum Chosen {
    /// AF_XDP.
    Xdp(XdpPort),
    /// AF_PACKET.
    Packet(PacketPort),
    /// TAP.
    Tap(TapPort),
}

/// Opens the interface `name` for `zone` and takes it into custody.
///
/// # Errors
/// With a text for people: what is missing and what to do.
pub fn open(driver: Driver, name: &str, zone: Zone, custody: &mut Custody) -> io::Result<Opened> {
    let explain = |error: io::Error| explain(name, error);
    let info = |mac, mtu| PortInfo { name: Text::from(name), zone, mac, mtu, segmentation: true };
    if driver == Driver::Tap {
        let backend = TapPort::open(name).map_err(explain)?;
        let interface = Interface::find(name).map_err(explain)?;
        // It may have been moved to a container that brings it up itself.
        let _ = interface.set_up(true);
        return Ok(Opened {
            info: info(own_address(name), interface.mtu),
            interface: None,
            backend: Chosen::Tap(backend),
            why: "as asked".into(),
        });
    }
    let interface = Interface::find(name)?;
    // First, because it also brings the interface up, which AF_XDP wants.
    custody.take(&interface).map_err(explain)?;
    let (backend, why) = match driver {
        Driver::Xdp => {
            let port = XdpPort::open(&interface).map_err(explain)?;
            let path = if port.is_native() { "in its driver" } else { "in the kernel's generic path" };
            (Chosen::Xdp(port), format!("as asked, {path}"))
        }
        Driver::Packet => {
            (Chosen::Packet(PacketPort::open(&interface).map_err(explain)?), "as asked".to_owned())
        }
        _ => best(&interface).map_err(explain)?,
    };
    Ok(Opened { info: info(interface.mac, interface.mtu), interface: Some(interface), backend, why })
}

impl Opened {
    /// The port's runner and its link's, until the interface is lost. A task of its own.
    pub async fn run(self, reactor: Reactor, driver: PortDriver, pool: &'static FramePool, drops: Drops) {
        let name = self.info.name;
        let link = async {
            // A TAP device's carrier is we ourselves.
            let Some(interface) = &self.interface else { return driver.link.set(true) };
            if let Err(error) = watch_link(&reactor, interface, |up| driver.link.set(up)).await {
                warn!("{name}: its link is not watched any more: {error}");
            }
        };
        let frames = async {
            let error = match self.backend {
                Chosen::Xdp(backend) => run(backend, &reactor, &driver, pool, &drops).await,
                Chosen::Packet(backend) => run(backend, &reactor, &driver, pool, &drops).await,
                Chosen::Tap(backend) => run(backend, &reactor, &driver, pool, &drops).await,
            };
            warn!("port {name} stopped: {error}");
        };
        // Whichever way the interface is lost, its link is down for good.
        select(link_for_ever(link), frames).await;
        driver.link.set(false);
    }
}

/// A TAP device has no link to watch, and a watch that failed ends; neither ends the port.
async fn link_for_ever(link: impl Future<Output = ()>) {
    link.await;
    std::future::pending().await
}

/// AF_XDP where the driver itself does it and checksums are whole, else AF_PACKET.
fn best(interface: &Interface) -> io::Result<(Chosen, String)> {
    let reason = if interface.driver == "veth" {
        "a veth peer leaves checksums to others and sends super-frames, which AF_XDP loses".to_owned()
    } else {
        match XdpPort::open(interface) {
            Ok(port) if port.is_native() => return Ok((Chosen::Xdp(port), "its driver does XDP".into())),
            Ok(_) => "its driver does no XDP".to_owned(),
            Err(error) => format!("no AF_XDP there: {error}"),
        }
    };
    Ok((Chosen::Packet(PacketPort::open(interface)?), reason))
}

impl Chosen {
    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Xdp(_) => "AF_XDP",
            Self::Packet(_) => "AF_PACKET",
            Self::Tap(_) => "TAP",
        }
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "xdp" => Ok(Self::Xdp),
            "packet" => Ok(Self::Packet),
            "tap" => Ok(Self::Tap),
            _ => Err("one of: auto, xdp, packet, tap".into()),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Xdp => "xdp",
            Self::Packet => "packet",
            Self::Tap => "tap",
        })
    }
}

fn explain(name: &str, error: io::Error) -> io::Error {
    let text = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let program = std::env::current_exe().unwrap_or_else(|_| "dialtone".into());
            format!(
                "no right to open {name}: run as root, or give the program the rights it needs:\n  \
                 sudo setcap cap_net_admin,cap_net_raw,cap_bpf+ep {}",
                program.display()
            )
        }
        io::ErrorKind::ResourceBusy => format!("{name} is in use by another program"),
        _ => format!("{name}: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// An address of our own for our end of a TAP device: locally administered, the same at every start.
fn own_address(name: &str) -> MacAddress {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    MacAddress([0x02, a, b, c, d, e])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_end_of_a_tap_is_a_station_of_its_own() {
        let (lan, wan) = (own_address("lan0"), own_address("wan0"));
        assert!(lan != wan && lan.is_local() && lan.is_station());
    }

    #[test]
    fn a_missing_right_comes_with_what_to_do() {
        let text = explain("eth0", io::Error::from_raw_os_error(libc::EPERM)).to_string();
        assert!(text.contains("setcap") && text.contains("eth0"), "{text}");
    }
}
