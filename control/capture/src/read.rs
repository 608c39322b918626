//! Reading: detects the format by its first bytes, then yields frames as they come.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hikyaku_net::Time;
use pcap_parser::{Block, PcapError, nom};

use super::error::{CaptureError, Problem};
use super::link_type::LinkType;
use super::packet::{Changes, MAX_FRAME, Packet};
use super::pcapng::{Section, packet};
use super::unpack::{MAGIC, Packing};
use super::window::Window;

/// pcapng blocks above this are damage, not data: options and name lists stay far below.
const MAX_BLOCK: u32 = 16 << 20;

/// What ended too early, where it was compressed.
const STREAM: &str = "the compressed stream";

/// The frames of one capture, in the order of the file, as frames of Ethernet. Ends after the first error.
pub struct Reader {
    window: Window<Box<dyn Read + Send>>,
    file: String,
    packing: Option<Packing>,
    format: Format,
    /// Frames that were given.
    frames: u64,
    changes: Changes,
    done: bool,
}

enum Format {
    Pcap { layout: Layout, nanos: bool, fcs: u8, link: LinkType },
    Pcapng(Section),
}

/// How the numbers of a pcap record stand.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Little,
    Big,
    /// Kuznetzov's variant: eight more bytes after the usual sixteen.
    Modified,
}

impl Layout {
    fn header(self) -> usize {
        if self == Self::Modified { 24 } else { 16 }
    }
}

