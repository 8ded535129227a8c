//! Bad arguments: each call fails with an error, and has no other effect.

#![cfg(all(target_os = "linux", not(caio_targets)))]

#[macro_use]
mod support;

use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

use caio::capi::*;
use support::case::Case;
use support::*;

const EINVAL: i32 = -libc::EINVAL;
const E2BIG: i32 = -libc::E2BIG;

fn no_event() -> caio_event {
    caio_event { user_data: 0, result: 0 }
}

#[test]
fn null_contexts() {
    let (mut event, mut polled) = (no_event(), 7);
    let nop = op(CAIO_OP_NOP, 0);
    // SAFETY: every function accepts NULL.
    unsafe {
        caio_ctx_free(null_mut());
        assert_eq!(caio_ctx_submit(null_mut(), &nop, 1), EINVAL);
        assert_eq!(caio_ctx_submit(null_mut(), null(), 0), EINVAL);
        assert_eq!(caio_ctx_submit_poll(null_mut(), &nop, 1, &mut event, 1, &mut polled), EINVAL);
        assert_eq!(polled, 0, "always set");
        assert_eq!(caio_ctx_submit_poll(null_mut(), &nop, 1, &mut event, 1, null_mut()), EINVAL);
        assert_eq!(caio_ctx_poll(null_mut(), &mut event, 1), EINVAL);
        assert_eq!(caio_ctx_wait(null_mut(), &mut event, 0, 1, 0), EINVAL);
        assert_eq!(caio_ctx_wake(null_mut()), EINVAL);
        assert_eq!(caio_ctx_cancel(null_mut(), 0), EINVAL);
        assert_eq!(caio_ctx_cancel_fd(null_mut(), 0), EINVAL);
        assert_eq!(caio_ctx_cancel_all(null_mut()), EINVAL);
        assert_eq!(caio_ctx_eventfd(null()), EINVAL);
        assert_eq!(caio_ctx_backend(null()), EINVAL);
        assert_eq!(caio_ctx_max_requests(null()), EINVAL);
        assert_eq!(caio_ctx_stats(null(), null_mut()), EINVAL);
        assert_eq!(caio_ctx_new(null(), null_mut()), EINVAL);
        assert_eq!(caio_ctx_new(&options(0), null_mut()), EINVAL);
    }
}

#[test]
fn error_texts() {
    for error in [0, i32::MIN, i32::MIN + 1, i32::MAX, -4095, 4096].into_iter().chain(-200..=200) {
        let (text, negated) = (caio_strerror(error), caio_strerror(error.wrapping_neg()));
        assert!(!text.is_null() && !negated.is_null(), "{error}");
        // SAFETY: static texts.
        let (text, negated) = unsafe { (CStr::from_ptr(text), CStr::from_ptr(negated)) };
        assert!(!text.is_empty() && text == negated, "{error}: {text:?}, {negated:?}");
    }
    // SAFETY: a static text.
    let text = unsafe { CStr::from_ptr(caio_strerror(-libc::ENOENT)) };
    assert_eq!(text, c"No such file or directory");
}

#[test]
fn backend_numbers() {
    for backend in [4, 5, 255, 256, u32::MAX - 1, u32::MAX] {
        assert!(caio_backend_name(backend).is_null(), "{backend}");
        let (result, why) = probe(backend);
        assert!(result == EINVAL && !why.is_empty(), "{backend}: {result}, {why}");
        assert_eq!(Ctx::try_new(&options(backend)).err(), Some(EINVAL), "{backend}");
    }
}

