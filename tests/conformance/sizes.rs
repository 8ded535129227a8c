//! Promise 14: structs that carry their size, reserved fields, unknown values.

use crate::support::case::Case;
use crate::support::*;

crate::promises! {
    Plan::DEFAULT => {
        options_with_a_small_size_are_einval,
        options_with_an_unknown_tail_are_e2big,
        options_with_unknown_values_are_einval,
        options_accept_every_valid_value,
        stats_fill_only_size_bytes,
        stats_with_an_unknown_tail_are_e2big,
        structs_have_the_documented_size,
    }
    Plan::EVERY => { hints_accept_every_value }
}

const EINVAL: i32 = -libc::EINVAL;
const E2BIG: i32 = -libc::E2BIG;

fn refused(options: &caio_options) -> i32 {
    Ctx::try_new(options).err().unwrap_or(0)
}

fn options_with_a_small_size_are_einval(case: &Case) {
    for size in 0..size_of::<caio_options>() as u32 {
        assert_eq!(refused(&caio_options { size, ..case.options() }), EINVAL, "size {size}");
    }
}

/// A struct of a later version: `tail` follows the fields of this version.
#[repr(C)]
struct Larger<T> {
    known: T,
    tail: [u8; 200],
}

fn options_with_an_unknown_tail_are_e2big(case: &Case) {
    for extra in [1u32, 4, 8, 64, 200] {
        let size = 64 + extra;
        let mut larger = Larger { known: caio_options { size, ..case.options() }, tail: [0; 200] };
        assert_eq!(try_larger(&larger), 0, "a tail of {extra} zeros");
        larger.tail[extra as usize - 1] = 1;
        assert_eq!(try_larger(&larger), E2BIG, "a tail that is not zero");
        // The library ignores bytes after `size`.
        if let Some(behind) = larger.tail.get_mut(extra as usize) {
            *behind = 1;
            larger.tail[extra as usize - 1] = 0;
            assert_eq!(try_larger(&larger), 0);
        }
    }
}

fn try_larger(larger: &Larger<caio_options>) -> i32 {
    let mut raw = std::ptr::null_mut();
    // SAFETY: `size` bytes are readable; the context is freed once.
    unsafe {
        let result = caio::capi::caio_ctx_new((&raw const *larger).cast(), &mut raw);
        caio::capi::caio_ctx_free(raw);
        result
    }
}

fn options_with_unknown_values_are_einval(case: &Case) {
    let good = case.options();
    for backend in [4, 5, 1000, u32::MAX] {
        assert_eq!(refused(&caio_options { backend, ..good }), EINVAL, "backend {backend}");
    }
    for bit in (3..32).filter(|bit| 1 << bit != CAIO_CTX_FASTEST_PATH) {
        assert_eq!(refused(&caio_options { flags: 1 << bit, ..good }), EINVAL, "flag bit {bit}");
    }
    assert_eq!(refused(&caio_options { reserved32: 1, ..good }), EINVAL);
    for at in 0..5 {
        let mut reserved = [0; 5];
        reserved[at] = 1;
        assert_eq!(refused(&caio_options { reserved, ..good }), EINVAL, "reserved[{at}]");
    }
}

fn options_accept_every_valid_value(case: &Case) {
    for threads in [0, 1, 2, 1000, u32::MAX] {
        let ctx = Ctx::new(&caio_options { threads, ..case.options() });
        assert_eq!(ctx.run(&[ops::nop(), ops::fsync(-1)]), [0, -EBADF], "{threads} threads");
    }
    for flags in (0..8).flat_map(|flags| [flags, flags | CAIO_CTX_FASTEST_PATH]) {
        let ctx = Ctx::new(&caio_options { flags, ..case.options() });
        assert_eq!(ctx.run(&[ops::nop(), ops::fsync(-1)]), [0, -EBADF], "flags {flags}");
        assert_eq!(ctx.backend(), case.engine() as i32, "it never falls back");
    }
}

fn stats_fill_only_size_bytes(case: &Case) {
    let ctx = case.ctx();
    ctx.run(&[ops::nop(); 3]);
    for size in 0..=size_of::<caio_stats>() {
        let mut bytes = vec![0xaau64; 16];
        let stats: *mut caio_stats = bytes.as_mut_ptr().cast();
        // SAFETY: 128 bytes, at least `size`.
        let result = unsafe {
            stats.cast::<u32>().write(size as u32);
            caio::capi::caio_ctx_stats(ctx.raw(), stats)
        };
        assert_eq!(result, if size < 8 { EINVAL } else { 0 }, "size {size}");
        // SAFETY: the same memory, as bytes.
        let bytes = unsafe { std::slice::from_raw_parts(stats.cast::<u8>(), 128) };
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().unwrap()), size as u32, "size is not changed");
        let untouched = if size < 8 { 4 } else { size };
        let pattern = 0xaau64.to_ne_bytes();
        assert!(bytes[untouched..].iter().zip(untouched..).all(|(byte, at)| *byte == pattern[at % 8]));
        if size >= 24 {
            assert_eq!(bytes[8..24], [3u64.to_ne_bytes(), 3u64.to_ne_bytes()].concat(), "submitted, completed");
        }
    }
}

fn stats_with_an_unknown_tail_are_e2big(case: &Case) {
    let ctx = case.ctx();
    ctx.run(&[ops::nop(); 3]);
    for (last, expected) in [(0, 0), (1, E2BIG)] {
        let mut larger = Larger { known: ctx.stats(), tail: [0; 200] };
        larger.known.size = 328;
        larger.known.submitted = 77;
        larger.tail[199] = last;
        // SAFETY: `size` bytes.
        let result = unsafe { caio::capi::caio_ctx_stats(ctx.raw(), (&raw mut larger).cast()) };
        assert_eq!((result, larger.known.size), (expected, 328));
        assert_eq!(larger.known.submitted, if last == 0 { 3 } else { 77 });
        assert_eq!(larger.tail[..199], [0; 199]);
    }
}

fn structs_have_the_documented_size(_: &Case) {
    assert_eq!(size_of::<caio_op>(), 64);
    assert_eq!(size_of::<caio_options>(), 64);
    assert_eq!(size_of::<caio_event>(), 16);
    assert_eq!(size_of::<caio_stats>(), 128);
}

/// `ioprio` is a hint: an invalid value changes no result.
fn hints_accept_every_value(case: &Case) {
    use std::os::fd::AsRawFd;
    let file = case.dir.cold("file", 1 << 20);
    let mut room = [0; 100];
    let ctx = case.ctx();
    for ioprio in [1, 7, 8, 0x2000, 0x4004, 0x4007, 0x6000, 0x7fff, 0x8000, 0xffff] {
        let read = ops::read(file.as_raw_fd(), &mut room, u64::from(ioprio) * 8).ioprio(ioprio);
        assert_eq!(ctx.one(read), 100, "ioprio {ioprio:#x}");
        let write = ops::write(file.as_raw_fd(), &room, 0).ioprio(ioprio);
        let others = [ops::fsync(file.as_raw_fd()).ioprio(ioprio), ops::nop().ioprio(ioprio), write.full()];
        assert_eq!(ctx.run(&others), [0, 0, 100], "ioprio {ioprio:#x}");
    }
}
