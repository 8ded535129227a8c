//! Operations that wait: the descriptor has nothing to read, or no room to write.

use crate::columns::{Column, Desk, READS, WRITES};
use crate::ends::Ends;
use crate::kinds::Kind;
use crate::results::{is_locked, lock};
use crate::runner::Cells;
use crate::scene::{self, Ending, State, attempt, emptied, rest, scene, status_flags, stuff};
use crate::support::case::{Case, Variant};
use crate::support::stuck::Stuck;
use crate::support::*;
use std::os::fd::AsRawFd;

const TAG: u64 = 7;

/// A column whose plain call waits, in the state in which it does.
struct Wait<'a> {
    case: &'a Case,
    kind: &'static Kind,
    column: &'static Column,
    state: State,
    desk: Desk,
}

/// The columns of a kind that wait.
fn waits<'a>(case: &'a Case, kind: &'static Kind) -> Vec<Wait<'a>> {
    let reads = ["READ at CURRENT", "READ at 0", "READV at CURRENT", "READ FULL at CURRENT"];
    let writes = ["WRITE at CURRENT", "WRITEV at CURRENT", "WRITE FULL at CURRENT"];
    let fills = scene(kind, &case.dir, State::Fresh).fills;
    let reads = READS.iter().filter(|column| reads.contains(&column.name)).map(|column| (column, State::Fresh));
    let writes = WRITES.iter().filter(|column| fills && writes.contains(&column.name));
    reads
        .chain(writes.map(|column| (column, State::Full)))
        .map(|(column, state)| Wait { case, kind, column, state, desk: Desk::new() })
        .filter(|wait| !(kind.demands_room && wait.column.name.contains("FULL")))
        .filter(Wait::waits)
        .collect()
}

impl Wait<'_> {
    fn waits(&self) -> bool {
        let ends = self.scene();
        attempt(&self.op(&ends)).is_none()
    }

    fn scene(&self) -> Ends {
        scene(self.kind, &self.case.dir, self.state)
    }

    fn op(&self, ends: &Ends) -> caio_op {
        (self.column.op)(ends.fd(), &self.desk).tag(TAG)
    }

    /// It is in flight, and has had its first attempt.
    fn start(&self, ctx: &Ctx, ends: &Ends, op: caio_op) {
        self.without_room(ends, || {
            ctx.accept(&[op]);
            ctx.wait(1, 1, 15_000_000).unwrap_or_default().first().map(|event| event.result)
        });
    }

    /// Repeats an attempt that returns a result, as it did not wait: what was taken in the background makes room again.
    fn without_room(&self, ends: &Ends, mut attempt: impl FnMut() -> Option<i64>) {
        let mut tries = if self.state == State::Full { 0..50 } else { 0..1 };
        while let Some(early) = attempt() {
            tries.next();
            assert!(!tries.is_empty(), "it does not wait: {early}");
            stuff(ends);
        }
    }

    /// Makes it go on.
    fn go(&self, ends: &Ends) {
        match (self.state, &ends.peer) {
            (State::Full, Some(peer)) => drop(emptied(peer.as_raw_fd(), 1)),
            (State::Full, None) => drop(rest(self.kind, ends.fd())),
            _ => ends.feed(0),
        }
    }

    fn can_go(&self, ends: &Ends) -> bool {
        self.state == State::Full || ends.can_be_fed()
    }

    /// The plain call's result once it can go on.
    fn result(&self) -> Option<i64> {
        let ends = self.scene();
        if !self.can_go(&ends) {
            return None;
        }
        self.go(&ends);
        if self.state == State::Fresh && ends.late.is_some() {
            until("the record arrives", || sys::waiting(&ends.fd()) > 0);
        }
        match scene::plainly(self.op(&ends)) {
            Ending::Done(result) => Some(result),
            Ending::Waits(..) => None,
        }
    }

    /// As `result`, if the call takes the record: one that fails leaves it.
    fn takes_record(&self) -> Option<i64> {
        self.result().filter(|result| *result > 0)
    }

    /// Nothing was moved by an operation that was stopped.
    fn moved_nothing(&self, ends: Ends) {
        if self.state == State::Full || !ends.can_be_fed() {
            return;
        }
        ends.fill(0);
        let left = rest(self.kind, ends.fd());
        // Some kinds share what is fed.
        drop(ends);
        let wanted = rest(self.kind, scene(self.kind, &self.case.dir, State::Fed(1)).fd());
        if self.kind.unlike {
            let lengths = |reads: &[scene::Read]| reads.iter().map(|read| read.as_ref().map(Vec::len).ok()).collect();
            let (left, wanted): (Vec<_>, Vec<_>) = (lengths(&left), lengths(&wanted));
            return assert_eq!(left, wanted, "the record stays");
        }
        assert_eq!(left, wanted, "the record stays");
    }
}

