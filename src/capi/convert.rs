//! Converts C values to checked Rust values and back. Each struct is copied once and destructured in
//! full, so that the compiler reports a field that a conversion forgets.

use std::ffi::c_int;

use super::check::fault_of;
use super::types::*;
use crate::backend::Backend;
use crate::completion::{Event, Sink};
use crate::context::{Memory, Options, Source, Stats, tell_refusal};
use crate::error::{Errno, Result};
use crate::op::{CURRENT, Code, OPENED, Op, Role, SimpleTransfer};

const _: () = assert!(OPENED == CAIO_FD_OPENED);

const EINVAL: Errno = Errno(libc::EINVAL);

/// Converts a result to the return value of a C function.
pub(super) fn ret(result: Result<u32>) -> c_int {
    match result {
        Ok(value) => c_int::try_from(value).unwrap_or(c_int::MAX),
        Err(errno) => -errno.0,
    }
}

/// Copies a versioned struct of the caller. Its first field is its `size`. Bytes that this version does
/// not know must be zero.
///
/// # Safety
/// `from` is not NULL and points to a struct that begins with its true size in a `u32`.
unsafe fn copy_versioned<T: Copy>(from: *const T) -> Result<T> {
    // SAFETY: every versioned struct begins with its size (the caller's promise).
    let size = unsafe { from.cast::<u32>().read_unaligned() } as usize;
    let known = size_of::<T>();
    if size < known {
        return Err(EINVAL);
    }
    // SAFETY: the caller says that `size` bytes are there.
    unsafe { tail_is_zero(from.cast(), known, size) }?;
    // SAFETY: at least `known` bytes are there; T is plain integers, so any bit pattern is a value.
    Ok(unsafe { from.read_unaligned() })
}

/// Fails with `E2BIG` if a byte behind the `known` ones is not zero: a newer version of the struct uses it.
///
/// # Safety
/// `size` bytes at `from` are readable, and `known <= size`.
unsafe fn tail_is_zero(from: *const u8, known: usize, size: usize) -> Result<()> {
    // SAFETY: the caller's promise.
    let tail = unsafe { std::slice::from_raw_parts(from.add(known), size - known) };
    if tail.iter().any(|byte| *byte != 0) { Err(Errno(libc::E2BIG)) } else { Ok(()) }
}

