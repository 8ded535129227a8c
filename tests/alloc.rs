//! After warm-up, no operation allocates memory, on any backend and path.

#![cfg(target_os = "linux")]

#[macro_use]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use caio::capi::{caio_ctx_submit, caio_ctx_submit_poll, caio_ctx_wait};
use support::case::Case;
use support::files::pattern;
use support::*;

/// Counts the allocations of all threads.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: calls the system allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Relaxed: a statistic, read when no other thread allocates.
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises.
        unsafe { System.dealloc(old, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BATCH: usize = 64;
const OPERATIONS: usize = 10_000;
/// The allowed number of allocations for all operations: one more thread, or a table that grows once.
const A_FEW: usize = 100;
/// Workers start when there is need, also late, and each start allocates a little: so few that this is among the few.
const WORKERS: u32 = 4;

/// How operations are submitted and events taken.
#[derive(Clone, Copy)]
enum Way {
    SubmitThenWait,
    SubmitPoll,
}

/// Runs a batch to its end and allocates nothing itself. Returns false if a result is not in `good`.
fn run_batch(ctx: &Ctx, ops: &[caio_op], good: &[i64], way: Way, after_submit: &mut dyn FnMut()) -> bool {
    let mut events = [const { caio_event { user_data: 0, result: 0 } }; BATCH];
    let (first, count) = (ops.as_ptr(), ops.len() as u32);
    let mut polled = 0;
    // SAFETY: a live context; operations and events are as many as said.
    let accepted = unsafe {
        match way {
            Way::SubmitThenWait => caio_ctx_submit(ctx.raw(), first, count),
            Way::SubmitPoll => caio_ctx_submit_poll(ctx.raw(), first, count, events.as_mut_ptr(), count, &mut polled),
        }
    };
    assert_eq!(accepted, count as i32);
    after_submit();
    let mut fine = events[..polled as usize].iter().all(|event| good.contains(&event.result));
    let mut left = count - polled;
    while left > 0 {
        // SAFETY: room for all that is left.
        let got = unsafe { caio_ctx_wait(ctx.raw(), events.as_mut_ptr(), 1, left, PATIENCE.as_nanos() as i64) };
        assert!(got > 0, "{got}");
        fine &= events[..got as usize].iter().all(|event| good.contains(&event.result));
        left -= got as u32;
    }
    fine
}

/// Runs the batch repeatedly. After warm-up, that allocates nothing.
fn allocates_nothing(what: &str, ctx: &Ctx, ops: &[caio_op], good: &[i64], mut after_submit: impl FnMut()) {
    for way in [Way::SubmitThenWait, Way::SubmitPoll] {
        let mut run = |operations: usize| {
            for _ in 0..operations.div_ceil(ops.len()) {
                assert!(run_batch(ctx, ops, good, way, &mut after_submit), "{what}: a wrong result");
            }
        };
        run(OPERATIONS / 4);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        run(OPERATIONS);
        let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert!(allocated <= A_FEW, "{what}: {allocated} allocations in {OPERATIONS} operations");
    }
}

fn files(case: &Case) {
    let file = case.dir.file("file", &pattern(BATCH * sys::PAGE));
    let fd = file.as_raw_fd();
    let memory = sys::Map::new(BATCH * sys::PAGE);
    let page = |at: usize| memory.address(at * sys::PAGE);
    let iovecs: Vec<libc::iovec> =
        (0..BATCH).map(|at| libc::iovec { iov_base: page(at).cast(), iov_len: 100 }).collect();
    let moved = |opcode, at: usize| op(opcode, fd).buf(page(at)).len(100).at((at * sys::PAGE) as u64);
    let vector = |opcode, at: usize| op(opcode, fd).buf(&iovecs[at]).len(1).at((at * sys::PAGE) as u64);
    let batch = |make: &dyn Fn(usize) -> caio_op| (0..BATCH).map(make).collect::<Vec<_>>();
    let in_fours = |make: &dyn Fn(usize) -> caio_op| batch(&|at| if at % 4 < 3 { make(at).link() } else { make(at) });

    let kinds: [(&str, Vec<caio_op>, &[i64]); 12] = [
        ("NOP", batch(&|_| ops::nop()), &[0]),
        ("reads", batch(&|at| moved(CAIO_OP_READ, at)), &[100]),
        ("full reads", batch(&|at| moved(CAIO_OP_READ, at).full()), &[100]),
        ("vectored reads", batch(&|at| vector(CAIO_OP_READV, at)), &[100]),
        ("writes", batch(&|at| moved(CAIO_OP_WRITE, at)), &[100]),
        ("vectored writes", batch(&|at| vector(CAIO_OP_WRITEV, at).full()), &[100]),
        ("syncs", batch(&|_| op(CAIO_OP_SYNC_RANGE, fd).len(4096)), &[0]),
        ("truncations", batch(&|_| ops::truncate(fd, (BATCH * sys::PAGE) as u64)), &[0]),
        ("reads with a timeout", batch(&|at| moved(CAIO_OP_READ, at).timeout(PATIENCE)), &[100]),
        ("chains of NOP", in_fours(&|_| ops::nop()), &[0]),
        ("chains of reads", in_fours(&|at| moved(CAIO_OP_READ, at)), &[100]),
        ("chains that break", in_fours(&|_| ops::close(-1)), &[-(libc::EBADF as i64), -(libc::ECANCELED as i64)]),
    ];
    for flags in [0, CAIO_CTX_NO_INLINE] {
        let ctx = Ctx::new(&caio_options { flags, threads: WORKERS, ..case.options() });
        for (what, batch, good) in &kinds {
            allocates_nothing(&format!("{what}, flags {flags}"), &ctx, batch, good, || {});
        }
    }
}

fn paths(case: &Case) {
    case.dir.file("file", b"");
    let (path, missing) = (case.dir.c("file"), case.dir.c("a-rather-long-name-of-a-file-that-is-not-there"));
    let mut rooms = [const { std::mem::MaybeUninit::<libc::statx>::uninit() }; BATCH];
    let stats: Vec<caio_op> = rooms
        .iter_mut()
        .map(|room| op(CAIO_OP_STATX, libc::AT_FDCWD).buf(path.as_ptr()).buf2(room.as_mut_ptr()).mode(libc::STATX_SIZE))
        .collect();
    let open = ops::openat(libc::AT_FDCWD, &missing, libc::O_RDONLY, 0);
    let ctx = Ctx::new(&caio_options { threads: WORKERS, ..case.options() });
    const ENOENT: i64 = -(libc::ENOENT as i64);
    allocates_nothing("statx", &ctx, &stats, &[0], || {});
    allocates_nothing("openat", &ctx, &[open; BATCH], &[ENOENT], || {});
    allocates_nothing("unlinkat", &ctx, &[ops::unlinkat(libc::AT_FDCWD, &missing); BATCH], &[ENOENT], || {});
    let rename = ops::renameat(libc::AT_FDCWD, &missing, &path);
    allocates_nothing("renameat", &ctx, &[rename; BATCH], &[ENOENT], || {});
}

/// Reads that wait for a pipe until data, a cancel or a timeout ends them.
fn pipes(case: &Case) {
    let (reader, writer) = sys::pipe();
    let mut bytes = [0u8; BATCH];
    let reads: Vec<caio_op> = bytes
        .iter_mut()
        .map(|byte| ops::read(reader.as_raw_fd(), std::slice::from_mut(byte), CAIO_OFFSET_CURRENT))
        .collect();
    let timed: Vec<caio_op> = reads.iter().map(|read| read.timeout(Duration::from_micros(10))).collect();
    for flags in [0, CAIO_CTX_NO_INLINE] {
        let ctx = Ctx::new(&caio_options { flags, threads: WORKERS, ..case.options() });
        let name = |what: &str| format!("{what}, flags {flags}");
        allocates_nothing(&name("pipe reads"), &ctx, &reads, &[1], || sys::write_all(&writer, &[7; BATCH]));
        let cancelled = [-i64::from(libc::ECANCELED)];
        allocates_nothing(&name("cancelled pipe reads"), &ctx, &reads, &cancelled, || {
            ctx.cancel_all();
        });
        let late = [-i64::from(libc::ETIMEDOUT)];
        allocates_nothing(&name("timed pipe reads"), &ctx, &timed, &late, || {});
    }
}

promises! {
    Plan::ALONE => { files, paths, pipes }
}
