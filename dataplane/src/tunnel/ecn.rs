//! DSCP and ECN across the tunnel: RFC 2983 for the first, RFC 6040 for the second.
//!
//! A ToS byte or traffic class is six bits of DSCP and two of ECN: Not-ECT 00, ECT(1) 01,
//! ECT(0) 10, CE 11 (RFC 3168 5).

use crate::verdict::Reason;

/// The ECN bits of a ToS byte or traffic class.
pub const ECN: u8 = 0b11;
/// The packet's transport does not know ECN (RFC 3168 5).
pub const NOT_ECT: u8 = 0b00;
/// The transport knows ECN, codepoint ECT(1).
pub const ECT1: u8 = 0b01;
/// The transport knows ECN, codepoint ECT(0).
pub const ECT0: u8 = 0b10;
/// A router on the way has experienced congestion (CE).
pub const CE: u8 = 0b11;

/// Where the outer DSCP comes from (RFC 2983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dscp {
    /// Always this one (0 to 63).
    Fixed(u8),
    /// The inner packet's: the uniform model.
    Copy,
}

/// What the outer ECN field is (RFC 6040 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EcnMode {
    /// Not-ECT whatever is inside. Safe towards a far end that knows no ECN.
    #[default]
    Compatibility,
    /// The inner one. Only where the far end combines both on decapsulation.
    Normal,
}

/// How the outer traffic class is made. By default it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassMode {
    /// The upper six bits.
    pub dscp: Dscp,
    /// The lower two bits.
    pub ecn: EcnMode,
}

impl Default for ClassMode {
    fn default() -> Self {
        Self { dscp: Dscp::Fixed(0), ecn: EcnMode::Compatibility }
    }
}

impl ClassMode {
    /// [`Self::outer_class`] as two masks: bits taken over from the inner header, bits always set.
    pub const fn copied_and_fixed(self) -> [u8; 2] {
        let fixed = self.outer_class(0);
        [self.outer_class(0xff) & !fixed, fixed]
    }

    /// The outer traffic class for an inner packet with this ToS byte.
    #[inline(always)]
    pub const fn outer_class(self, inner_tos: u8) -> u8 {
        let dscp = match self.dscp {
            Dscp::Fixed(dscp) => dscp << 2,
            Dscp::Copy => inner_tos & !ECN,
        };
        let ecn = match self.ecn {
            EcnMode::Compatibility => NOT_ECT,
            EcnMode::Normal => inner_tos & ECN,
        };
        dscp | ecn
    }
}

/// The inner ToS byte after decapsulation: its DSCP stays, its ECN is combined with the outer one
/// by the table of RFC 6040 4.2. Where the byte changes, the caller updates the header checksum.
///
/// # Errors
/// [`Reason::TunnelEcn`]: congestion was marked outside and the inner packet cannot say so.
#[inline(always)]
pub const fn decapsulated_tos(inner_tos: u8, outer_class: u8) -> Result<u8, Reason> {
    let ecn = match (inner_tos & ECN, outer_class & ECN) {
        (NOT_ECT, CE) => return Err(Reason::TunnelEcn),
        (NOT_ECT, _) => NOT_ECT,
        (_, CE) => CE,
        (ECT0, ECT1) => ECT1,
        (inner, _) => inner,
    };
    Ok(inner_tos & !ECN | ecn)
}

/// The ECN of a packet put together from fragments that carried the marks in `seen`, a set with
/// bit `1 << mark` for each (RFC 3168 5.3).
///
/// # Errors
/// [`Reason::TunnelEcn`]: CE on one and Not-ECT on another. The mark must not be lost, nor set on
/// such a packet; what is left is to drop it.
pub(super) const fn reassembled(seen: u8) -> Result<u8, Reason> {
    const fn has(seen: u8, mark: u8) -> bool {
        seen & 1 << mark != 0
    }
    Ok(match (has(seen, CE), has(seen, NOT_ECT)) {
        (true, true) => return Err(Reason::TunnelEcn),
        (true, false) => CE,
        (false, true) => NOT_ECT,
        (false, false) if has(seen, ECT0) => ECT0,
        (false, false) => ECT1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6040_4_1_encapsulation() {
        let (normal, copy) = (EcnMode::Normal, Dscp::Copy);
        for tos in 0..=255 {
            for mode in [
                ClassMode::default(),
                ClassMode { dscp: copy, ecn: normal },
                ClassMode { dscp: copy, ecn: EcnMode::Compatibility },
                ClassMode { dscp: Dscp::Fixed(46), ecn: normal },
            ] {
                let [copied, fixed] = mode.copied_and_fixed();
                assert_eq!(tos & copied | fixed, mode.outer_class(tos));
            }
            assert_eq!(ClassMode::default().outer_class(tos), 0);
            assert_eq!(ClassMode { ecn: normal, ..Default::default() }.outer_class(tos), tos & 3);
            assert_eq!(ClassMode { dscp: copy, ecn: normal }.outer_class(tos), tos);
            assert_eq!(ClassMode { dscp: copy, ecn: EcnMode::Compatibility }.outer_class(tos), tos & 0xfc);
            assert_eq!(ClassMode { dscp: Dscp::Fixed(46), ecn: normal }.outer_class(tos), 0xb8 | tos & 3);
        }
    }

    #[test]
    fn rfc6040_4_2_decapsulation_table() {
        const DROP: Result<u8, Reason> = Err(Reason::TunnelEcn);
        // Rows: inner Not-ECT, ECT(0), ECT(1), CE. Columns: outer the same.
        let marks = [NOT_ECT, ECT0, ECT1, CE];
        let table = [
            [Ok(NOT_ECT), Ok(NOT_ECT), Ok(NOT_ECT), DROP],
            [Ok(ECT0), Ok(ECT0), Ok(ECT1), Ok(CE)],
            [Ok(ECT1), Ok(ECT1), Ok(ECT1), Ok(CE)],
            [Ok(CE), Ok(CE), Ok(CE), Ok(CE)],
        ];
        for (inner, row) in marks.iter().zip(table) {
            for (outer, expected) in marks.iter().zip(row) {
                assert_eq!(decapsulated_tos(*inner, *outer), expected, "{inner:02b} in {outer:02b}");
                // The outer DSCP never reaches the inner packet (RFC 2983, pipe model).
                assert_eq!(decapsulated_tos(0xb8 | *inner, 0x28 | *outer), expected.map(|e| 0xb8 | e));
            }
        }
    }

    #[test]
    fn rfc3168_5_3_reassembly() {
        let of = |marks: &[u8]| reassembled(marks.iter().fold(0, |seen, m| seen | 1 << m));
        for same in [NOT_ECT, ECT0, ECT1, CE] {
            assert_eq!(of(&[same, same]), Ok(same), "must not change where all agree");
        }
        assert_eq!(of(&[ECT0, CE]), Ok(CE));
        assert_eq!(of(&[CE, ECT1, ECT0]), Ok(CE));
        assert_eq!(of(&[CE, NOT_ECT]), Err(Reason::TunnelEcn));
        assert_eq!(of(&[ECT0, NOT_ECT]), Ok(NOT_ECT));
        assert_eq!(of(&[ECT0, ECT1]), Ok(ECT0));
    }
}
