//! What fits through the tunnel (RFC 2473 6.7 and 7.2, RFC 6333 5.3) and how that is learned
//! (RFC 8201).

use std::time::Duration;

use hikyaku_net::Time;

use super::{IPV6_MIN_MTU, OUTER_LEN};

/// The tunnel's MTU and what it means for packets with DF. Sizes are of inner packets, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuMode {
    /// As RFC 2473 7.2 says: larger packets with DF are refused with "fragmentation needed", those
    /// without leave in a fragmented outer packet.
    Strict {
        /// 1460 where the line carries 1500.
        mtu: u16,
    },
    /// The tunnel looks like a link of this MTU: up to it packets pass whatever DF says, where
    /// need be in a fragmented outer packet (RFC 6333 5.3). Costs the far end a reassembly.
    Fragment {
        /// 1500 makes the tunnel invisible to hosts behind it.
        mtu: u16,
    },
}

impl Default for MtuMode {
    fn default() -> Self {
        Self::Strict { mtu: 1460 }
    }
}

/// What becomes of an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It goes in one outer packet.
    Whole,
    /// The outer packet is to be fragmented, see [`super::fragment::outer`].
    FragmentOuter {
        /// The largest outer packet.
        mtu: u16,
    },
    /// It is to be dropped and answered with "fragmentation needed".
    TooBig {
        /// The largest inner packet, for the answer.
        mtu: u16,
    },
}

impl MtuMode {
    /// Decides on an inner packet of `len` bytes. `path_mtu` is the largest IPv6 packet that the
    /// link and the path beyond it are known to carry; below 1280 it is taken for 1280.
    ///
    /// The inner packet itself is never fragmented: RFC 6333 5.3 has the B4 fragment after
    /// encapsulation, so that it is the far end, not the destination, that reassembles.
    #[inline(always)]
    pub fn fit(self, len: usize, dont_fragment: bool, path_mtu: u16) -> Fit {
        let path_mtu = path_mtu.max(IPV6_MIN_MTU);
        let (mtu, outer_mtu) = self.sizes(path_mtu);
        if len <= mtu as usize && len + OUTER_LEN <= outer_mtu as usize {
            Fit::Whole
        } else if dont_fragment && len > mtu as usize {
            Fit::TooBig { mtu }
        } else if len + OUTER_LEN <= outer_mtu as usize {
            Fit::Whole
        } else {
            Fit::FragmentOuter { mtu: outer_mtu }
        }
    }

    /// The largest inner packet that may have DF: what a host behind the tunnel sees as its MTU.
    pub fn inner_mtu(self, path_mtu: u16) -> u16 {
        self.sizes(path_mtu.max(IPV6_MIN_MTU)).0
    }

    /// Largest inner packet with DF, largest outer packet.
    #[inline(always)]
    fn sizes(self, path_mtu: u16) -> (u16, u16) {
        const OUTER: u16 = OUTER_LEN as u16;
        match self {
            Self::Strict { mtu } => {
                // An MTU set by hand also says what the path carries.
                let outer = path_mtu.min(mtu.saturating_add(OUTER)).max(IPV6_MIN_MTU);
                (mtu.min(outer - OUTER), outer)
            }
            Self::Fragment { mtu } => (mtu, path_mtu),
        }
    }
}

/// The MTU of the path to one border router as Packet Too Big messages tell it (RFC 8201).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathMtu {
    learned: Option<(u16, Time)>,
}

impl PathMtu {
    /// How long a lowered estimate holds. RFC 8201 4: not below 5 minutes, 10 recommended.
    pub const AGE: Duration = Duration::from_secs(600);

    /// The estimate at `now`, no larger than the link's MTU.
    #[inline(always)]
    pub fn get(self, now: Time, link_mtu: u16) -> u16 {
        match self.learned {
            Some((mtu, since)) if now.since(since) < Self::AGE => mtu.min(link_mtu),
            _ => link_mtu,
        }
    }

