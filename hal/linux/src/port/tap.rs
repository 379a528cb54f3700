//! A port on a TAP device: one system call per frame, virtio headers both ways.
//!
//! The device is made if it does not exist, and goes when the port closes unless somebody made it persistent. For
//! containers and tests; interfaces that exist are faster through AF_PACKET.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use dialtone_base::FramePool;
use dialtone_base::frame::SUPER_FRAME;

use super::{Backend, Batch, Drops, PortDrop};
use crate::interface::request;
use crate::virtio_header;

/// A TAP device.
pub struct TapPort {
    device: OwnedFd,
    scratch: Box<[u8]>,
}

impl TapPort {
    /// Opens the device `name`, or makes it.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_ADMIN; `NotFound` where /dev/net/tun is missing; busy when another has it.
    pub fn open(name: &str) -> io::Result<Self> {
        let flags = libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
        // SAFETY: the path is a C string.
        let descriptor = unsafe { libc::open(c"/dev/net/tun".as_ptr(), flags) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the system just handed out this descriptor and nobody else knows it.
        let device = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let mut request = request(name)?;
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as i16;
        // SAFETY: TUNSETIFF takes an ifreq.
        if unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
        // Kernels before 6.2 do not cut UDP; without any of it frames come and go whole.
        for offload in [tcp | udp, tcp, libc::TUN_F_CSUM] {
            // SAFETY: TUNSETOFFLOAD takes a number.
            if unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offload)) }
                == 0
            {
                break;
            }
        }
        Ok(Self { device, scratch: vec![0; virtio_header::LENGTH + SUPER_FRAME].into_boxed_slice() })
    }
}

impl AsRawFd for TapPort {
    fn as_raw_fd(&self) -> RawFd {
        self.device.as_raw_fd()
    }
}

impl Backend for TapPort {
    fn receive(
        &mut self,
        pool: &'static FramePool,
        batch: &mut Batch,
        limit: usize,
        drops: &Drops,
    ) -> io::Result<usize> {
        let mut taken = 0;
        while taken < limit && !batch.is_full() {
            // SAFETY: the pointer and length describe the scratch buffer.
            let count = unsafe {
                libc::read(self.device.as_raw_fd(), self.scratch.as_mut_ptr().cast(), self.scratch.len())
            };
            if count < 0 {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    // EIO: the device is down.
                    Some(libc::EAGAIN | libc::EINTR | libc::EIO) => break,
                    _ => return Err(error),
                }
            }
            taken += 1;
            let Some((header, bytes)) = self.scratch[..count as usize].split_first_chunk() else {
                drops.borrow_mut().count(PortDrop::Truncated);
                continue;
            };
            let Some(offload) = virtio_header::to_offload(header) else {
                drops.borrow_mut().count(PortDrop::UnknownOffload);
                continue;
            };
            let Some(mut frame) = pool.copy_of(bytes) else {
                drops.borrow_mut().count(PortDrop::NoBuffer);
                continue;
            };
            frame.offload = offload;
            // There is room: just checked.
            let _ = batch.push_back(frame);
        }
        Ok(taken)
    }

    fn send(&mut self, batch: &mut Batch, drops: &Drops) -> io::Result<()> {
        while let Some(frame) = batch.front() {
            let header = virtio_header::from_offload(&frame.offload, frame.bytes());
            let parts = [
                libc::iovec { iov_base: header.as_ptr().cast_mut().cast(), iov_len: header.len() },
                libc::iovec { iov_base: frame.bytes().as_ptr().cast_mut().cast(), iov_len: frame.len() },
            ];
            // SAFETY: the parts describe live buffers, which writev only reads.
            let sent = unsafe { libc::writev(self.device.as_raw_fd(), parts.as_ptr(), parts.len() as i32) };
            if sent < 0 {
                match io::Error::last_os_error().raw_os_error() {
                    Some(libc::EINTR) => continue,
                    Some(libc::EAGAIN) => return Ok(()),
                    Some(libc::EIO) => drops.borrow_mut().count(PortDrop::LinkDown),
                    _ => drops.borrow_mut().count(PortDrop::Refused),
                }
            }
            drop(batch.pop_front());
        }
        Ok(())
    }
}