#[test]
fn probe_buffers() {
    const MARK: u8 = 0x55;
    for backend in [0, 1, 2, 3, 4, u32::MAX] {
        let (result, whole) = probe(backend);
        for size in [0, 1, 2, 3, 10, whole.len(), whole.len() + 1] {
            let mut why = vec![MARK; size + 8];
            // SAFETY: longer than the given size.
            let again = unsafe { caio_backend_probe(backend, why.as_mut_ptr().cast(), size) };
            assert_eq!(again, result, "backend {backend}, size {size}");
            assert!(why[size..].iter().all(|byte| *byte == MARK), "backend {backend}, size {size}: beyond the end");
            if size > 0 {
                let text = CStr::from_bytes_until_nul(&why[..size]).expect("NUL-terminated within its size");
                let text = text.to_str().expect("no half of a character");
                // Numbers in the text may change between two calls. Its beginning does not.
                assert!(size > 10 || whole.starts_with(text), "backend {backend}, size {size}: {text}");
            }
        }
        let nothing: *mut c_char = null_mut();
        // SAFETY: NULL is allowed with size 0, and an error otherwise.
        unsafe {
            assert_eq!(caio_backend_probe(backend, nothing, 0), result);
            assert_eq!(caio_backend_probe(backend, nothing, 1), EINVAL);
            assert_eq!(caio_backend_probe(backend, nothing, usize::MAX), EINVAL);
        }
    }
}

/// The result of `caio_ctx_new` for these bytes. The first four are the size.
fn new_from(bytes: &[u64]) -> i32 {
    let mut ctx = std::ptr::dangling_mut();
    // SAFETY: as long as its size field.
    let result = unsafe { caio_ctx_new(bytes.as_ptr().cast(), &mut ctx) };
    assert_eq!(result < 0, ctx.is_null(), "*ctx is NULL after a failure, and only then: {result}");
    // SAFETY: NULL or a new context.
    unsafe { caio_ctx_free(ctx) };
    result
}

#[test]
fn option_sizes() {
    let sized = |size: usize, words: usize| {
        let mut bytes = vec![0u64; words];
        bytes[0] = (CAIO_BACKEND_THREAD as u64) << 32 | size as u64;
        bytes
    };
    for size in 0..64 {
        assert_eq!(new_from(&sized(size, 8)), EINVAL, "size {size}");
    }
    for size in [64, 65, 71, 72, 128, 4096, 1 << 20] {
        let mut bytes = sized(size, size / 8 + 1);
        assert_eq!(new_from(&bytes), 0, "size {size}, the tail zero");
        if size > 64 {
            let last = (size - 1) / 8;
            bytes[last] = 1 << ((size - 1) % 8 * 8);
            assert_eq!(new_from(&bytes), E2BIG, "size {size}, its last byte set");
            bytes[last] = 0;
        }
        if size % 8 != 0 {
            bytes[size / 8] = 1 << (size % 8 * 8);
            assert_eq!(new_from(&bytes), 0, "size {size}, the byte after it is not read");
        }
    }
}

#[test]
fn reserved_and_unknown_options() {
    for word in 2..8 {
        for bit in 0..64 {
            let mut bytes = [64 | (CAIO_BACKEND_THREAD as u64) << 32, 0, 0, 0, 0, 0, 0, 0];
            bytes[word] = 1 << bit;
            // Word 2 is the flags and a reserved field. The rest is reserved.
            let flags = [CAIO_CTX_SINGLE_THREAD, CAIO_CTX_SQPOLL, CAIO_CTX_NO_INLINE, CAIO_CTX_FASTEST_PATH];
            let known = word == 2 && flags.map(u64::from).contains(&(1 << bit));
            assert_eq!(new_from(&bytes), if known { 0 } else { EINVAL }, "word {word}, bit {bit}");
        }
    }
}

fn huge_numbers_in_options(case: &Case) {
    for max_requests in [1 << 31, u32::MAX] {
        let options = caio_options { max_requests, ..case.options() };
        assert_eq!(Ctx::try_new(&options).err(), Some(EINVAL), "{max_requests}");
    }
    // Missing resources are an error, and never end the process. The limit protects the machine.
    process::limit(libc::RLIMIT_AS, 1 << 30);
    for max_requests in [i32::MAX as u32, 1 << 30, 1 << 24] {
        match Ctx::try_new(&caio_options { max_requests, ..case.options() }) {
            Ok(ctx) => assert_eq!(ctx.max_requests() as u32, max_requests),
            Err(errno) => assert!([-libc::ENOMEM, -libc::EAGAIN].contains(&errno), "{max_requests}: {errno}"),
        }
    }
    for threads in [i32::MAX as u32, u32::MAX] {
        let ctx = Ctx::new(&caio_options { threads, ..case.options() });
        assert_eq!(ctx.one(ops::fsync(-1)), -i64::from(libc::EBADF), "{threads} threads at most");
    }
}

