//! LAN to tunnel where the sessions are the far end's and rules may be about its packets: the fast path of
//! [`super::fast_outbound`], with each packet asked about first. Stages of their own, so that nobody pays for rules that are
//! not there.

use hikyaku_ring::{Frame, HEAD};

use super::fast_outbound::Outbound;
use super::{Burst, Core, FinishedBy, Meta, NoNapt, Rings, Stages};
use crate::napt::Direction;
use crate::verdict::{Reason, Verdict};

/// Outbound stages of packets that are each asked about.
pub(super) struct Asked<'b, 'a>(pub &'b Outbound<'a, NoNapt>);

impl<'a> Stages for Asked<'_, 'a> {
    const HEADROOM: usize = Outbound::<'a, NoNapt>::HEADROOM;
    const DIRECTION: Direction = Outbound::<'a, NoNapt>::DIRECTION;
    const FORWARDED: Verdict = Outbound::<'a, NoNapt>::FORWARDED;
    const LOOKS_UP: bool = Outbound::<'a, NoNapt>::LOOKS_UP;

    fn burst(&self) -> Burst<'_> {
        self.0.burst
    }

    #[inline(always)]
    fn is_native6(&self, head: &[u8; HEAD]) -> bool {
        self.0.is_native6(head)
    }

    #[inline(always)]
    fn classify(&self, head: &[u8; HEAD], frame: Frame) -> Meta {
        self.0.classify(head, frame)
    }

    #[inline(always)]
    fn probe(&self, meta: &mut Meta) {
        self.0.probe(meta);
    }

    #[inline(always)]
    fn finish(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Result<(), Option<Verdict>> {
        if meta.finished_by != FinishedBy::FastPath {
            return Err(self.special(core, rings, &{ *meta }));
        }
        match self.0.admit(rings.rx.head(meta.frame)) {
            Ok(()) => self.0.finish(core, rings, meta),
            Err(reason) => Err(Some(self.refuse(core, rings, meta.frame, reason))),
        }
    }
}

impl Asked<'_, '_> {
    /// A packet that is not ordinary. The slow path asks by itself.
    #[cold]
    #[inline(never)]
    fn special(&self, core: &mut Core, rings: &mut Rings, meta: &Meta) -> Option<Verdict> {
        match self.0.cut::<true>(core, rings, meta) {
            Some(verdict) => verdict,
            None => self.0.slow_path(core, rings, meta.frame),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self, core: &mut Core, rings: &mut Rings, frame: Frame, reason: Reason) -> Verdict {
        core.answer_lan(self.0.burst, rings, frame, reason, 0);
        reason.into()
    }
}
