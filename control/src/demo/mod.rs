//! `hikyaku demo`.
pub mod border_router;
pub mod datagram;
use clap::Args;
/// Demo.
#[derive(Args, Debug)]
pub struct DemoArgs {}
/// Runs it.
pub fn run(_args: &DemoArgs) -> anyhow::Result<()> {
    Ok(())
}
