//! System calls that are made once per operation.

/// Keeps the first items where `$known` holds, and the others elsewhere.
macro_rules! either {
    ($known:meta: { $($yes:item)* } else { $($no:item)* }) => {
        $(#[cfg($known)] $yes)*
        $(#[cfg(not($known))] $no)*
    };
}

// The processors that the crate `syscalls` supports without a nightly compiler; Cargo.toml has the same list.
either! {
    any(
        target_arch = "x86",
        target_arch = "x86_64",
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "riscv64"
    ): {
        /// A system call without the C library's function. Mitigations of speculative execution make the processor
        /// mispredict each return after a system call; this saves one return.
        macro_rules! in_place {
            ($first:expr $(, $more:expr)*) => {
                $crate::sys::system::in_place::answer(syscalls::raw_syscall!($first $(, $more)*))
            };
        }

        /// The result of such a system call, which holds the errno too.
        #[inline(always)]
        pub fn answer(value: usize) -> crate::error::Result<u64> {
            const ERRORS: usize = 4095;
            if value > usize::MAX - ERRORS {
                Err(crate::error::Errno(value.wrapping_neg() as i32))
            } else {
                Ok(value as u64)
            }
        }
    } else {
        /// A system call by the C library. The thread's errno does not change.
        macro_rules! in_place {
            ($first:expr $(, $more:expr)*) => {
                $crate::sys::thread::keeping_errno(|| $crate::sys::check(libc::syscall($first $(, $more)*).into()))
            };
        }
    }
}

pub(super) use in_place;
