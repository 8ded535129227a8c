//! Submit operations, take events, cancel.

use std::ffi::c_int;

use super::convert::{Events, Ops, ret};
use super::ctx::{caio_ctx, get};
use super::types::{caio_event, caio_op};
use crate::context::keeping_errno;

/// Submits operations and returns how many it accepted. Each accepted operation yields exactly one event.
///
/// It accepts the first operations of the array, as many as fit, and never splits a chain. If `count` is not 0, it never
/// returns 0. If it returns less than `count`, call again with the rest: they are accepted, or the error gives the reason.
///
/// Ownership: the call copies the operations and their path strings. `fd`, buffers, iovec arrays and statx buffers must stay
/// valid and unchanged until the event.
/// Threads: any; on a SINGLE_THREAD context, only its own. A thread may exit right after the call.
/// Blocks: never for data to be read, written or synced, even for buffered files. The submission of io_uring may wait briefly
/// for a full device queue or for file-system metadata.
/// Units: `count` is in operations.
/// Errors, only if it accepted none; `-EINVAL` takes precedence over `-EAGAIN`:
/// - `-EAGAIN`: the context is full. Take events first.
/// - `-EINVAL`: a pointer is NULL; the first operation or a member of its chain is malformed.
/// - `-E2BIG`: the chain is longer than `max_requests`.
/// - `-ENOMEM`: there is not enough memory for the copies.
/// - `-EPERM`: the context is SINGLE_THREAD and belongs to another thread.
/// - `-EOWNERDEAD`: the context belongs to the parent process; see caio_ctx_free(3).
///
/// A problem with a file or with memory is the result of the operation, as from the plain system call.
/// See caio_ctx_submit(3).
///
/// # Safety
/// `ctx` is NULL or a live context; `ops` points to `count` operations whose buffers stay valid until their events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_submit(ctx: *mut caio_ctx, ops: *const caio_op, count: u32) -> c_int {
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Ops::new(ops, count)?))) };
    ret(args.and_then(|(ctx, ops)| ctx.submit(&ops)))
}

/// Submits like `caio_ctx_submit`, then takes events like `caio_ctx_poll`, even if it accepted no operation.
/// Returns what `caio_ctx_submit` returns. Always sets `*polled` to the number of events.
///
/// Cached reads complete immediately, so the same call often returns their events. It does not signal the descriptor for the
/// events that it returns. Handle the events before an error. If the error is `-EAGAIN` and `*polled` is not 0, try again.
///
/// Ownership: as for `caio_ctx_submit` and `caio_ctx_poll`.
/// Threads: any; on a SINGLE_THREAD context, only its own.
/// Blocks: as `caio_ctx_submit`.
/// Units: `count` is in operations, `max_events` and `*polled` are in events.
/// Errors: those of `caio_ctx_submit`; `-EINVAL` (`polled` is NULL; `events` is NULL and `max_events` is not 0).
///
/// See caio_ctx_submit_poll(3).
///
/// # Safety
/// As `caio_ctx_submit`; `events` has room for `max_events`; `polled` is NULL (`-EINVAL`) or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_submit_poll(
    ctx: *mut caio_ctx,
    ops: *const caio_op,
    count: u32,
    events: *mut caio_event,
    max_events: u32,
    polled: *mut u32,
) -> c_int {
    if polled.is_null() {
        return -libc::EINVAL;
    }
    // SAFETY: not NULL; the caller promises that it is writable.
    unsafe { polled.write(0) };
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Ops::new(ops, count), Events::new(events, max_events)?))) };
    ret(args.and_then(|(ctx, ops, mut events)| {
        let (accepted, got) = match ops {
            Ok(ops) => ctx.submit_poll(&ops, &mut events)?,
            Err(errno) => (Err(errno), ctx.poll(&mut events)?),
        };
        // SAFETY: as above.
        unsafe { polled.write(got) };
        accepted
    }))
}

