//! What the model expects to leave, and where the router may choose.

use std::collections::{BTreeMap, BTreeSet};

use hikyaku_dataplane::punt::Class;

use super::bytes::seal;

/// Something in a frame that the router chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Free {
    /// The outer flow label: the same for all packets of this flow (RFC 6437 3).
    Label(Vec<u8>),
    /// The identification of outer fragments: the same for all of a packet, and no other's (RFC 8200 4.5).
    FragmentId(u64),
    /// The identification of the IPv4 packet that begins here.
    Id4(usize),
}

#[derive(Clone, Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub free: Vec<Free>,
}

impl Frame {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, free: Vec::new() }
    }
}

/// What frames led to: frames that left on either side, punts, verdicts.
#[derive(Clone, Debug, Default)]
pub struct Emitted {
    pub lan: Vec<Frame>,
    pub wan: Vec<Frame>,
    /// For the control thread: the link and what it is.
    pub punted: Vec<(u8, Class, Frame)>,
    /// How often each verdict was come to, by its name.
    pub verdicts: BTreeMap<&'static str, u64>,
}

/// What the router chose so far.
#[derive(Debug, Default)]
pub struct Choices {
    labels: BTreeMap<Vec<u8>, [u8; 3]>,
    ids: BTreeMap<u64, [u8; 4]>,
    used: BTreeSet<[u8; 4]>,
}

impl Choices {
    /// Compares a frame with the one that was expected, whose free fields take the router's values, if those may be.
    pub fn compare(&mut self, expected: &mut Frame, actual: &[u8]) -> Result<(), String> {
        let Frame { bytes, free } = expected;
        if bytes.len() == actual.len() {
            free.iter().try_for_each(|free| self.adopt(free, bytes, actual))?;
        }
        if bytes == actual {
            return Ok(());
        }
        let at = bytes.iter().zip(actual).position(|(a, b)| a != b).unwrap_or(bytes.len().min(actual.len()));
        Err(format!("differs at byte {at} of {}\nexpected {bytes:02x?}\ngot      {actual:02x?}", bytes.len()))
    }

    fn adopt(&mut self, free: &Free, bytes: &mut [u8], actual: &[u8]) -> Result<(), String> {
        match free {
            Free::Label(flow) => {
                let label = [actual[15] & 15, actual[16], actual[17]];
                let before = *self.labels.entry(flow.clone()).or_insert(label);
                if before != label {
                    return Err(format!("flow {flow:?} had the label {before:?}, and now {label:?}"));
                }
                bytes[15] = bytes[15] & 0xf0 | label[0];
                bytes[16..18].copy_from_slice(&label[1..]);
            }
            Free::FragmentId(packet) => {
                let id: [u8; 4] = actual[58..62].try_into().unwrap();
                if !self.ids.contains_key(packet) && !self.used.insert(id) {
                    return Err(format!("identification {id:?} was another packet's"));
                }
                self.ids.entry(*packet).or_insert(id);
                bytes[58..62].copy_from_slice(&self.ids[packet]);
            }
            Free::Id4(at) => {
                bytes[at + 4..at + 6].copy_from_slice(&actual[at + 4..at + 6]);
                seal(&mut bytes[*at..]);
            }
        }
        Ok(())
    }
}
