//! The cards behind the links: what they are asked to pass on.

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use hikyaku_net::Mac;
use hikyaku_platform::{Heard, ReceiveFilter};
use hikyaku_ring::{LinkName, LinkState, Losses, promiscuous_command, up_command};

use super::hearing::Hearing;

/// Frames that were lost so long ago are no warning any more.
const RECENTLY: Duration = Duration::from_secs(60);

/// The card of a link, kept in step with our addresses there. Links without a card, VALE ports and pipes, have nothing
/// that could keep frames from us.
#[derive(Debug)]
pub struct Card {
    link: LinkName,
    /// Or why there is none.
    filter: Option<Result<ReceiveFilter, String>>,
    /// Our station, if it is not the card's own.
    station: Option<[u8; 6]>,
    /// Why the card may be deaf.
    trouble: Option<String>,
    /// An address that nothing came to, and the router that was asked for an answer to it.
    silent: Option<(Ipv6Addr, Ipv6Addr)>,
    state: LinkState,
    losses: Losses,
    /// When frames were lost last because workers were too slow.
    lost: Option<Instant>,
    /// Frames came that no buffer takes.
    overlong: bool,
    hearing: Hearing,
}

impl Card {
    /// Of a link as it was opened: `own` is the interface's address, `ours` the one that we speak with. To be called
    /// while the process has its rights.
    pub fn open(link: &LinkName, own: Option<[u8; 6]>, ours: Mac) -> Self {
        let open = || ReceiveFilter::open(link.port()).map_err(|error| error.to_string());
        let filter = link.is_interface().then(open);
        let mut card = Self {
            link: link.clone(),
            filter,
            station: None,
            trouble: None,
            silent: None,
            state: LinkState::Carrier,
            losses: Losses::default(),
            lost: None,
            overlong: false,
            hearing: Hearing::default(),
        };
        card.reopened(own, ours);
        card
    }

    /// The link is another one of its name.
    pub fn reopened(&mut self, own: Option<[u8; 6]>, ours: Mac) {
        self.station = Some(ours.0).filter(|_| own.is_some_and(|own| own != ours.0));
        self.hearing = Hearing::default();
        if let Some(Ok(filter)) = &mut self.filter {
            filter.renew();
        }
    }

    /// Has the card pass on what is sent to these groups, and to us; or, with `all`, everything. Sorted; costs nothing while
    /// they are the same.
    pub fn listen(&mut self, groups: &[Ipv6Addr], all: bool) {
        let trouble = match &mut self.filter {
            None => None,
            Some(Err(why)) => Some(why.clone()).filter(|_| !groups.is_empty() || self.station.is_some()),
            Some(Ok(filter)) => {
                let before = filter.heard();
                let result = if all { filter.hear_all() } else { filter.set(groups, self.station) };
                if filter.heard() != before {
                    tracing::info!(link = %self.link, "promiscuous mode, as the card cannot be asked for all that is to be heard");
                }
                result.err().map(|error| error.to_string())
            }
        };
        if self.trouble != trouble {
            // An interface that is away is said by others, and comes back.
            if let Some(why) = trouble.as_deref().filter(|_| self.state != LinkState::Gone) {
                tracing::warn!(link = %self.link, "{}", self.deaf(why));
            }
            self.trouble = trouble;
        }
    }

    /// Whether there is an address of ours that nothing comes to. It is logged once.
    pub fn set_silent(&mut self, silent: Option<(Ipv6Addr, Ipv6Addr)>) {
        if std::mem::replace(&mut self.silent, silent) != silent
            && let Some(warning) = self.unheard()
        {
            tracing::warn!(link = %self.link, "{warning}");
        }
    }

    /// How many frames came to the interface, as its driver counts, and how many of the link's the workers took, since
    /// whenever. Once losses are known.
    pub fn set_traffic(&mut self, arrived: Option<u64>, taken: u64) {
        let Some(arrived) = arrived else { return };
        let before = self.hearing;
        self.hearing.look(&self.link, arrived, taken + self.losses.frames());
        if let (true, Some(warning)) = (before != self.hearing, self.hearing.warning(&self.link)) {
            tracing::warn!(link = %self.link, "{warning}");
        }
    }