    /// Takes note of a Packet Too Big that was found to be about a packet of ours. Says whether
    /// the estimate became smaller.
    ///
    /// RFC 8201 4: no message raises the estimate, none brings it below 1280.
    pub fn learn(&mut self, now: Time, link_mtu: u16, mtu: u32) -> bool {
        let mtu = mtu.clamp(IPV6_MIN_MTU.into(), 0xffff) as u16;
        let lower = mtu < self.get(now, link_mtu);
        if lower {
            self.learned = Some((mtu, now));
        }
        lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: MtuMode = MtuMode::Strict { mtu: 1460 };
    const FRAGMENT: MtuMode = MtuMode::Fragment { mtu: 1500 };

    #[test]
    fn rfc2473_7_2_df_set_is_refused_with_the_tunnel_mtu() {
        assert_eq!(STRICT.fit(1460, true, 1500), Fit::Whole);
        assert_eq!(STRICT.fit(1461, true, 1500), Fit::TooBig { mtu: 1460 });
        assert_eq!(STRICT.fit(1500, true, 1400), Fit::TooBig { mtu: 1360 });
        assert_eq!(STRICT.fit(1500, true, 9000), Fit::TooBig { mtu: 1460 });
    }

    #[test]
    fn rfc2473_7_2_df_clear_is_fragmented_outside() {
        assert_eq!(STRICT.fit(1460, false, 1500), Fit::Whole);
        assert_eq!(STRICT.fit(1461, false, 1500), Fit::FragmentOuter { mtu: 1500 });
        assert_eq!(STRICT.fit(1461, false, 9000), Fit::FragmentOuter { mtu: 1500 });
        assert_eq!(STRICT.fit(1400, false, 1280), Fit::FragmentOuter { mtu: 1280 });
    }

    #[test]
    fn rfc6333_5_3_full_size_packets_are_carried_whatever_df_says() {
        for df in [false, true] {
            assert_eq!(FRAGMENT.fit(1460, df, 1500), Fit::Whole);
            assert_eq!(FRAGMENT.fit(1461, df, 1500), Fit::FragmentOuter { mtu: 1500 });
            assert_eq!(FRAGMENT.fit(1500, df, 1500), Fit::FragmentOuter { mtu: 1500 });
            assert_eq!(FRAGMENT.fit(1500, df, 1540), Fit::Whole);
            assert_eq!(FRAGMENT.fit(1500, df, 1280), Fit::FragmentOuter { mtu: 1280 });
        }
        assert_eq!(FRAGMENT.fit(1501, true, 9000), Fit::TooBig { mtu: 1500 });
        assert_eq!(FRAGMENT.fit(1501, false, 1500), Fit::FragmentOuter { mtu: 1500 });
    }

    #[test]
    fn rfc8200_5_never_below_1280() {
        assert_eq!(STRICT.fit(1240, true, 68), Fit::Whole);
        assert_eq!(STRICT.fit(1241, true, 0), Fit::TooBig { mtu: 1240 });
        assert_eq!(MtuMode::Strict { mtu: 576 }.fit(577, true, 1500), Fit::TooBig { mtu: 576 });
        assert_eq!(MtuMode::Strict { mtu: 576 }.fit(577, false, 1500), Fit::Whole);
    }

    proptest! {
        #[test]
        fn what_is_called_whole_fits_and_what_is_refused_had_df(
            strict: bool, mtu: u16, len in 20usize..65536, df: bool, path: u16
        ) {
            let mode = if strict { MtuMode::Strict { mtu } } else { MtuMode::Fragment { mtu } };
            let path_mtu = path.max(1280);
            match mode.fit(len, df, path) {
                Fit::Whole => prop_assert!(len + OUTER_LEN <= path_mtu as usize),
                Fit::FragmentOuter { mtu } => {
                    prop_assert!((1280..=path_mtu).contains(&mtu) && len + OUTER_LEN > mtu as usize);
                }
                Fit::TooBig { mtu } => prop_assert!(df && len > mtu as usize && mtu == mode.inner_mtu(path)),
            }
        }
    }

    #[test]
    fn rfc8201_4_learned_lowered_aged() {
        let mut path = PathMtu::default();
        let t = |s: u64| Time(s * 1_000_000_000);
        assert_eq!(path.get(t(1), 1500), 1500);
        assert!(path.learn(t(1), 1500, 1400));
        assert_eq!(path.get(t(2), 1500), 1400);
        assert_eq!(path.get(t(2), 1300), 1300, "the link still counts");
        assert!(!path.learn(t(2), 1500, 1450), "must not rise");
        assert!(!path.learn(t(2), 1500, 9000));
        assert_eq!(path.get(t(2), 1500), 1400);
        assert!(path.learn(t(3), 1500, 576), "below 1280 it is 1280");
        assert_eq!(path.get(t(602), 1500), 1280);
        assert_eq!(path.get(t(603), 1500), 1500, "aged");
        assert!(path.learn(t(700), 1500, 1492), "after ageing it starts again");
    }
}