/// Promises 8, 9 and 10.
pub fn can_be_ended(case: &Case, kind: &'static Kind, cells: &mut Cells) {
    for wait in waits(case, kind) {
        let cell = |name: &str| format!("{}: {name}", wait.column.name);
        cells.cell(&cell("cancel"), |cells| {
            let (ends, ctx) = (wait.scene(), case.ctx());
            wait.start(&ctx, &ends, wait.op(&ends));
            cells.doing("cancel");
            assert_eq!(ctx.cancel(TAG), 1, "cancel finds it");
            cells.doing("the event of what was cancelled");
            assert_eq!(ctx.collect(1)[0].result, -ECANCELED, "the result");
            cells.doing("a look at what is left");
            wait.moved_nothing(ends);
        });
        cells.cell(&cell("timeout"), |cells| {
            let (ends, ctx) = (wait.scene(), case.ctx());
            cells.doing("the event after the timeout");
            wait.without_room(&ends, || {
                ctx.accept(&[wait.op(&ends).timeout(Duration::from_millis(10))]);
                let result = ctx.collect(1)[0].result;
                (result != -ETIMEDOUT).then_some(result)
            });
            wait.moved_nothing(ends);
        });
        cells.cell(&cell("free"), |cells| {
            let (ends, ctx) = (wait.scene(), case.ctx());
            wait.start(&ctx, &ends, wait.op(&ends));
            cells.doing("free");
            drop(ctx);
            wait.moved_nothing(ends);
        });
        cells.cell(&cell("others go on"), |cells| others_go_on(&wait, cells));
        cells.cell(&cell("goes on"), |cells| {
            let Some(plain) = wait.result() else { return };
            let (ends, ctx) = (wait.scene(), case.ctx());
            wait.start(&ctx, &ends, wait.op(&ends));
            wait.go(&ends);
            cells.doing("its event");
            assert_eq!(ctx.collect(1)[0].result, plain, "the plain call's result (right)");
        });
    }
}

/// What waits holds up no other operation, with a single worker thread neither.
fn others_go_on(wait: &Wait, cells: &Cells) {
    let (file, stuck) = (wait.case.dir.file("beside", b"content"), Stuck::pipe());
    let (ends, mut room) = (wait.scene(), [0; 7]);
    let ctx = Ctx::new(&caio_options { threads: 1, ..wait.case.options() });
    wait.start(&ctx, &ends, wait.op(&ends));
    cells.doing("a NOP beside it");
    assert_eq!(ctx.run_beside(ops::nop()), 0);
    cells.doing("an FSYNC beside it");
    assert_eq!(ctx.run_beside(ops::fsync(file.as_raw_fd())), 0);
    cells.doing("a READ of a file beside it");
    assert_eq!(ctx.run_beside(ops::read(file.as_raw_fd(), &mut room, 0)), 7);
    cells.doing("a READ of a pipe beside it");
    stuck.feed(1);
    assert_eq!(ctx.run_beside(stuck.byte()), 1);
    cells.doing("free");
}

/// Two READs wait, and two records come.
pub fn two_at_once(case: &Case, kind: &'static Kind, cells: &mut Cells) {
    for wait in waits(case, kind) {
        let full = wait.column.name.contains("FULL");
        if wait.state == State::Full || full || !wait.scene().can_be_fed() {
            continue;
        }
        let other = Desk::new();
        let two = |ends: &Ends| [wait.op(ends).tag(0), (wait.column.op)(ends.fd(), &other).tag(1)];
        cells.cell(&format!("{}: one record after the other", wait.column.name), |cells| {
            let Some(plain) = wait.takes_record() else { return };
            let (ends, ctx) = (wait.scene(), case.ctx());
            two(&ends).iter().for_each(|op| wait.start(&ctx, &ends, *op));
            for number in 0..2 {
                cells.doing(&format!("record {number}"));
                ends.feed(number);
                assert_eq!(ctx.collect(1)[0].result, plain, "record {number}");
                let early = ctx.wait(1, 1, 5_000_000).unwrap_or_default();
                assert_eq!(early, [], "one record ends one READ");
            }
            let left = rest(wait.kind, ends.fd());
            drop(ends);
            assert_eq!(left, rest(wait.kind, wait.scene().fd()), "nothing else is left");
        });
        cells.cell(&format!("{}: one record, then cancel", wait.column.name), |cells| {
            let Some(plain) = wait.takes_record() else { return };
            let (ends, ctx) = (wait.scene(), case.ctx());
            two(&ends).iter().for_each(|op| wait.start(&ctx, &ends, *op));
            cells.doing("the record");
            ends.feed(0);
            assert_eq!(ctx.collect(1)[0].result, plain, "the record");
            cells.doing("cancel of the other READ");
            assert_eq!(ctx.cancel_all(), 1, "cancel finds the other");
            assert_eq!(ctx.collect(1)[0].result, -ECANCELED, "the other");
        });
        cells.cell(&format!("{}: two records at once", wait.column.name), |cells| {
            let (mut plain, mut got) = (Vec::new(), Vec::new());
            let ends = scene(kind, &case.dir, State::Fed(2));
            two(&ends).iter().for_each(|op| plain.extend(attempt(op)));
            let (ends, ctx) = (scene(kind, &case.dir, State::Fed(2)), case.ctx());
            cells.doing(&format!("two READs; plain {plain:?}"));
            ctx.accept(&two(&ends));
            got.extend(results(&ctx.collect(plain.len())));
            let early = ctx.wait(1, 1, 5_000_000).unwrap_or_default();
            assert_eq!(early, [], "no more than the plain calls");
            got.sort_unstable();
            plain.sort_unstable();
            assert_eq!(got, plain, "the plain calls' results (right)");
        });
    }
}