/// Takes up to `max_events` pending events and returns how many. Returns 0 if no completion is pending.
///
/// Ownership: `events` is the caller's. The memory and the descriptor of an operation are the caller's again when its event
/// is taken. Data that the operation wrote is then visible.
/// Threads: any; on a SINGLE_THREAD context, only its own.
/// Blocks: never.
/// Units: `max_events` is in events.
/// Errors: `-EINVAL` (`ctx` is NULL; `events` is NULL and `max_events` is not 0); `-EPERM` (SINGLE_THREAD context of another thread);
/// `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
///
/// See caio_ctx_poll(3).
///
/// # Safety
/// `ctx` is NULL or a live context; `events` has room for `max_events`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_poll(ctx: *mut caio_ctx, events: *mut caio_event, max_events: u32) -> c_int {
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Events::new(events, max_events)?))) };
    ret(args.and_then(|(ctx, mut events)| ctx.poll(&mut events)))
}

/// Sleeps, then takes pending events like `caio_ctx_poll`. It sleeps until one of these happens:
/// - `min_events` completions are pending. If `min_events` is 0, it does not sleep.
/// - `timeout_ns` is over. A negative number means no limit.
/// - A thread calls `caio_ctx_wake`.
/// - A signal handler runs.
///
/// Fewer than `min_events` is normal. It sleeps even if no operation is in flight.
///
/// Ownership: as for `caio_ctx_poll`.
/// Threads: any; on a SINGLE_THREAD context, only its own. Several threads may wait at the same time.
/// Blocks: yes.
/// Units: `timeout_ns` is in nanoseconds, `min_events` and `max_events` are in events.
/// Errors: those of `caio_ctx_poll`; `-EINVAL` (`min_events` is larger than `max_events`); `-EINTR` (a signal handler ran and no
/// completion is pending).
///
/// See caio_ctx_wait(3).
///
/// # Safety
/// As `caio_ctx_poll`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_wait(
    ctx: *mut caio_ctx,
    events: *mut caio_event,
    min_events: u32,
    max_events: u32,
    timeout_ns: i64,
) -> c_int {
    // SAFETY: the caller's promises.
    let args = unsafe { get(ctx).and_then(|ctx| Ok((ctx, Events::new(events, max_events)?))) };
    ret(args.and_then(|(ctx, mut events)| keeping_errno(|| ctx.wait(&mut events, min_events, timeout_ns))))
}

/// Ends a `caio_ctx_wait` that is sleeping, or else makes the next one return early. Several wakes before one wait count as one.
///
/// Threads: any, even on a SINGLE_THREAD context. A signal handler may call it.
/// Blocks: no.
/// Errors: `-EINVAL` (NULL); `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
///
/// See caio_ctx_wake(3).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_wake(ctx: *mut caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.wake()))
}

/// Asks every operation with this `user_data` to stop, unless it has completed. Returns how many it asked.
/// Each still yields its one event: `-ECANCELED` if the cancel stopped it, its true result if not.
///
/// Ownership: the memory and the descriptor of an operation stay the library's until its event.
/// Threads: any; on a SINGLE_THREAD context, only its own.
/// Blocks: no.
/// Errors: `-ENOENT` (no such operation); `-EINVAL` (NULL); `-EPERM` (SINGLE_THREAD context of another thread);
/// `-EOWNERDEAD` (the context belongs to the parent process; see caio_ctx_free(3)).
///
/// See caio_ctx_cancel(3).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_cancel(ctx: *mut caio_ctx, user_data: u64) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.cancel(user_data)))
}

/// Like `caio_ctx_cancel`, for every operation that uses the descriptor `fd` as its `fd`.
///
/// Ownership, threads, blocking, errors: as for `caio_ctx_cancel`. See caio_ctx_cancel_fd(3).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_cancel_fd(ctx: *mut caio_ctx, fd: c_int) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.cancel_fd(fd)))
}

/// Like `caio_ctx_cancel`, for every operation of the context. Returns 0 if there is none.
///
/// Ownership, threads, blocking, errors: as for `caio_ctx_cancel`, without `-ENOENT`. See caio_ctx_cancel_all(3).
///
/// # Safety
/// `ctx` is NULL or a live context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_ctx_cancel_all(ctx: *mut caio_ctx) -> c_int {
    // SAFETY: the caller's promise.
    ret(unsafe { get(ctx) }.and_then(|ctx| ctx.cancel_all()))
}
