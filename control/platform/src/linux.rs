//! Linux.

use std::fs::File;
use std::io;

use rustix::ioctl::{Setter, ioctl};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Forbids core dumps of this process and looking into it from outside (prctl(2), PR_SET_DUMPABLE). Becoming another
/// user allows both again.
///
/// # Errors
/// What the kernel says.
pub fn forbid_inspection() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Makes the TUN device `name`, or opens it if it is there and nobody has it: IPv4 and IPv6 packets without any header
/// in front are read and written. CAP_NET_ADMIN is needed.
///
/// # Errors
/// The name has not 1 to 15 bytes; or what the kernel says.
pub fn tun(name: &str) -> io::Result<File> {
    // linux/if_tun.h and linux/if.h.
    const TUNSETIFF: u32 = 0x4004_54ca;
    const IFF_TUN: u16 = 0x0001;
    const IFF_NO_PI: u16 = 0x1000;
    const IFNAMSIZ: usize = 16;
    if name.is_empty() || name.len() >= IFNAMSIZ {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name has 1 to 15 bytes"));
    }
    let mut ifreq = [0_u8; 40];
    ifreq[..name.len()].copy_from_slice(name.as_bytes());
    ifreq[IFNAMSIZ..IFNAMSIZ + 2].copy_from_slice(&(IFF_TUN | IFF_NO_PI).to_ne_bytes());
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: TUNSETIFF reads a struct ifreq, which is these 40 bytes on 64-bit Linux, name and
    // flags first; it keeps no pointer to them.
    unsafe { ioctl(&device, Setter::<TUNSETIFF, [u8; 40]>::new(ifreq)) }?;
    Ok(device)
}
