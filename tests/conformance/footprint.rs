//! The cost of a context: memory, time, threads and descriptors. Each test runs in its own process.

use crate::support::case::{Case, Variant};
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY.alone() => {
        no_thread_starts_before_it_is_needed,
        workers_stay_within_the_limit,
        every_descriptor_is_close_on_exec,
        a_context_uses_little_memory_and_time,
    }
    Plan::DEFAULT.alone() => { idle_workers_exit }
}

/// SQPOLL requests a kernel thread.
fn requested_threads(case: &Case) -> usize {
    usize::from(case.variant == Variant::Sqpoll)
}

fn no_thread_starts_before_it_is_needed(case: &Case) {
    let file = case.dir.file("file", &files::pattern(65536));
    let mut room = [0; 512];
    let before = process::threads();
    let ctx = case.ctx();
    let most = before + requested_threads(case);
    assert!(process::threads() <= most, "caio_ctx_new started a thread");
    ctx.poll(1);
    let _ = ctx.wait(1, 1, 1);
    ctx.wake();
    assert!(process::threads() <= most);
    let reads = if POSIX { 0 } else { 100 };
    for at in 0..reads {
        assert_eq!(ctx.one(ops::read(file.as_raw_fd(), &mut room, at)), 512);
    }
    for _ in 0..100 {
        assert_eq!(ctx.one(ops::nop()), 0);
    }
    if ctx.stats().done_inline == reads + 100 {
        assert!(process::threads() <= most, "an operation that completes inside submit needs no thread");
    } else {
        assert_eq!(case.variant, Variant::NoInline, "cached reads complete inside submit: {}", ctx.stats().done_inline);
    }
}

fn workers_stay_within_the_limit(case: &Case) {
    const MANY: usize = 64;
    let folder = case.dir.open();
    let stuck: Vec<Stuck> = (0..MANY).map(|_| Stuck::pipe()).collect();
    let threads = if case.variant == Variant::OneWorker { 1 } else { 3 };
    let before = process::threads();
    let ctx = Ctx::new(&caio_options { threads, ..case.options() });
    let make: Vec<_> = (0..MANY).map(|at| std::ffi::CString::new(format!("folder{at}")).unwrap()).collect();
    let mut most = 0;
    for (stuck, name) in stuck.iter().zip(&make) {
        ctx.accept(&[stuck.read(), ops::mkdirat(folder.as_raw_fd(), name, 0o700)]);
        most = most.max(process::threads());
    }
    assert_eq!(results(&ctx.collect(MANY)), [0; MANY]);
    most = most.max(process::threads());
    // Besides the workers: the poller thread, and the threads of io_uring.
    let others =
        2 + requested_threads(case) + if case.engine() == CAIO_BACKEND_URING { 2 * threads as usize + 8 } else { 0 };
    assert!(most <= before + threads as usize + others, "{} threads more, {threads} workers allowed", most - before);
    assert_eq!(ctx.cancel_all() as usize, MANY);
    ctx.collect(MANY);
}

fn every_descriptor_is_close_on_exec(case: &Case) {
    let before = process::descriptors();
    let file = case.dir.cold("file", 1 << 20);
    let name = case.dir.c("file");
    let stuck = Stuck::kinds();
    let test = process::descriptors();
    let mut room = vec![0; 4096];
    let mut stat = sys::statx_room();
    let check = |when: &str| {
        let open = process::descriptors();
        let added: Vec<i32> = open.iter().copied().filter(|fd| !test.contains(fd)).collect();
        assert!(!added.is_empty(), "the context has at least one descriptor");
        for fd in added {
            assert!(process::is_close_on_exec(fd), "descriptor {fd} survives exec, {when}");
        }
    };
    let ctx = case.ctx();
    check("new");
    for stuck in &stuck {
        ctx.accept(&[stuck.read().timeout(PATIENCE), stuck.read().full()]);
        check("with blocked reads");
    }
    assert_eq!(ctx.run_beside(ops::read(file.as_raw_fd(), &mut room, 500_000)), 4096);
    assert_eq!(ctx.run_beside(ops::statx(libc::AT_FDCWD, &name, &mut stat)), 0);
    check("after some work");
    ctx.cancel_all();
    ctx.collect(2 * stuck.len());
    check("after cancel");
    drop((ctx, stuck, file));
    let left: Vec<i32> = process::descriptors().into_iter().filter(|fd| !before.contains(fd)).collect();
    assert!(left.iter().all(|fd| process::is_close_on_exec(*fd)), "descriptors kept for later contexts: {left:?}");
}

/// Below 256 KiB of resident memory, and a creation time that a user does not notice.
fn a_context_uses_little_memory_and_time(case: &Case) {
    const COUNT: usize = 64;
    let use_it = |ctx: &Ctx| assert_eq!(ctx.run(&[ops::nop(); 4]), [0; 4]);
    use_it(&case.ctx());
    let (resident, start) = (process::resident(), Instant::now());
    let contexts: Vec<Ctx> = (0..COUNT).map(|_| case.ctx()).collect();
    let each = start.elapsed() / COUNT as u32;
    contexts.iter().for_each(use_it);
    let cost = process::resident().saturating_sub(resident) / COUNT;
    assert!(cost < 256 << 10, "a context costs {cost} bytes");
    // The goal is 1 ms. A busy machine may take ten times as long.
    assert!(each < Duration::from_millis(10), "creating a context takes {each:?}");
}

/// They exit soon enough for a test to wait.
fn idle_workers_exit(case: &Case) {
    let folder = case.dir.open();
    let before = process::threads();
    let ctx = case.ctx();
    let make: Vec<_> = (0..200).map(|at| std::ffi::CString::new(format!("folder{at}")).unwrap()).collect();
    let batch: Vec<caio_op> = make.iter().map(|name| ops::mkdirat(folder.as_raw_fd(), name, 0o700)).collect();
    assert_eq!(ctx.run(&batch), [0; 200]);
    let busy = process::threads();
    assert!(busy > before, "worker threads create directories");
    until("idle worker threads have exited", || process::threads() <= before + 1);
    assert_eq!(
        ctx.one(ops::unlinkat(folder.as_raw_fd(), c"folder0").sys(libc::AT_REMOVEDIR.into())),
        0,
        "and come back"
    );
}
