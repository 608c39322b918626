//! What all machines have in common, and what their callers may rely on.

use hikyaku_net::Time;

/// A protocol machine: time and bytes go in, bytes and events come out, and it does nothing by itself.
///
/// The verbs are those that other crates without I/O use. What comes in goes to the machine's own
/// `handle_input(now, …)`; what else it has to know (an address is ready, the link came up) has methods of its own.
/// Afterwards, and when [`Self::poll_timeout`] is not after `now`:
///
/// ```
/// # use hikyaku_net::Time;
/// # use hikyaku_protocols::Machine;
/// fn run<M: Machine>(machine: &mut M, now: Time, mut carry_out: impl FnMut(M::Output)) -> Option<Time> {
///     while let Some(output) = machine.drive(now) {
///         carry_out(output);
///     }
///     machine.poll_timeout() // come back then, if nothing happens before
/// }
/// ```
pub trait Machine {
    /// What is to be sent, is to be done elsewhere, or has been found out.
    type Output;

    /// Does what is due at `now`; does nothing if nothing is. What does not fit into the machine's bounded queue stays
    /// due, and is done by the next call.
    fn handle_timeout(&mut self, now: Time);

    /// Takes the next output, oldest first; `None`: there is no more for now.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// When to call [`Self::handle_timeout`] if nothing happens before; in the past while outputs wait or something
    /// is due at once. `None`: never.
    fn poll_timeout(&self) -> Option<Time>;

    /// The next output at `now`: one that waits, else the first of what is due. Once it gives `None`, all that there
    /// is to do at `now` is done.
    fn drive(&mut self, now: Time) -> Option<Self::Output> {
        self.poll_output().or_else(|| {
            self.handle_timeout(now);
            self.poll_output()
        })
    }
}
