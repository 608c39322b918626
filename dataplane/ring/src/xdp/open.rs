//! Opening a link: the interface, what it can do, and what its owner should know.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread::sleep;

use super::bpf::Program;
use super::device::Device;
use super::queue::XdpQueue;
use super::socket::{BIND, LETTING_GO, Socket};
use super::umem::Umem;
use super::watch::Watch;
use super::{Attach, HEADROOM, OpenError, OpenOptions, Step, Transfer, XdpLink, XdpMode, frame_room};
use crate::frame::Headroom;
use crate::link::{LinkInfo, Offsets};
use crate::name::{LinkKind, LinkName, Rings};
use crate::platform::{self, Interface};
use crate::queue::Queue;

/// An interface as it was found.
pub(super) struct Found {
    pub mtu: Option<u32>,
    mac: Option<[u8; 6]>,
    index: u32,
    rx_queues: u16,
    tx_queues: u16,
}

impl Found {
    /// Queues that both send and receive.
    pub fn pairs(&self) -> u16 {
        self.rx_queues.min(self.tx_queues)
    }
}

/// Opens `name` in this memory. Dropping the queues gives the interface back to the host.
pub fn open(name: &LinkName, umem: &Umem, options: &OpenOptions) -> Result<XdpLink, OpenError> {
    let found = find(name)?;
    let numbers: Vec<u16> = queue_numbers(name, &found)?.collect();
    let headroom = Headroom::new(HEADROOM, 1);
    let place = |_: &u16| umem.claim().ok_or_else(|| OpenError::NoRoom { link: name.clone() });
    let places: Vec<_> = numbers.iter().map(place).collect::<Result<_, _>>()?;
    let (sockets, info) = bind(name, umem, options, &found, &numbers)?;
    let spare = (numbers.len() - 1) * options.handoff_slots as usize;
    let (mut queues, mut seats) = (Vec::new(), Vec::new());
    for ((number, place), socket) in numbers.into_iter().zip(places).zip(sockets) {
        let (rx, tx) = place.attach(headroom)?;
        let provider = XdpQueue::new(place, socket, umem);
        seats.push((number, provider.seat()));
        let mut queue = Queue { rx, tx, provider: Box::new(provider), spare: umem.take_spare(spare).into() };
        queue.set_vlan(options.vlan);
        queues.push(queue);
    }
    let watch = Watch::new(name.clone(), options.clone(), umem.clone(), seats);
    Ok(XdpLink { queues, info, watch })
}

/// Looks the interface up.
pub(super) fn find(name: &LinkName) -> Result<Found, OpenError> {
    if name.kind() != LinkKind::Xdp {
        return Err(OpenError::NotXdp { link: name.clone() });
    }
    let mut all = platform::interfaces().map_err(OpenError::Interfaces)?;
    let at = all.iter().position(|i| i.name == name.port());
    let interface = at.map(|at| all.swap_remove(at));
    match (interface, platform::index(name.port()).ok().flatten()) {
        (Some(Interface { mtu, mac: mac @ Some(_), .. }), Some(index)) => {
            let (rx_queues, tx_queues) = platform::queues(name.port());
            Ok(Found { mtu, mac, index, rx_queues, tx_queues })
        }
        (_, Some(_)) => Err(OpenError::NotEthernet { link: name.clone() }),
        (_, None) => {
            let have = all.into_iter().map(|i| i.name).collect();
            Err(OpenError::NoInterface { link: name.clone(), have })
        }
    }
}

/// The queues that the name asks for.
pub(super) fn queue_numbers(name: &LinkName, found: &Found) -> Result<Range<u16>, OpenError> {
    match name.rings() {
        Rings::One(queue) if queue < found.pairs() => Ok(queue..queue + 1),
        Rings::One(_) => Err(OpenError::NoQueue { link: name.clone(), have: found.pairs() }),
        Rings::All => Ok(0..found.pairs()),
        // No name says so: `LinkName` refuses it.
        Rings::Host => Err(OpenError::NotXdp { link: name.clone() }),
    }
}

/// Puts the program at the interface and a socket at each of its queues, in the best mode there is.
pub(super) fn bind(
    name: &LinkName,
    umem: &Umem,
    options: &OpenOptions,
    found: &Found,
    queues: &[u16],
) -> Result<(Vec<Socket>, LinkInfo), OpenError> {
    if !platform::is_up(name.port()) {
        return Err(OpenError::Down { link: name.clone() });
    }
    let device = Device::of(name.port());
    let room = frame_room(umem.buf_size());
    if let Some(mtu) = found.mtu.filter(|&mtu| mtu > room) {
        let best = device.best_mtu(room);
        return Err(OpenError::Mtu { link: name.clone(), mtu, buf_size: umem.buf_size(), best });
    }
    let mut notes = Vec::new();
    let program = program(name, umem, options, found, &device, &mut notes)?;
    let (sockets, transfer) = sockets(name, umem, options, &program, queues, &mut notes)?;
    notes.extend(device.notes(program.mode()));
    let (opened, all) = (queues.len(), found.pairs());
    if opened < all.into() {
        notes.push(format!("{opened} of {all} queues opened: what the card puts into the others goes to the host"));
    }
    let info = LinkInfo {
        name: name.clone(),
        region: umem.region(),
        memory: umem.bytes(),
        tx_rings: found.tx_queues,
        rx_rings: found.rx_queues,
        host_rings: 0,
        slots: umem.slots(),
        buf_size: umem.buf_size(),
        headroom: Headroom::new(HEADROOM, 1),
        offsets: Offsets::InUse,
        mac: found.mac,
        mtu: found.mtu,
        adapter: None,
        xdp: Some(XdpMode { attach: program.mode(), transfer }),
        vlan: options.vlan,
        notes,
    };
    Ok((sockets, info))
}