    /// Whether its owner has it set down: the system may be at work on it, and has whoever uses it wait meanwhile.
    pub fn is_down(&self) -> bool {
        self.state == LinkState::Down
    }

    /// How the interface is now. What the operator is to do about it is logged once.
    pub fn set_state(&mut self, state: LinkState) {
        if std::mem::replace(&mut self.state, state) != state && state == LinkState::Down {
            tracing::warn!(link = %self.link, "{}", self.down());
        }
    }

    /// What was lost between it and the workers. It is logged, once a minute at most.
    pub fn set_losses(&mut self, losses: Losses) {
        let longer = losses.too_long > self.losses.too_long;
        let more = by_slowness(&losses) > by_slowness(&self.losses);
        self.losses = losses;
        if more {
            let is_news = !self.is_losing();
            self.lost = Some(Instant::now());
            if is_news {
                tracing::warn!(link = %self.link, "{}", self.losing());
            }
        }
        if longer && !std::mem::replace(&mut self.overlong, true) {
            tracing::warn!(link = %self.link, "{}", self.too_long());
        }
    }

    fn too_long(&self) -> String {
        format!(
            "{}: {} frames were longer than a buffer and lost: segments of TCP that a device merged before they came here \
             (ethtool -K IF gro off lro off, on the device below), or the other end's MTU is larger than this one's",
            self.link, self.losses.too_long
        )
    }

    /// What was lost.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    fn is_losing(&self) -> bool {
        self.lost.is_some_and(|lost| lost.elapsed() < RECENTLY)
    }

    fn losing(&self) -> String {
        format!(
            "{}: {} frames were lost before a worker had them: more comes in than the workers take, or they stood still; more \
             `cores`, more `ring-slots`",
            self.link,
            by_slowness(&self.losses)
        )
    }

    /// What the card passes on, in a word; `None` if that is not known, or there is no card.
    pub fn heard(&self) -> Option<&'static str> {
        let filter = self.filter.as_ref()?.as_ref().ok().filter(|_| self.trouble.is_none())?;
        Some(match filter.heard() {
            Heard::Groups => "groups",
            Heard::All => "promiscuous",
        })
    }

    /// What is not as it should be, for people.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let down = (self.state == LinkState::Down).then(|| self.down());
        let losing = self.is_losing().then(|| self.losing());
        let overlong = self.overlong.then(|| self.too_long());
        let deaf = self.hearing.warning(&self.link);
        down.into_iter()
            .chain(deaf)
            .chain(losing)
            .chain(overlong)
            .chain(self.trouble.as_deref().map(|why| self.deaf(why)))
            .chain(self.unheard())
    }

    fn unheard(&self) -> Option<String> {
        let (address, router) = self.silent.filter(|_| self.link.is_interface())?;
        let command = promiscuous_command(self.link.port());
        Some(format!(
            "{}: nothing that is sent to {address} was heard, neither a solicitation of {router} nor its answer to an \
             echo: it may answer none, or the card keeps multicast from us: try {command}",
            self.link
        ))
    }

    fn deaf(&self, why: &str) -> String {
        let command = promiscuous_command(self.link.port());
        format!(
            "{}: the card may keep from us what is sent to our multicast groups: {why} (by hand: {command})",
            self.link
        )
    }

    fn down(&self) -> String {
        format!("{}: the interface is not up: {}", self.link, up_command(self.link.port()))
    }
}

