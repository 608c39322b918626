//! Names of links, as they are written in a configuration.

use std::fmt;
use std::str::FromStr;

/// Which link to open, and which of its rings: `netmap:ix0`, `netmap:ix0-2`, `netmap:ix0^`,
/// `netmap:x{1`, `vale0:a`; or `xdp:eth0`, `xdp:eth0-2`.
///
/// The first forms are those of netmap's own programs; AF_XDP follows them. A trailing `-NUMBER` is always a queue, so an
/// interface called `lan-0` cannot be named; rename it. The default is the name of no link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkName {
    port: String,
    kind: LinkKind,
    rings: Rings,
}

/// What a link is attached to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// A network interface, native or emulated.
    #[default]
    Interface,
    /// A network interface of Linux, by AF_XDP.
    Xdp,
    /// A port of a VALE switch.
    Vale,
    /// One end of a netmap pipe: `{` and `}` name its two ends.
    Pipe,
}

/// Which rings of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rings {
    /// Every pair of receive and transmit rings.
    #[default]
    All,
    /// The ring pair with this number, counted from 0.
    One(u16),
    /// The rings towards the host's own stack.
    Host,
}

/// What a link name may look like.
const FORMS: &str = "netmap:IF, netmap:IF-QUEUE, netmap:IF^ (the host's rings), netmap:NAME{ID, netmap:NAME}ID, \
                     valeN:NAME, xdp:IF, xdp:IF-QUEUE";

/// A link name that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No `netmap:`, `vale…:` or `xdp:` in front.
    #[error("link name \"{0}\" does not say how to reach it: write netmap:{0} or xdp:{0} (known: {FORMS})")]
    NoScheme(String),
    /// Something else in front.
    #[error("link name \"{name}\": unknown kind of link \"{scheme}:\" (known: {FORMS})")]
    UnknownScheme {
        /// The name as it was written.
        name: String,
        /// The part before the colon.
        scheme: String,
    },
    /// A part is empty, too long, or has letters that no interface has.
    #[error("link name \"{name}\": {what} (known: {FORMS})")]
    Malformed {
        /// The name as it was written.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl LinkName {
    /// The whole of interface `name`, with every ring pair.
    pub fn interface(name: &str) -> Result<Self, NameError> {
        format!("netmap:{name}").parse()
    }

    /// The name that the kernel knows: no scheme, no ring.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// What it is attached to.
    pub fn kind(&self) -> LinkKind {
        self.kind
    }

    /// Whether it is an interface's: it has a card, or something in the place of one.
    pub fn is_interface(&self) -> bool {
        matches!(self.kind, LinkKind::Interface | LinkKind::Xdp)
    }

    /// Which of its rings.
    pub fn rings(&self) -> Rings {
        self.rings
    }
}

/// Whether `s` can be the name of an interface or a VALE port: `IFNAMSIZ` is 16 with the NUL, and
/// the letters left out mean something in netmap's names or in the kernel's.
fn is_plain_name(s: &str) -> bool {
    (1..=15).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic() && !b"/:^{}*@".contains(&b))
}