/// # Safety
/// `options` is NULL, or meets the requirements of [`copy_versioned`].
pub(super) unsafe fn options(options: *const caio_options) -> Result<Options> {
    if options.is_null() {
        return Ok(Options::default());
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    unsafe { known_options(options) }.map_err(|(errno, why)| {
        tell_refusal(format_args!("caio_ctx_new fails: {errno}: {why}"));
        errno
    })
}

/// # Safety
/// As of [`options`], and `options` is not NULL.
unsafe fn known_options(options: *const caio_options) -> std::result::Result<Options, (Errno, &'static str)> {
    // SAFETY: the caller's promise.
    let copied = unsafe { copy_versioned(options) }.map_err(|errno| match errno {
        EINVAL => (errno, "size is smaller than in this version"),
        _ => (errno, "a byte behind the fields that this version knows is not 0"),
    });
    let caio_options { size: _, backend, max_requests, threads, flags, reserved32, reserved } = copied?;
    let known = CAIO_CTX_SINGLE_THREAD | CAIO_CTX_SQPOLL | CAIO_CTX_NO_INLINE | CAIO_CTX_FASTEST_PATH;
    let backend = Backend::from_number(backend).ok_or((EINVAL, "backend is unknown"))?;
    let fault = match () {
        () if flags & !known != 0 => Some("a bit of flags is unknown"),
        () if reserved32 != 0 || reserved != [0; 5] => Some("a reserved field is not 0"),
        () if max_requests > i32::MAX as u32 => Some("max_requests is larger than INT_MAX"),
        () => None,
    };
    if let Some(why) = fault {
        return Err((EINVAL, why));
    }
    Ok(Options {
        backend,
        max_requests,
        threads,
        single_thread: flags & CAIO_CTX_SINGLE_THREAD != 0,
        sqpoll: flags & CAIO_CTX_SQPOLL != 0,
        no_inline: flags & CAIO_CTX_NO_INLINE != 0,
        fastest_path: flags & CAIO_CTX_FASTEST_PATH != 0,
    })
}

/// The caller's array of operations.
pub(super) struct Ops {
    first: *const caio_op,
    count: u32,
}

impl Ops {
    /// # Safety
    /// `first` points to `count` operations that do not change during the call. Their buffers are valid
    /// and unchanged until their events. `first` is ignored if `count` is 0.
    pub(super) unsafe fn new(first: *const caio_op, count: u32) -> Result<Self> {
        if first.is_null() && count > 0 {
            return Err(EINVAL);
        }
        Ok(Self { first, count })
    }

    pub(super) fn len(&self) -> u32 {
        self.count
    }

    #[inline(always)]
    pub(super) fn raw(&self, index: u32) -> caio_op {
        assert!(index < self.count);
        // SAFETY: within the array that `new` was promised; plain integers and pointers.
        unsafe { self.first.add(index as usize).read_unaligned() }
    }
}

impl Source for Ops {
    fn count(&self) -> u32 {
        self.count
    }

    #[inline(always)]
    fn get(&self, index: u32) -> Result<Op> {
        let op = self.raw(index);
        // SAFETY: `new` was promised that its buffers are valid and untouched until the event.
        unsafe { checked(&op) }
    }

    fn fault(&self) -> Option<String> {
        fault_of(self)
    }

    // As `Op::simple`, which takes 17 more instructions: the conversion looks the opcode up, and splits the flags.
    #[inline(always)]
    fn simple(&self, index: u32) -> Option<SimpleTransfer> {
        assert!(index < self.count);
        // SAFETY: as in `raw`.
        let op = unsafe { self.first.add(index as usize).read_unaligned() };
        let special = u64::from(op.flags) | u64::from(op.sys_flags) | u64::from(op.mode) | op.buf2.addr() as u64;
        #[cfg(target_pointer_width = "32")]
        let special = special | u64::from(op.reserved_buf | op.reserved_buf2);
        let reads = op.opcode == CAIO_OP_READ;
        ((reads || op.opcode == CAIO_OP_WRITE) && special == 0 && op.offset != CURRENT).then(|| SimpleTransfer {
            user_data: op.user_data,
            reads,
            hurried: op.timeout_ns | u64::from(op.ioprio) != 0,
            fd: op.fd,
            // SAFETY: as in `get`.
            buf: unsafe { Memory::new(op.buf) },
            len: op.len,
            offset: op.offset,
        })
    }
}

/// The flags of an operation.
pub(super) const FLAGS: u8 = CAIO_FLAG_LINK | CAIO_FLAG_FULL | CAIO_FLAG_DIR2;

/// # Safety
/// The buffers of the operation are valid and unchanged until its event, or unmapped: then it fails with EFAULT.
#[inline(always)]
unsafe fn checked(op: &caio_op) -> Result<Op> {
    // SAFETY: the caller's promise.
    unsafe { converted(op) }?.checked()
}

/// The same for an operation that may set fields that it does not use.
///
/// # Safety
/// As [`checked`].
#[inline(always)]
pub(super) unsafe fn converted(op: &caio_op) -> Result<Op> {
    let caio_op {
        user_data,
        opcode,
        flags,
        ioprio,
        fd,
        buf,
        #[cfg(target_pointer_width = "32")]
        reserved_buf,
        len,
        offset,
        sys_flags,
        mode,
        timeout_ns,
        buf2,
        #[cfg(target_pointer_width = "32")]
        reserved_buf2,
    } = *op;
    #[cfg(target_pointer_width = "32")]
    if reserved_buf != 0 || reserved_buf2 != 0 {
        return Err(EINVAL);
    }
    let code = Code::from_number(opcode).ok_or(EINVAL)?;
    if flags & !FLAGS != 0 {
        return Err(EINVAL);
    }
    Ok(Op {
        user_data,
        code,
        link: flags & CAIO_FLAG_LINK != 0,
        full: flags & CAIO_FLAG_FULL != 0,
        dir2: flags & CAIO_FLAG_DIR2 != 0,
        ioprio,
        fd,
        // SAFETY: the caller's promise is Memory's.
        buf: unsafe { Memory::new(buf) },
        len,
        offset,
        sys_flags,
        mode,
        timeout_ns,
        // SAFETY: as above.
        buf2: unsafe { Memory::new(buf2) },
        direct: false,
        storage: false,
        cached: false,
        brief: false,
        role: Role::None,
    })
}

/// The caller's array for events.
pub(super) struct Events {
    next: *mut caio_event,
    room: u32,
}

impl Events {
    /// # Safety
    /// `first` points to room for `max` events. It is ignored if `max` is 0.
    pub(super) unsafe fn new(first: *mut caio_event, max: u32) -> Result<Self> {
        if first.is_null() && max > 0 {
            return Err(EINVAL);
        }
        Ok(Self { next: first, room: max })
    }
}

impl Sink for Events {
    fn room(&self) -> u32 {
        self.room
    }

    #[inline(always)]
    fn put(&mut self, Event { user_data, result }: Event) {
        assert!(self.room > 0);
        // SAFETY: `room` counts what is left of the array that `new` was promised.
        unsafe {
            self.next.write_unaligned(caio_event { user_data, result });
            self.next = self.next.add(1);
        }
        self.room -= 1;
    }
}

/// Fills `to` up to its size, and leaves the size unchanged.
///
/// # Safety
/// `to` is not NULL and points to a struct that begins with its true size.
pub(super) unsafe fn fill_stats(to: *mut caio_stats, stats: &Stats) -> Result<u32> {
    // SAFETY: the size comes first (the caller's promise).
    let size = unsafe { to.cast::<u32>().read_unaligned() };
    let known = size_of::<caio_stats>();
    if size < 8 {
        return Err(EINVAL);
    }
    if size as usize > known {
        // SAFETY: the caller says that `size` bytes are there.
        unsafe { tail_is_zero(to.cast(), known, size as usize) }?;
    }
    let Stats { in_flight, submitted, completed, cancelled, done_inline, done_native, done_worker, retried } = *stats;
    let full = caio_stats {
        size,
        inflight: in_flight,
        submitted,
        completed,
        cancelled,
        done_inline,
        done_native,
        done_worker,
        retried,
        reserved: [0; 8],
    };
    // SAFETY: both are at least that long, and do not overlap.
    unsafe { std::ptr::copy_nonoverlapping((&raw const full).cast::<u8>(), to.cast(), known.min(size as usize)) };
    Ok(0)
}
