//! A disk that is slow, that hangs for a while, or that fails a sync of several callers.

use std::os::fd::AsRawFd;

use super::support::case::Case;
use super::support::faultfs::FaultFs;
use super::support::*;
use super::{PAGE, file, neg};

const ECANCELED: i64 = -(libc::ECANCELED as i64);

fn page_op(opcode: u8, fd: i32, memory: &sys::Map, at: usize) -> caio_op {
    let place = at * PAGE;
    op(opcode, fd).buf(memory.address(place)).len(PAGE as u64).at(place as u64).tag(at as u64)
}

/// With slow requests, each operation completes once.
pub fn slow_requests(case: &Case) {
    const COUNT: usize = 16;
    let ctx = case.ctx();
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    let file = file(&faults, libc::O_DIRECT);
    let fd = file.as_raw_fd();
    let memory = sys::Map::new(COUNT * PAGE);
    faults.tell("any slow 30 times=all");
    let mut batch = Vec::new();
    for at in 0..COUNT {
        batch.push(page_op(if at % 2 == 0 { CAIO_OP_READ } else { CAIO_OP_WRITE }, fd, &memory, at));
        batch.push(ops::fdsync(fd));
    }
    let results = ctx.run(&batch);
    let good = |(at, result): (usize, &i64)| *result == if at % 2 == 0 { PAGE as i64 } else { 0 };
    assert!(results.iter().enumerate().all(good), "{results:?}");
    faults.tell("clear");
    tried(batch.len(), "slow reads, writes and syncs (FUSE)");
}

/// A cancel or timeout does not interrupt a request that hangs. Each operation completes when the disk answers.
pub fn hangs_that_end(case: &Case) {
    const COUNT: usize = 8;
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    let mut tries = 0;
    for (kind, opcode) in [("read", CAIO_OP_READ), ("write", CAIO_OP_WRITE)] {
        for end in ["", " fail EIO"] {
            let ctx = case.ctx();
            let file = file(&faults, libc::O_DIRECT);
            let memory = sys::Map::new(COUNT * PAGE);
            faults.tell(&format!("{kind} hang times=all"));
            if !end.is_empty() {
                faults.tell(&format!("{kind}{end} times=all"));
            }
            let mut batch: Vec<caio_op> = (0..COUNT).map(|at| page_op(opcode, file.as_raw_fd(), &memory, at)).collect();
            batch[1] = batch[1].timeout(Duration::from_millis(1));
            ctx.accept(&batch[..1]);
            faults.holds(1);
            ctx.accept(&batch[1..]);
            let others = case.dir.file("beside", b"beside");
            let mut back = [0; 6];
            ctx.accept(&[ops::read(others.as_raw_fd(), &mut back, 0).tag(100)]);
            // The other read is cached, or waits for the one worker thread that hangs.
            let beside = ctx.wait(1, 1, PATIENCE.as_nanos() as i64).expect("an event");
            assert!(beside[0].user_data == 100 || beside[0].user_data < COUNT as u64);
            assert_eq!(ctx.cancel(0), 1);
            faults.tell("clear");
            faults.tell("go");
            let mut left = COUNT + 1 - beside.len();
            let mut events = beside;
            until("all requests end", || {
                faults.tell("go");
                let more = ctx.wait(1, left as u32, 20_000_000).expect("events");
                left -= more.len();
                events.extend(more);
                left == 0
            });
            let wanted = if end.is_empty() { PAGE as i64 } else { neg(libc::EIO) };
            for event in events.iter().filter(|event| event.user_data < COUNT as u64) {
                let stopped = [ECANCELED, neg(libc::ETIMEDOUT)].contains(&event.result) && event.user_data < 2;
                // Requests that started after the rule ended succeed.
                let good = event.result == wanted || event.result == PAGE as i64 || stopped;
                assert!(good, "{kind}{end}: {event:?}");
            }
            drop(ctx);
            tries += COUNT + 1;
        }
    }
    tried(tries, "hangs that end, with cancel and timeout meanwhile (FUSE)");
}

/// Group commit: a failing sync fails all operations that it serves, and the next sync is a new one.
pub fn a_failing_sync_fails_all_it_serves(case: &Case) {
    const ASKED: u64 = 12;
    let ctx = case.ctx();
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    let file = file(&faults, 0);
    let fd = file.as_raw_fd();
    let mut tries = 0;
    for sync in [ops::fsync(fd), ops::fdsync(fd)] {
        faults.tell("fsync hang\nfsync fail EIO skip=1 times=1");
        ctx.accept(&[sync.tag(0)]);
        faults.holds(1);
        let asked: Vec<caio_op> = (1..=ASKED).map(|tag| sync.tag(tag)).collect();
        ctx.accept(&asked);
        ctx.accept(&[sync.tag(100).link(), ops::nop().tag(101)]);
        faults.tell("go");
        let mut events = ctx.collect(ASKED as usize + 3);
        events.sort();
        assert_eq!(events[0], Event { user_data: 0, result: 0 }, "it started before the fault");
        let failed = events[1..].iter().filter(|event| event.user_data <= 100);
        assert!(failed.clone().all(|event| event.result == neg(libc::EIO)), "{events:?}");
        assert_eq!(events.last(), Some(&Event { user_data: 101, result: ECANCELED }));
        assert_eq!(ctx.one(sync), 0, "the next sync is a new one");
        tries += ASKED as usize + 3;
    }
    tried(tries, "a failing sync that serves many (FUSE)");
}
