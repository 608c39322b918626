//! The answer for people.

use std::fmt;

use super::{Answer, Line, PortOwner, Remote};
use crate::table::grouped;

/// Ranges side by side.
const COLUMNS: usize = 6;

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.line {
            writeln!(f, "prefix         {}", line.end_user_prefix)?;
            writeln!(f, "rule           {}", line.rule)?;
            line.address(f)?;
            line.psid(f)?;
            writeln!(f, "CE address     {} ({} interface id)", line.ce, self.iid)?;
        }
        for br in &self.br {
            writeln!(f, "border router  {br}")?;
        }
        if let Some(line) = &self.line {
            line.ports(f)?;
        }
        self.port.iter().try_for_each(|owner| writeln!(f, "{owner}"))?;
        self.to.iter().try_for_each(|remote| writeln!(f, "{remote}"))
    }
}

impl Line {
    fn address(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ipv4_len {
            32 => writeln!(f, "IPv4 address   {}", self.ipv4),
            len => writeln!(f, "IPv4 prefix    {}/{len}: all of its addresses", self.ipv4),
        }
    }

    fn psid(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { psid, psid_len, psid_offset, .. } = self;
        match psid_len {
            0 => writeln!(f, "PSID           none: the address is not shared"),
            _ => writeln!(f, "PSID           {psid} ({psid:#x}), {psid_len} bits, offset {psid_offset}"),
        }
    }

    fn ports(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = if self.n_ranges == 1 { "range" } else { "ranges" };
        writeln!(f, "ports          {} in {} {ranges}", grouped(self.n_ports.into()), self.n_ranges)?;
        for row in self.ranges.chunks(COLUMNS) {
            let cells = row.iter().map(|(first, last)| format!("{:<11}", format!("{first}-{last}")));
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

impl fmt::Display for PortOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match (self.ours, self.psid) {
            (Some(true), _) => write!(f, "port {port} is ours"),
            (Some(false), Some(psid)) => write!(f, "port {port} is not ours: it is of PSID {psid}"),
            (Some(false), None) => write!(f, "port {port} is not ours: nobody has it, the first ports are left out"),
            (None, Some(psid)) => write!(f, "port {port} is of PSID {psid}"),
            (None, None) => write!(f, "port {port} is nobody's: the first ports are left out"),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ce, self.psid) {
            (Some(ce), Some(psid)) => write!(f, "{} is at CE {ce}, PSID {psid}", self.to),
            (Some(ce), None) => write!(f, "{} is at CE {ce}", self.to),
            (None, _) => write!(f, "{} is at no CE of these rules: it is reached through the border router", self.to),
        }
    }
}