impl Reader {
    /// Opens a file; `-` is the standard input.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        if path == Path::new("-") {
            return Self::new("standard input", io::stdin());
        }
        let file = path.display().to_string();
        let opened = File::open(path)
            .and_then(|f| if f.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(f) });
        match opened {
            Ok(from) => Self::new(&file, from),
            Err(e) => Err(CaptureError::new(&file, Problem::Open(e))),
        }
    }

    /// Reads from anything; `name` is for messages.
    pub fn new(name: &str, from: impl Read + Send + 'static) -> Result<Self, CaptureError> {
        let file = name.to_string();
        let at_start = |packing, problem| CaptureError { file: name.to_string(), offset: 0, packing, problem };
        let mut plain = Window::new(from);
        let packing = Packing::of(plain.peek(MAGIC).map_err(|e| at_start(None, Problem::Open(e)))?);
        let from: Box<dyn Read + Send> = match packing {
            Some(packing) => packing.unpack(plain.into_read()),
            None => Box::new(plain.into_read()),
        };
        let mut window = Window::new(from);
        match Format::detect(&mut window) {
            Ok(format) => {
                Ok(Self { window, file, packing, format, frames: 0, changes: Changes::default(), done: false })
            }
            Err(problem) => Err(at_start(packing, problem)),
        }
    }

    /// What is not as it was captured, of the frames until now.
    pub fn changes(&self) -> Changes {
        self.changes
    }

    /// The next frame that is one of Ethernet, or has become one.
    fn packet(&mut self) -> Result<Option<Packet>, Problem> {
        while let Some((link, packet)) = self.captured()? {
            if link == LinkType::Ethernet {
                return Ok(Some(packet));
            }
            match link.ethernet(&packet.bytes).filter(|bytes| bytes.len() <= MAX_FRAME as usize) {
                Some(bytes) => {
                    self.changes.made += 1;
                    return Ok(Some(Packet { bytes, ..packet }));
                }
                None => self.changes.left_out += 1,
            }
        }
        Ok(None)
    }

    /// The next frame as it stands in the file.
    fn captured(&mut self) -> Result<Option<(LinkType, Packet)>, Problem> {
        let window = &mut self.window;
        loop {
            if window.peek(1)?.is_empty() {
                return if window.is_cut() { Err(Problem::Truncated(STREAM)) } else { Ok(None) };
            }
            match &mut self.format {
                &mut Format::Pcap { layout, nanos, fcs, link } => {
                    return record(window, layout, nanos, fcs).map(|packet| Some((link, packet)));
                }
                Format::Pcapng(section) => {
                    let len = block_len(window, section.big_endian)?;
                    let block = window.peek(len)?;
                    if block.len() < len {
                        return Err(Problem::Truncated("a block"));
                    }
                    let found = section.take(parse_block(block, section.big_endian)?)?;
                    window.advance(len);
                    if found.is_some() {
                        return Ok(found);
                    }
                }
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Packet, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.packet() {
            Ok(Some(packet)) => {
                self.frames += 1;
                Some(Ok(packet))
            }
            Ok(None) => {
                self.done = true;
                None
            }
            Err(problem) => {
                self.done = true;
                // A file that begins with another link layer is the wrong one; this one was read up to here.
                let problem = match problem {
                    Problem::LinkType(link_type) if self.frames > 0 => {
                        Problem::Mixed { frame: self.frames + 1, link_type }
                    }
                    other => other,
                };
                let (file, offset) = (self.file.clone(), self.window.offset());
                Some(Err(CaptureError { file, offset, packing: self.packing, problem }))
            }
        }
    }
}

impl Format {
    fn detect(window: &mut Window<Box<dyn Read + Send>>) -> Result<Self, Problem> {
        if window.peek(1)?.is_empty() {
            return Err(if window.is_cut() { Problem::Truncated(STREAM) } else { Problem::Empty });
        }
        let start = window.peek(24)?;
        match start {
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Ok(Self::Pcapng(Section::default())),
            [0xa1, 0xb2, 0xc3, 0xd4, ..]
            | [0xd4, 0xc3, 0xb2, 0xa1, ..]
            | [0xa1, 0xb2, 0x3c, 0x4d, ..]
            | [0x4d, 0x3c, 0xb2, 0xa1, ..]
            | [0x34, 0xcd, 0xb2, 0xa1, ..] => {
                let (_, header) =
                    pcap_parser::parse_pcap_header(start).map_err(|_| Problem::Truncated("the file header"))?;
                let layout = match header {
                    ref h if h.is_modified_format() => Layout::Modified,
                    ref h if h.is_bigendian() => Layout::Big,
                    _ => Layout::Little,
                };
                // The upper half may say that frames end in an FCS of so many 16-bit words.
                let network = header.network.0 as u32;
                let fcs = if network & 0x0400_0000 != 0 { (network >> 28) as u8 * 2 } else { 0 };
                let link_type = (network & 0xffff) as i32;
                let link = LinkType::of(link_type).ok_or(Problem::LinkType(link_type))?;
                window.advance(24);
                Ok(Self::Pcap { layout, nanos: header.is_nanosecond_precision(), fcs, link })
            }
            other => {
                let shown: Vec<String> = other.iter().take(4).map(|b| format!("{b:02x}")).collect();
                Err(Problem::NotACapture(shown.join(" ")))
            }
        }
    }
}

/// The next record of a classic pcap file.
fn record<R: Read>(window: &mut Window<R>, layout: Layout, nanos: bool, fcs: u8) -> Result<Packet, Problem> {
    let header = layout.header();
    let start = window.peek(header)?;
    if start.len() < header {
        return Err(Problem::Truncated("a frame's header"));
    }
    let number = |at: usize| {
        let word = *start[at..].first_chunk().expect("inside the header");
        if layout == Layout::Big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    let caplen = number(8);
    if caplen > MAX_FRAME {
        return Err(Problem::Damaged(format!("a frame of {caplen} bytes")));
    }
    let len = header + caplen as usize;
    let whole = window.peek(len)?;
    let parse = match layout {
        Layout::Little => pcap_parser::parse_pcap_frame,
        Layout::Big => pcap_parser::parse_pcap_frame_be,
        Layout::Modified => pcap_parser::parse_pcap_frame_modified,
    };
    let (_, block) = parse(whole).map_err(|_| Problem::Truncated("a frame"))?;
    let fraction = u64::from(block.ts_usec) * if nanos { 1 } else { 1000 };
    let time = Time(u64::from(block.ts_sec) * 1_000_000_000 + fraction);
    let packet = packet(time, block.data, block.origlen, fcs);
    window.advance(len);
    Ok(packet)
}

/// Length of the next pcapng block.
fn block_len<R: Read>(window: &mut Window<R>, big_endian: bool) -> Result<usize, Problem> {
    let start = window.peek(12)?;
    let [t0, t1, t2, t3, l0, l1, l2, l3, magic @ ..] = start else {
        return Err(Problem::Truncated("a block's header"));
    };
    // A section header brings its own byte order.
    let big_endian = match ([*t0, *t1, *t2, *t3], magic) {
        ([0x0a, 0x0d, 0x0d, 0x0a], [0x1a, 0x2b, 0x3c, 0x4d]) => true,
        ([0x0a, 0x0d, 0x0d, 0x0a], [0x4d, 0x3c, 0x2b, 0x1a]) => false,
        ([0x0a, 0x0d, 0x0d, 0x0a], [_, _, _, _]) => {
            return Err(Problem::Damaged("a section header without byte-order magic".into()));
        }
        _ => big_endian,
    };
    if magic.len() < 4 {
        return Err(Problem::Truncated("a block's header"));
    }
    let len = [*l0, *l1, *l2, *l3];
    let len = if big_endian { u32::from_be_bytes(len) } else { u32::from_le_bytes(len) };
    if !(12..=MAX_BLOCK).contains(&len) || len % 4 != 0 {
        return Err(Problem::Damaged(format!("a block of {len} bytes")));
    }
    Ok(len as usize)
}

/// Parses exactly one block.
fn parse_block(block: &[u8], big_endian: bool) -> Result<Block<'_>, Problem> {
    let parse = if big_endian { pcap_parser::parse_block_be } else { pcap_parser::parse_block_le };
    parse(block).map(|(_, block)| block).map_err(|e| {
        let kind = match e {
            nom::Err::Incomplete(_) => "its lengths exceed it".to_string(),
            nom::Err::Error(PcapError::NomError(_, kind)) | nom::Err::Failure(PcapError::NomError(_, kind)) => {
                format!("{kind:?}").to_lowercase()
            }
            nom::Err::Error(e) | nom::Err::Failure(e) => format!("{:?}", e.to_owned_vec()),
        };
        Problem::Damaged(format!("a block of {} bytes that contradicts itself ({kind})", block.len()))
    })
}
