//! Notices captures that have both directions in one file: the router's own frames are no input.

use std::collections::HashMap;

use hikyaku_net::Mac;

use super::player::untagged;

/// Stations that are watched, at most.
const MAX: usize = 4096;

/// Who sends and who is sent to.
#[derive(Clone, Debug, Default)]
pub struct Stations(HashMap<Mac, Traffic>);

#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    sent: u64,
    received: u64,
}

impl Stations {
    /// Takes note of a frame.
    pub fn note(&mut self, frame: &[u8]) {
        let Some((header, rest)) = frame.split_first_chunk::<12>() else { return };
        let [dst, src] = [0, 6].map(|at| Mac(*header[at..].first_chunk().expect("six bytes")));
        let is_ip = matches!(untagged(rest), [0x08, 0x00, ..] | [0x86, 0xdd, ..]);
        if !is_ip || dst.is_group() {
            return;
        }
        for (station, is_source) in [(src, true), (dst, false)] {
            if self.0.len() < MAX || self.0.contains_key(&station) {
                let traffic = self.0.entry(station).or_default();
                *(if is_source { &mut traffic.sent } else { &mut traffic.received }) += 1;
            }
        }
    }

    /// The two busiest stations, if both were sent to and sent something themselves: in a capture
    /// of both directions one of them is the router. Which, only the user knows.
    pub fn both_ways(&self) -> Option<[Mac; 2]> {
        let mut both: Vec<_> = self.0.iter().filter(|(_, t)| t.sent > 0 && t.received > 0).collect();
        both.sort_by_key(|(mac, t)| (std::cmp::Reverse(t.sent + t.received), mac.0));
        match both[..] {
            [(&a, _), (&b, _), ..] => Some([a, b]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(src: u8, dst: u8) -> Vec<u8> {
        vec![2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, src, 8, 0]
    }

    #[test]
    fn both_directions_are_noticed_and_one_is_not() {
        let mut stations = Stations::default();
        for host in [10, 11, 12] {
            stations.note(&frame(host, 1));
        }
        assert_eq!(stations.both_ways(), None);
        for host in [10, 11, 12] {
            stations.note(&frame(1, host));
        }
        let router = Mac([2, 0, 0, 0, 0, 1]);
        assert!(stations.both_ways().is_some_and(|two| two.contains(&router)));
    }
}
