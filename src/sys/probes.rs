//! Static probes for debuggers and tracers: gdb, perf, bpftrace, SystemTap. The ELF file lists them in notes, as
//! `sys/sdt.h` of SystemTap writes them. Each is one NOP in a function of its own. The library calls it only while a
//! tracer has incremented the semaphore. Other systems and processors have functions that do nothing.

pub use emitted::*;

macro_rules! probes {
    ($($(#[$doc:meta])* fn $name:ident($($value:ident: $type:ty),+) = $text:literal, $arguments:literal;)+) => {
        #[cfg(all(target_os = "linux", target_pointer_width = "64", not(any(miri, caio_posix)),
            any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
        mod emitted {
            use std::sync::atomic::AtomicU16;

            /// A tracer increments it for each probe that it watches.
            #[unsafe(link_section = ".probes")]
            static SEMAPHORE: AtomicU16 = AtomicU16::new(0);

            /// Whether a tracer watches.
            #[inline(always)]
            pub fn are_on() -> bool {
                // SAFETY: a live variable. Volatile, because the compiler sees no code that changes it.
                unsafe { (&raw const SEMAPHORE).cast::<u16>().read_volatile() != 0 }
            }

            $(
                $(#[$doc])*
                #[cold]
                #[inline(never)]
                pub fn $name($($value: $type),+) {
                    // SAFETY: a NOP. A tracer replaces it by a trap that changes nothing.
                    unsafe { nop!($text, $arguments, SEMAPHORE, $($value),+) }
                }
            )+
        }

        #[cfg(not(all(target_os = "linux", target_pointer_width = "64", not(any(miri, caio_posix)),
            any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))))]
        mod emitted {
            #[inline(always)]
            pub fn are_on() -> bool {
                false
            }

            $(
                #[inline(always)]
                pub fn $name($(_: $type),+) {}
            )+
        }
    };
}

/// The NOP and its note: the address of the NOP, of a section that tells how far the file was moved, and of the semaphore;
/// the provider, the name, and where the arguments are. See <https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation>.
#[allow(unused_macros)]
macro_rules! note {
    ($name:literal, $arguments:literal) => {
        concat!(
            "990: nop\n",
            ".pushsection .note.stapsdt, \"?\", \"note\"\n",
            ".balign 4\n",
            ".4byte 992f-991f, 994f-993f, 3\n",
            "991: .asciz \"stapsdt\"\n",
            "992: .balign 4\n",
            "993: .8byte 990b\n",
            ".8byte _.stapsdt.base\n",
            ".8byte {semaphore}\n",
            ".asciz \"caio\"\n",
            ".asciz \"",
            $name,
            "\"\n.asciz \"",
            $arguments,
            "\"\n994: .balign 4\n",
            ".popsection\n",
            ".ifndef _.stapsdt.base\n",
            ".pushsection .stapsdt.base, \"aGR\", \"progbits\", .stapsdt.base, comdat\n",
            ".weak _.stapsdt.base\n",
            ".hidden _.stapsdt.base\n",
            "_.stapsdt.base: .space 1\n",
            ".size _.stapsdt.base, 1\n",
            ".popsection\n",
            ".endif"
        )
    };
}

/// Tracers know the names of the registers in AT&T syntax.
#[cfg(target_arch = "x86_64")]
#[allow(unused_macros)]
macro_rules! nop {
    ($name:literal, $arguments:literal, $semaphore:ident, $($value:ident),+) => {
        core::arch::asm!(
            note!($name, $arguments), $(in(reg) $value,)+ semaphore = sym $semaphore,
            options(att_syntax, nostack, preserves_flags)
        )
    };
}

#[cfg(not(target_arch = "x86_64"))]
#[allow(unused_macros)]
macro_rules! nop {
    ($name:literal, $arguments:literal, $semaphore:ident, $($value:ident),+) => {
        core::arch::asm!(
            note!($name, $arguments), $(in(reg) $value,)+ semaphore = sym $semaphore,
            options(nostack, preserves_flags)
        )
    };
}

// `context` is the descriptor of a context. "8@" is an unsigned argument of 8 bytes, "-8@" a signed one.
probes! {
    /// A context accepts an operation.
    fn submit(context: i64, user_data: u64, opcode: u64, fd: i64, len: u64, offset: u64) =
        "submit", "-8@{} 8@{} 8@{} -8@{} 8@{} 8@{}";
    /// An operation takes a path: one of [`route`](super).
    fn route(context: i64, user_data: u64, opcode: u64, path: u64) = "route", "-8@{} 8@{} 8@{} 8@{}";
    /// A worker thread begins an operation.
    fn worker(context: i64, user_data: u64, opcode: u64, moved: u64) = "worker", "-8@{} 8@{} 8@{} 8@{}";
    /// The kernel's queue refused an operation with this errno, or left some of it undone (0): a worker thread retries it.
    fn retry(context: i64, user_data: u64, opcode: u64, errno: i64) = "retry", "-8@{} 8@{} 8@{} -8@{}";
    /// A cancel (ECANCELED) or a timeout (ETIMEDOUT) asks an operation to stop.
    fn cancel(context: i64, user_data: u64, opcode: u64, errno: i64) = "cancel", "-8@{} 8@{} 8@{} -8@{}";
    /// The event of an operation exists. `path` is where it completed.
    fn complete(context: i64, user_data: u64, opcode: u64, result: i64, path: u64) =
        "complete", "-8@{} 8@{} 8@{} -8@{} 8@{}";
    /// A submit of `count` operations accepts none.
    fn refuse(context: i64, count: u64, errno: i64) = "refuse", "-8@{} 8@{} -8@{}";
}