/// The program at the interface: in the driver, or if it cannot, at the stack's entrance.
fn program(
    name: &LinkName,
    umem: &Umem,
    options: &OpenOptions,
    found: &Found,
    device: &Device,
    notes: &mut Vec<String>,
) -> Result<Arc<Program>, OpenError> {
    if let Some(program) = umem.program(found.index) {
        return Ok(program);
    }
    let attach = |mode| {
        let mut patience = LETTING_GO.iter();
        loop {
            match (Program::attach(found.index, found.rx_queues, mode), patience.next()) {
                // Perhaps that of a router which was killed a moment ago: the kernel takes it away soon.
                (Err(step), Some(&pause)) if is_taken(&step.source) => sleep(pause),
                (result, _) => return result,
            }
        }
    };
    let program = match options.attach {
        Some(mode) => attach(mode),
        None if device.is_deaf_natively() => attach(Attach::Generic)
            .inspect(|_| notes.push(format!("generic XDP, which is slower: {}", device.deafness()))),
        None => attach(Attach::Native).or_else(|step| {
            if is_final(&step.source) {
                return Err(step);
            }
            let program = attach(Attach::Generic)?;
            let (error, why) = (&step.source, device.why_refused(&step.source));
            notes.push(format!("generic XDP, which is slower: the driver refused a native program: {error}{why}"));
            Ok(program)
        }),
    };
    let program = program.map_err(|step| match ours_above(umem, device).filter(|_| is_taken(&step.source)) {
        Some(above) => OpenError::OursAbove { link: name.clone(), above },
        None => explain(name, 0, step),
    });
    let program = Arc::new(program?);
    umem.add_program(&program);
    Ok(program)
}

/// A socket for each queue, all in the same mode.
fn sockets(
    name: &LinkName,
    umem: &Umem,
    options: &OpenOptions,
    program: &Arc<Program>,
    queues: &[u16],
    notes: &mut Vec<String>,
) -> Result<(Vec<Socket>, Transfer), OpenError> {
    let all = |transfer| -> Result<Vec<Socket>, (u16, Step)> {
        let one = |&queue: &u16| Socket::open(umem, program, queue.into(), transfer).map_err(|step| (queue, step));
        queues.iter().map(one).collect()
    };
    let (sockets, transfer) = match options.transfer {
        Some(transfer) => (all(transfer), transfer),
        // At the stack's entrance there is nothing left but to copy.
        None if program.mode() == Attach::Generic => (all(Transfer::Copy), Transfer::Copy),
        None => match all(Transfer::ZeroCopy) {
            Err((_, step)) if step.doing == BIND && !is_final(&step.source) => {
                let sockets = all(Transfer::Copy);
                notes.push(format!(
                    "every frame is copied by the kernel: the driver refused zero copy: {}",
                    step.source
                ));
                (sockets, Transfer::Copy)
            }
            result => (result, Transfer::ZeroCopy),
        },
    };
    let sockets = sockets.map_err(|(queue, step)| explain(name, queue, step))?;
    Ok((sockets, transfer))
}

/// A device above this one that has a program of this memory's: the kernel lets none be attached below it.
fn ours_above(umem: &Umem, device: &Device) -> Option<String> {
    let is_ours = |above: &&String| {
        let index = platform::index(above).ok().flatten();
        index.is_some_and(|index| umem.program(index).is_some())
    };
    device.above().iter().find(is_ours).cloned()
}

/// Whether somebody else's program is there.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

/// Whether a simpler mode would be refused as well.
fn is_final(error: &io::Error) -> bool {
    is_taken(error) || matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

/// Turns an errno into what it means for this link.
fn explain(name: &LinkName, queue: u16, Step { doing, source }: Step) -> OpenError {
    let link = name.clone();
    let hint = match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => return OpenError::Permission { link, doing },
        Some(libc::EAFNOSUPPORT | libc::ENOSYS) => return OpenError::Kernel { link, doing },
        Some(libc::EBUSY) if doing == BIND => return OpenError::Busy { link, queue },
        Some(libc::EBUSY | libc::EEXIST) => return OpenError::OtherProgram { link },
        Some(libc::EOPNOTSUPP) => " (the driver does not know this mode: allow the simpler one)",
        Some(libc::ENOBUFS | libc::ENOMEM) => " (is RLIMIT_MEMLOCK too low?)",
        Some(libc::EINVAL) => " (is Linux older than 5.11?)",
        _ => "",
    };
    OpenError::Refused { link, doing, source, hint }
}
