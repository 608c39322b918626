//! Whether this CPU has what the program was compiled for.

/// The build asks for more than this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this CPU has no {0}, which the program was built for: build it here with RUSTFLAGS=\"-C target-cpu=native\", or run it on a newer machine"
)]
pub struct Missing(&'static str);

/// Checks before the first packet; programs call it first thing.
///
/// The standard library's detection does not serve: what the compiler was told to assume, it
/// reports as present.
pub fn check() -> Result<(), Missing> {
    #[cfg(target_arch = "x86_64")]
    {
        let ecx = std::arch::x86_64::__cpuid(1).ecx;
        let wanted =
            [(cfg!(target_feature = "aes"), 25, "AES instructions"), (cfg!(target_feature = "sse4.2"), 20, "SSE 4.2")];
        for (assumed, bit, name) in wanted {
            if assumed && ecx >> bit & 1 == 0 {
                return Err(Missing(name));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_that_runs_the_tests_passes() {
        assert_eq!(super::check(), Ok(()));
    }
}