fn stats_sizes(case: &Case) {
    const MARK: u8 = 0x55;
    let ctx = case.ctx();
    assert_eq!(ctx.one(op(CAIO_OP_NOP, -1)), 0);
    let whole = ctx.stats();
    assert_eq!((whole.submitted, whole.completed), (1, 1));
    let ask = |bytes: &mut [u8], size: u32| {
        bytes[..4].copy_from_slice(&size.to_ne_bytes());
        // SAFETY: longer than the size in it.
        let result = unsafe { caio_ctx_stats(ctx.raw(), bytes.as_mut_ptr().cast()) };
        assert_eq!(bytes[..4], size.to_ne_bytes(), "size itself is not changed");
        result
    };
    for size in 0..8 {
        let mut bytes = [MARK; 136];
        assert_eq!(ask(&mut bytes, size), EINVAL, "size {size}");
        assert!(bytes[4..].iter().all(|byte| *byte == MARK), "size {size}: nothing is written");
    }
    for size in 8..=128 {
        let mut bytes = [MARK; 136];
        assert_eq!(ask(&mut bytes, size), 0, "size {size}");
        assert!(bytes[size as usize..].iter().all(|byte| *byte == MARK), "size {size}: filled only that much");
        assert_eq!(&bytes[4..8], [0; 4], "nothing in flight");
        if size >= 16 {
            assert_eq!(bytes[8..16], 1u64.to_ne_bytes(), "size {size}: submitted");
        }
    }
    let mut bytes = vec![0; 4096];
    assert_eq!(ask(&mut bytes, 4096), 0, "a larger size with a zero tail");
    bytes[4095] = 1;
    assert_eq!(ask(&mut bytes, 4096), E2BIG);
    bytes[4095] = 0;
    // SAFETY: NULL is accepted.
    assert_eq!(unsafe { caio_ctx_stats(ctx.raw(), null_mut()) }, EINVAL);
}

fn null_arrays(case: &Case) {
    let ctx = case.ctx();
    let (raw, nop) = (ctx.raw(), op(CAIO_OP_NOP, -1));
    let (mut event, mut polled) = (no_event(), 7);
    // SAFETY: a live context. NULL arrays are an error, and ignored with a count of 0.
    unsafe {
        for count in [1, 2, i32::MAX as u32, u32::MAX] {
            assert_eq!(caio_ctx_submit(raw, null(), count), EINVAL, "{count}");
            assert_eq!(caio_ctx_poll(raw, null_mut(), count), EINVAL, "{count}");
            assert_eq!(caio_ctx_wait(raw, null_mut(), 0, count, 0), EINVAL, "{count}");
            assert_eq!(caio_ctx_wait(raw, null_mut(), 1, count, -1), EINVAL, "{count}");
            polled = 7;
            assert_eq!(caio_ctx_submit_poll(raw, null(), count, &mut event, 1, &mut polled), EINVAL, "{count}");
            assert_eq!(polled, 0);
            polled = 7;
            assert_eq!(caio_ctx_submit_poll(raw, &nop, 1, null_mut(), count, &mut polled), EINVAL, "{count}");
            assert_eq!(polled, 0);
        }
        assert_eq!(caio_ctx_submit_poll(raw, &nop, 1, &mut event, 1, null_mut()), EINVAL);
        assert_eq!(caio_ctx_submit(raw, null(), 0), 0);
        assert_eq!(caio_ctx_submit_poll(raw, null(), 0, null_mut(), 0, &mut polled), 0);
        assert_eq!(caio_ctx_poll(raw, null_mut(), 0), 0);
        assert_eq!(caio_ctx_wait(raw, null_mut(), 0, 0, -1), 0);
    }
    assert_eq!(ctx.stats().submitted, 0, "no operation was accepted");
}

