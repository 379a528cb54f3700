//! Facts about a network interface, and bringing it up: the old ioctls.
//!
//! Addresses and links changes are netlink's ([`crate::netlink`]). Names are as in `ip link`, at most 15 bytes.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use dialtone_base::MacAddress;

/// What is known about an interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The kernel's number for it.
    pub index: i32,
    /// Its hardware address.
    pub mac: MacAddress,
    /// Longest IP packet.
    pub mtu: u16,
    /// The kernel driver, e.g. `veth`, `virtio_net`, `tun`; empty when it has none.
    pub driver: String,
}

impl Interface {
    /// Looks an interface up in this network namespace.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name; `InvalidInput` when it is no Ethernet interface.
    pub fn find(name: &str) -> io::Result<Self> {
        let socket = control_socket()?;
        let mut request = request(name)?;
        let index = match ioctl(&socket, libc::SIOCGIFINDEX, &mut request) {
            // SAFETY: SIOCGIFINDEX filled this member.
            Ok(()) => unsafe { request.ifr_ifru.ifru_ifindex },
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("there is no interface {name}; `ip link` lists them"),
                ));
            }
            Err(error) => return Err(error),
        };
        ioctl(&socket, libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: SIOCGIFHWADDR filled this member.
        let hardware = unsafe { request.ifr_ifru.ifru_hwaddr };
        if hardware.sa_family != libc::ARPHRD_ETHER {
            let text = format!("{name} is no Ethernet interface");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut mac = [0; 6];
        mac.iter_mut().zip(hardware.sa_data).for_each(|(to, from)| *to = from as u8);
        ioctl(&socket, libc::SIOCGIFMTU, &mut request)?;
        // SAFETY: SIOCGIFMTU filled this member.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(Self {
            name: name.to_owned(),
            index,
            mac: MacAddress(mac),
            mtu: u16::try_from(mtu).unwrap_or(u16::MAX),
            driver: driver(&socket, name),
        })
    }

    /// Whether it is up with a carrier.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn is_running(&self) -> io::Result<bool> {
        let flags = self.flags()?;
        Ok(flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0)
    }

    /// Whether it is administratively up.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn is_up(&self) -> io::Result<bool> {
        Ok(self.flags()? & libc::IFF_UP != 0)
    }

    /// Sets it up or down.
    ///
    /// # Errors
    /// Without the right to (CAP_NET_ADMIN), or when it is gone.
    pub fn set_up(&self, up: bool) -> io::Result<()> {
        let socket = control_socket()?;
        let flags = self.flags()?;
        let flags = if up { flags | libc::IFF_UP } else { flags & !libc::IFF_UP };
        let mut request = request(&self.name)?;
        request.ifr_ifru.ifru_flags = flags as i16;
        ioctl(&socket, libc::SIOCSIFFLAGS, &mut request)
    }

    fn flags(&self) -> io::Result<i32> {
        let mut request = request(&self.name)?;
        ioctl(&control_socket()?, libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: SIOCGIFFLAGS filled this member.
        Ok(i32::from(unsafe { request.ifr_ifru.ifru_flags }) & 0xffff)
    }
}

/// A request about `name`, all else zero.
pub(crate) fn request(name: &str) -> io::Result<libc::ifreq> {
    let too_long = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} is no interface name; `ip link` lists them"),
        )
    };
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || CString::new(name).is_err() {
        return Err(too_long());
    }
    // SAFETY: all zeros is a valid ifreq: it holds numbers and unions of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from as libc::c_char);
    Ok(request)
}

fn ioctl(socket: &OwnedFd, number: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: each caller passes a number whose argument is an ifreq.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number as _, std::ptr::from_mut(request)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn control_socket() -> io::Result<OwnedFd> {
    socket(libc::AF_INET, libc::SOCK_DGRAM, 0)
}

/// A close-on-exec socket.
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers are passed.
    let descriptor = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system just handed out this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// The kernel driver's name from ETHTOOL_GDRVINFO, empty when it does not say.
fn driver(socket: &OwnedFd, name: &str) -> String {
    const GET_DRIVER_INFO: u32 = 3;
    /// `struct ethtool_drvinfo`: the command, then the driver's name in 32 bytes, then more.
    #[repr(C)]
    struct DriverInfo {
        command: u32,
        driver: [u8; 32],
        rest: [u8; 160],
    }
    let mut info = DriverInfo { command: GET_DRIVER_INFO, driver: [0; 32], rest: [0; 160] };
    let Ok(mut request) = request(name) else { return String::new() };
    request.ifr_ifru.ifru_data = std::ptr::from_mut(&mut info).cast();
    if ioctl(socket, libc::SIOCETHTOOL, &mut request).is_err() {
        return String::new();
    }
    let end = info.driver.iter().position(|byte| *byte == 0).unwrap_or(info.driver.len());
    String::from_utf8_lossy(&info.driver[..end]).into_owned()
}

/// Sets a socket option that takes a plain value.
pub(crate) fn set_option<T: Copy>(socket: &OwnedFd, level: i32, option: i32, value: T) -> io::Result<()> {
    // SAFETY: the pointer and size describe `value`, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(&value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_interface_is_named_and_loopback_is_no_ethernet() {
        let error = Interface::find("nosuch0").unwrap_err();
        assert_eq!(error.to_string(), "there is no interface nosuch0; `ip link` lists them");
        assert_eq!(Interface::find("lo").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(Interface::find("a-name-that-is-too-long").is_err());
    }
}