/// What was lost because workers were too slow: what is too long is lost at any speed.
fn by_slowness(losses: &Losses) -> u64 {
    losses.frames().saturating_sub(losses.too_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1);

    /// Of a link whose filter cannot be had.
    fn refused() -> Card {
        let link = "netmap:ix0".parse().unwrap();
        Card {
            link,
            filter: Some(Err("not permitted".into())),
            station: None,
            trouble: None,
            silent: None,
            state: LinkState::Carrier,
            losses: Losses::default(),
            lost: None,
            overlong: false,
            hearing: Hearing::default(),
        }
    }

    #[test]
    fn an_interface_that_is_not_up_is_said_with_the_command() {
        let mut card = refused();
        for (state, warnings) in [(LinkState::Down, 1), (LinkState::NoCarrier, 0), (LinkState::Gone, 0)] {
            card.set_state(state);
            assert_eq!((card.warnings().count(), card.is_down()), (warnings, warnings == 1), "{state:?}");
        }
        card.set_state(LinkState::Down);
        let warning = card.warnings().next().unwrap();
        assert_eq!(warning, format!("netmap:ix0: the interface is not up: {}", up_command("ix0")));
    }

    #[test]
    fn a_card_that_cannot_be_asked_matters_once_something_is_to_be_heard() {
        let mut card = refused();
        card.listen(&[], false);
        assert_eq!((card.warnings().count(), card.heard()), (0, None));
        card.listen(&[GROUP], false);
        let warning = card.warnings().next().unwrap();
        assert!(warning.contains("not permitted") && warning.contains(&promiscuous_command("ix0")), "{warning}");
        card.listen(&[], false);
        assert_eq!(card.warnings().count(), 0);
        // Another address than the card's own is to be heard, too.
        card.reopened(Some([2, 0, 0, 0, 0, 9]), OURS);
        card.listen(&[], false);
        assert_eq!(card.warnings().count(), 1);
        card.reopened(Some(OURS.0), OURS);
        card.listen(&[], false);
        assert_eq!(card.warnings().count(), 0);
    }

    #[test]
    fn an_address_that_nothing_comes_to_is_said() {
        let silent = Some(("2001:db8::1".parse().unwrap(), "fe80::1".parse().unwrap()));
        let mut card = refused();
        card.set_silent(silent);
        let warning = card.warnings().next().unwrap();
        assert!(warning.contains("2001:db8::1") && warning.contains("fe80::1"), "{warning}");
        assert!(warning.ends_with(&promiscuous_command("ix0")), "{warning}");
        card.set_silent(None);
        assert_eq!(card.warnings().count(), 0);
        // VALE has no card.
        let mut port = Card::open(&"vale0:a".parse().unwrap(), None, OURS);
        port.set_silent(silent);
        assert_eq!(port.warnings().count(), 0);
    }

    #[test]
    fn frames_that_were_lost_are_said() {
        let mut card = refused();
        card.set_losses(Losses::default());
        assert_eq!(card.warnings().count(), 0);
        card.set_losses(Losses { received: 120_000, card: 3, no_buffer: 7, ..Losses::default() });
        let warning = card.warnings().next().unwrap();
        assert!(warning.starts_with("netmap:ix0: 120003 frames were lost"), "{warning}");
        // No more of them: after a while it is no warning.
        card.lost = Instant::now().checked_sub(RECENTLY);
        card.set_losses(card.losses());
        assert_eq!((card.warnings().count(), card.losses().frames()), (0, 120_003));
    }

    #[test]
    fn frames_that_fit_no_buffer_are_no_slowness() {
        let mut card = refused();
        card.set_losses(Losses { received: 9, too_long: 9, ..Losses::default() });
        let warnings: Vec<String> = card.warnings().collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("netmap:ix0: 9 frames were longer than a buffer"), "{warnings:?}");
    }

    #[test]
    fn a_deaf_link_is_a_warning_until_it_hears() {
        let mut card = refused();
        [0, 50, 60].into_iter().for_each(|arrived| card.set_traffic(Some(arrived), 0));
        let is_deaf = |card: &Card| card.warnings().any(|warning| warning.contains("none of them to us"));
        assert!(is_deaf(&card));
        card.set_traffic(Some(70), 1);
        assert!(!is_deaf(&card));
        card.reopened(Some(OURS.0), OURS);
        [0, 50, 60].into_iter().for_each(|arrived| card.set_traffic(Some(arrived), 1));
        assert!(is_deaf(&card));
        card.reopened(Some(OURS.0), OURS);
        assert_eq!(card.warnings().count(), 0);
    }

    #[test]
    fn a_link_without_a_card_hears_everything() {
        let mut card = Card::open(&"vale0:a".parse().unwrap(), None, OURS);
        card.listen(&[GROUP], false);
        assert_eq!((card.warnings().count(), card.heard()), (0, None));
    }
}
