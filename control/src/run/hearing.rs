//! Whether a link hears: what comes to its interface reaches us.
//!
//! Not every driver that takes a link gives it frames: a bond takes a native program of AF_XDP and never hands it one. Nothing
//! fails then, and nothing is counted. What tells it is the driver's own count of what it received.

use hikyaku_ring::{LinkKind, LinkName, Rings};

/// So many frames come to an interface, and none to us: the link is deaf.
const ENOUGH: u64 = 8;

/// What is known of it since the link was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hearing {
    /// It was not looked at yet.
    #[default]
    Unknown,
    /// Nothing was heard since the first look, when so many had come to the interface and so many to us.
    Waiting {
        /// As the driver counted.
        arrived: u64,
        /// As we did.
        heard: u64,
        /// Enough came to the interface at the last look; the next one decides, for frames may be under way.
        is_doubtful: bool,
    },
    /// It does not: so many came to us, as before.
    Deaf {
        /// As we counted.
        heard: u64,
    },
    /// It does.
    Proved,
}

impl Hearing {
    /// Looks: `arrived` frames came to the interface, `heard` to us, those among them that were lost on
    /// the way and counted, both since whenever.
    pub fn look(&mut self, link: &LinkName, arrived: u64, heard: u64) {
        // What comes to other queues is not ours.
        if link.rings() != Rings::All {
            return;
        }
        *self = match *self {
            Self::Unknown => Self::Waiting { arrived, heard, is_doubtful: false },
            Self::Waiting { heard: first, .. } | Self::Deaf { heard: first } if heard > first => Self::Proved,
            Self::Waiting { arrived: first, .. } if arrived.saturating_sub(first) < ENOUGH => *self,
            Self::Waiting { is_doubtful: true, heard, .. } => Self::Deaf { heard },
            Self::Waiting { arrived, heard, .. } => Self::Waiting { arrived, heard, is_doubtful: true },
            Self::Deaf { .. } | Self::Proved => *self,
        }
    }

    /// What is wrong and what to do, for people; `None` while it is not known to be deaf.
    pub fn warning(self, link: &LinkName) -> Option<String> {
        let cure = match link.kind() {
            LinkKind::Xdp => "run with --xdp-mode generic, or open the device below it",
            _ => "its driver and netmap do not fit; open another interface, or xdp: on Linux",
        };
        matches!(self, Self::Deaf { .. })
            .then(|| format!("{link}: frames come to the interface, and none of them to us: {cure}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(link: &str, looks: &[(u64, u64)]) -> Hearing {
        let (link, mut hearing) = (link.parse().unwrap(), Hearing::default());
        looks.iter().for_each(|&(arrived, heard)| hearing.look(&link, arrived, heard));
        hearing
    }

    #[test]
    fn what_comes_to_the_interface_comes_to_us_or_is_missed() {
        use Hearing::{Deaf, Proved, Waiting};
        let waiting = |is_doubtful| Waiting { arrived: 100, heard: 5, is_doubtful };
        for (looks, is) in [
            (&[(100, 5)][..], waiting(false)),
            (&[(100, 5), (107, 5), (107, 5), (107, 5)], waiting(false)),
            (&[(100, 5), (108, 5)], waiting(true)),
            (&[(100, 5), (108, 5), (108, 5)], Deaf { heard: 5 }),
            (&[(100, 5), (108, 5), (108, 5), (109, 5)], Deaf { heard: 5 }),
            (&[(100, 5), (108, 5), (108, 5), (110, 6)], Proved),
            (&[(100, 5), (108, 5), (109, 6)], Proved),
            (&[(100, 5), (100, 6), (900, 6), (900, 6)], Proved),
        ] {
            assert_eq!(after("xdp:bond0", looks), is, "{looks:?}");
        }
        // The others are the host's.
        assert_eq!(after("xdp:eth0-1", &[(100, 5), (900, 5), (900, 5)]), Hearing::Unknown);
    }

    #[test]
    fn a_deaf_link_is_told_what_to_do() {
        let link = "xdp:bond0".parse().unwrap();
        assert!(Hearing::Deaf { heard: 5 }.warning(&link).unwrap().contains("--xdp-mode generic"));
        assert_eq!(Hearing::Proved.warning(&link), None);
    }
}