/// No more than a fifth of a processor while nothing happens: on this thread, the library's and the kernel's.
pub fn uses_no_cpu(case: &Case, kind: &'static Kind, cells: &mut Cells) {
    // What READV, WRITEV and FULL wait for is the same.
    let simple = ["READ at CURRENT", "READ at 0", "WRITE at CURRENT"];
    for wait in waits(case, kind).into_iter().filter(|wait| simple.contains(&wait.column.name)) {
        cells.cell(wait.column.name, |cells| {
            let (ends, ctx, other) = (wait.scene(), case.ctx(), Desk::new());
            wait.start(&ctx, &ends, wait.op(&ends));
            // A second one may find the descriptor ready for the first.
            wait.start(&ctx, &ends, (wait.column.op)(ends.fd(), &other));
            // The kernel's submission thread goes to sleep after a while, and AUTO may spin for a moment.
            let settle = if case.variant == Variant::Sqpoll { 400 } else { 50 };
            assert_eq!(ctx.wait(1, 1, settle * 1_000_000), Ok(vec![]), "it waits");
            cells.doing("a look at the processor time");
            let (start, before) = (Instant::now(), processor_time());
            assert_eq!(ctx.wait(1, 1, 150_000_000), Ok(vec![]), "it waits");
            let share = (processor_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
            assert!(share < 0.2, "{} percent of a processor", ((share * 10.0) as u32) * 10);
            cells.doing("free");
        });
    }
}

fn processor_time() -> Duration {
    // SAFETY: a struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a live struct.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0);
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Promise 11: free in a child closes what the context holds there, and the parent's operation goes on.
pub fn survives_fork(case: &Case, kind: &'static Kind, cells: &mut Cells) {
    for wait in waits(case, kind) {
        cells.cell(wait.column.name, |cells| {
            let Some(plain) = wait.result() else { return };
            let ends = wait.scene();
            let before = process::descriptors();
            let ctx = case.ctx();
            wait.start(&ctx, &ends, wait.op(&ends));
            let raw = ctx.raw();
            cells.doing("a child that frees");
            let child = process::fork(|| {
                // SAFETY: a context of the parent; in a child this touches nothing of the parent's.
                unsafe { caio::capi::caio_ctx_free(raw) };
                let left = process::descriptors().into_iter().filter(|fd| !before.contains(fd)).count();
                left as i32
            });
            assert_eq!(child.code(), 0, "descriptors of the context that stay open in the child");
            cells.doing("the parent's operation");
            wait.go(&ends);
            assert_eq!(ctx.collect(1)[0].result, plain, "the parent's operation (right)");
        });
    }
}

/// "Made precise": POSIX locks, file status flags and descriptor numbers stay as they are.
pub fn changes_nothing_else(case: &Case, kind: &'static Kind, cells: &mut Cells) {
    for wait in waits(case, kind) {
        cells.cell(&format!("{}: locks and flags", wait.column.name), |cells| {
            // Before the lock: some kinds share a file, and each close drops the locks on it.
            let goes_on = wait.result().is_some();
            let (ends, ctx) = (wait.scene(), case.ctx());
            let (locked, flags) = (lock(ends.fd()), status_flags(ends.fd()));
            let check = |when: &str| {
                assert!(!locked || is_locked(ends.fd()), "the process's POSIX lock is gone {when}");
                assert_eq!(status_flags(ends.fd()), flags, "file status flags {when}");
            };
            wait.start(&ctx, &ends, wait.op(&ends));
            check("while it waits");
            cells.doing("cancel");
            ctx.cancel(TAG);
            ctx.collect(1);
            check("after a cancel");
            if goes_on {
                wait.start(&ctx, &ends, wait.op(&ends));
                wait.go(&ends);
                cells.doing("its event");
                ctx.collect(1);
                check("after its event");
            }
            cells.doing("free");
            drop(ctx);
            check("after free");
        });
        cells.cell(&format!("{}: descriptor numbers", wait.column.name), |cells| {
            const MANY: usize = 12;
            let ends: Vec<Ends> = (0..MANY).map(|_| wait.scene()).collect();
            let desks: Vec<Desk> = (0..MANY).map(|_| Desk::new()).collect();
            let before = process::descriptors();
            let ctx = case.ctx();
            let own = process::descriptors().len();
            for (ends, desk) in ends.iter().zip(&desks) {
                wait.start(&ctx, ends, (wait.column.op)(ends.fd(), desk));
            }
            let more = process::descriptors().len() - own;
            assert!(more < MANY / 2, "{MANY} operations that wait use {more} numbers");
            cells.doing("cancel");
            ctx.cancel_all();
            ctx.collect(MANY);
            cells.doing("free");
            drop(ctx);
            assert_eq!(process::descriptors(), before, "free gives all numbers back");
        });
    }
}
