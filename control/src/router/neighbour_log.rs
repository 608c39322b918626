//! What LAN and WAN log of their neighbours.

use hikyaku_protocols::neighbour::Output;

/// Logs what the neighbours of `link` did, if it is worth a line. The machine limits what others can cause.
pub(super) fn log(link: &str, output: &Output) {
    match output {
        Output::Ready(address) => tracing::info!(%link, %address, "the address is ours"),
        Output::Moved { addr: address, from, to } => {
            tracing::info!(%link, %address, %from, station = %to, "the neighbour's address is at another station");
        }
        Output::Claimed { addr: address, holder, by } => {
            tracing::warn!(%link, %address, station = %by, %holder, "a station wanted another's address; it was refused");
        }
        Output::Conflict { addr: address, mac } => {
            tracing::warn!(%link, %address, station = %mac, "a station uses our address; it was contradicted");
        }
        Output::Duplicate { addr: address, mac } => tracing::error!(
            %link, %address, station = %mac,
            "the address is not used, as a station has it: remove it there, or give us another"
        ),
        Output::Twin(address) => tracing::warn!(
            %link, %address,
            "a station has our Ethernet address: give it or us another (mac in [wan] or [lan])"
        ),
        Output::Send(_) | Output::Resolved(_) | Output::Lost(_) | Output::NotRouter(_) | Output::Solicited { .. } => {}
    }
}