impl FromStr for LinkName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let malformed = |what| NameError::Malformed { name: name.into(), what };
        let Some((scheme, rest)) = name.split_once(':') else {
            return Err(NameError::NoScheme(name.into()));
        };
        let vale = scheme.starts_with("vale") && is_plain_name(scheme);
        let xdp = scheme == "xdp";
        if scheme != "netmap" && !vale && !xdp {
            return Err(NameError::UnknownScheme { name: name.into(), scheme: scheme.into() });
        }
        let (rest, rings) = if let Some(rest) = rest.strip_suffix('^') {
            (rest, Rings::Host)
        } else if let Some((rest, queue)) = rest.rsplit_once('-')
            && !queue.is_empty()
            && queue.bytes().all(|b| b.is_ascii_digit())
        {
            (rest, Rings::One(queue.parse().map_err(|_| malformed("no queue has a number above 65535"))?))
        } else {
            (rest, Rings::All)
        };
        let (base, pipe) = match rest.split_once(['{', '}']) {
            Some((base, id)) => (base, Some(id)),
            None => (rest, None),
        };
        if !is_plain_name(base) {
            return Err(malformed("the name must be 1 to 15 letters, without / : ^ { } * @ or spaces"));
        }
        if pipe.is_some_and(|id| !is_plain_name(id)) {
            return Err(malformed("a pipe needs an id of 1 to 15 letters behind { or }"));
        }
        let kind = match pipe {
            Some(_) if xdp => return Err(malformed("only netmap has pipes ({ and })")),
            Some(_) => LinkKind::Pipe,
            None if vale => LinkKind::Vale,
            None if xdp => LinkKind::Xdp,
            None => LinkKind::Interface,
        };
        if rings == Rings::Host && kind != LinkKind::Interface {
            return Err(malformed("only an interface of netmap's has host rings (^)"));
        }
        let port = if vale { format!("{scheme}:{rest}") } else { rest.into() };
        Ok(Self { port, kind, rings })
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == LinkKind::Xdp {
            f.write_str("xdp:")?;
        } else if !self.port.contains(':') {
            f.write_str("netmap:")?;
        }
        f.write_str(&self.port)?;
        match self.rings {
            Rings::All => Ok(()),
            Rings::One(queue) => write!(f, "-{queue}"),
            Rings::Host => f.write_str("^"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkKind::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for (text, port, kind, rings) in [
            ("netmap:ix0", "ix0", Interface, Rings::All),
            ("netmap:ix0-2", "ix0", Interface, Rings::One(2)),
            ("netmap:ix0^", "ix0", Interface, Rings::Host),
            ("netmap:br-lan", "br-lan", Interface, Rings::All),
            ("netmap:br-lan-1", "br-lan", Interface, Rings::One(1)),
            ("netmap:eth0.100", "eth0.100", Interface, Rings::All),
            ("netmap:x{1", "x{1", Pipe, Rings::All),
            ("netmap:x}1", "x}1", Pipe, Rings::All),
            ("netmap:x}1-0", "x}1", Pipe, Rings::One(0)),
            ("vale0:a", "vale0:a", Vale, Rings::All),
            ("vale0:a-1", "vale0:a", Vale, Rings::One(1)),
            ("vale-lab:a{1", "vale-lab:a{1", Pipe, Rings::All),
            ("xdp:eth0", "eth0", Xdp, Rings::All),
            ("xdp:eth0-1", "eth0", Xdp, Rings::One(1)),
            ("xdp:br-lan", "br-lan", Xdp, Rings::All),
        ] {
            let name: LinkName = text.parse().unwrap();
            assert_eq!((name.port(), name.kind(), name.rings()), (port, kind, rings), "{text}");
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_link_is_refused_with_the_forms_that_exist() {
        for (text, what) in [
            ("ix0", "write netmap:ix0"),
            ("", "does not say how"),
            ("ix0", "or xdp:ix0"),
            ("dpdk:eth0", "unknown kind of link \"dpdk:\""),
            ("xdp:", "1 to 15 letters"),
            ("xdp:eth0^", "host rings"),
            ("xdp:eth0{1", "only netmap has pipes"),
            ("xdp:eth0-70000", "65535"),
            ("netmap:", "1 to 15 letters"),
            ("netmap:-2", "1 to 15 letters"),
            ("netmap:ix0-70000", "65535"),
            ("netmap:a name", "1 to 15 letters"),
            ("netmap:ix0/x", "1 to 15 letters"),
            ("netmap:0123456789abcdef", "1 to 15 letters"),
            ("netmap:vale0:a", "1 to 15 letters"),
            ("netmap:x{", "a pipe needs an id"),
            ("netmap:x{1}2", "a pipe needs an id"),
            ("netmap:x{1^", "host rings"),
            ("vale0:a^", "host rings"),
            ("vale0:", "1 to 15 letters"),
        ] {
            let error = text.parse::<LinkName>().unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
            assert!(error.contains("netmap:IF-QUEUE"), "{text}: {error}");
        }
    }
}