fn numbers_of_events(case: &Case) {
    let ctx = case.ctx();
    let raw = ctx.raw();
    let mut event = no_event();
    // SAFETY: a live context, and never more than one event.
    unsafe {
        for (min, max) in [(1, 0), (2, 1), (u32::MAX, 0), (u32::MAX, 1), (u32::MAX, u32::MAX - 1)] {
            assert_eq!(caio_ctx_wait(raw, &mut event, min, max, -1), EINVAL, "{min} of at most {max}");
        }
        ctx.accept(&[op(CAIO_OP_NOP, -1).tag(1)]);
        assert_eq!(caio_ctx_wait(raw, &mut event, u32::MAX, u32::MAX, 50_000_000), 1, "timeout: the pending event");
        assert_eq!(event.user_data, 1);
        ctx.accept(&[op(CAIO_OP_NOP, -1).tag(2)]);
        assert_eq!(caio_ctx_poll(raw, null_mut(), 0), 0);
        until("an event", || caio_ctx_poll(raw, &mut event, u32::MAX) == 1);
        assert_eq!(event.user_data, 2);
        for timeout in [i64::MIN, i64::MIN + 1, -1, i64::MAX] {
            assert_eq!(caio_ctx_wake(raw), 0);
            assert_eq!(caio_ctx_wait(raw, &mut event, 1, 1, timeout), 0, "timeout {timeout}: woken");
        }
    }
}

fn unknown_opcodes_and_flags(case: &Case) {
    let ctx = case.ctx();
    for opcode in 37..=255 {
        assert_eq!(ctx.submit(&[op(opcode, -1)]), EINVAL, "opcode {opcode}");
    }
    for bit in 1..8 {
        assert_eq!(ctx.submit(&[op(CAIO_OP_NOP, -1).flag(1 << bit)]), EINVAL, "flag {bit}");
    }
    let nop = op(CAIO_OP_NOP, -1);
    assert_eq!(ctx.submit(&[nop.link()]), EINVAL, "LINK on the last of a call");
    assert_eq!(ctx.submit(&[nop, op(99, -1), nop]), 1, "the prefix before the malformed one");
    assert_eq!(ctx.submit(&[nop, nop.link(), op(99, -1)]), 1, "a chain whole or not at all");
    assert_eq!(ctx.collect(2).len(), 2);
    assert_eq!(ctx.stats().submitted, 2);
}

fn cancels_of_nothing(case: &Case) {
    let ctx = case.ctx();
    for user_data in [0, 1, u64::MAX] {
        assert_eq!(ctx.cancel(user_data), -libc::ENOENT);
    }
    for fd in [-1, 0, i32::MIN, i32::MAX, libc::AT_FDCWD, ctx.eventfd()] {
        assert_eq!(ctx.cancel_fd(fd), -libc::ENOENT, "{fd}");
    }
    assert_eq!(ctx.cancel_all(), 0);
}

/// Sums of times and offsets do not overflow.
fn the_largest_timeouts(case: &Case) {
    let ctx = case.ctx();
    let (reader, writer) = sys::pipe();
    let mut bytes = [0u8; 3];
    for (at, nanos) in [u64::MAX, i64::MAX as u64, u64::MAX / 2 + 1].into_iter().enumerate() {
        let mut read = ops::read(std::os::fd::AsRawFd::as_raw_fd(&reader), &mut bytes[at..=at], CAIO_OFFSET_CURRENT);
        read.timeout_ns = nanos;
        ctx.accept(&[read.tag(9)]);
        assert_eq!(ctx.wait(1, 1, 20_000_000), Ok(vec![]), "{nanos} ns have not passed");
        sys::write_all(&writer, b"x");
        assert_eq!(ctx.collect(1), [Event { user_data: 9, result: 1 }]);
    }
}

promises! {
    Plan::DEFAULT => {
        stats_sizes, null_arrays, numbers_of_events, unknown_opcodes_and_flags,
        cancels_of_nothing, the_largest_timeouts,
    }
    Plan::ALONE => { huge_numbers_in_options, wild }
}

#[path = "hostile/wild.rs"]
mod wild_operations;
use wild_operations::wild;
