//! Promises 2 and 13: an operation does what the plain system call does. Each is made on a new descriptor of the kind,
//! and compared with the plain call on another.

use crate::columns::{BIG_WRITE, Column, Desk, OTHERS, READS, WRITES};
use crate::ends::Ends;
use crate::kinds::Kind;
use crate::runner::Cells;
use crate::scene::{self, Ending, Seen, State, emptied, scene};
use crate::support::case::Case;
use crate::support::*;
use std::os::fd::{AsRawFd, RawFd};

pub fn as_the_plain_call(case: &Case, kind: &'static Kind, cells: &mut Cells) {
    let before = process::descriptors();
    let mut bench = Bench { case, kind, ctx: case.ctx(), desk: Desk::new() };
    let can_be_fed = scene(kind, &case.dir, State::Fresh).can_be_fed();
    for column in READS {
        bench.cell(cells, column, State::Fresh);
        if can_be_fed {
            bench.cell(cells, column, State::Fed(2));
        }
    }
    WRITES.iter().chain(OTHERS).for_each(|column| bench.cell(cells, column, State::Fresh));
    bench.big_write(cells);
    drop(bench);
    cells.cell("free", |_| assert_eq!(process::descriptors(), before, "descriptors as before the context"));
}

struct Bench<'a> {
    case: &'a Case,
    kind: &'static Kind,
    ctx: Ctx,
    desk: Desk,
}

impl Bench<'_> {
    fn cell(&mut self, cells: &mut Cells, column: &Column, state: State) {
        if self.kind.demands_room && (column.name.contains("FULL") || column.name.contains("of 3 bytes")) {
            return;
        }
        let name = match state {
            State::Fed(count) => format!("{}, {count} records waiting", column.name),
            _ => column.name.to_owned(),
        };
        cells.cell(&name, |cells| {
            cells.doing("the plain call");
            let plain = self.seen(column, state, |_, op| scene::plainly(op));
            cells.doing(&format!("the operation; plain {:?}", plain.ending));
            let mut lost = false;
            let got = self.seen(column, state, |bench, op| {
                let locked = lock(op.fd);
                let ending = scene::by_library(&bench.ctx, op, plain.ending);
                lost = locked && op.opcode != CAIO_OP_CLOSE && !is_locked(op.fd);
                ending
            });
            if may_refuse(column, &plain, &got) {
                return;
            }
            if let Some(difference) = plain.difference(&got) {
                assert!(stopped_early(self.kind, &plain, &got), "{difference}");
            }
            assert!(!lost, "the process's POSIX lock on the file is gone");
        });
    }

    fn seen(&mut self, column: &Column, state: State, run: impl FnOnce(&Self, caio_op) -> Ending) -> Seen {
        let ends = scene(self.kind, &self.case.dir, state);
        self.desk.clean();
        let op = (column.op)(ends.fd(), &self.desk);
        let ending = run(self, op);
        if op.opcode == CAIO_OP_CLOSE {
            assert!(!process::is_open(op.fd), "closed");
            ends.was_closed();
        }
        Seen::of(self.kind, &ends, &self.desk, &op, ending)
    }

    /// It moves what fits, and how much that is depends on the moment.
    fn big_write(&mut self, cells: &mut Cells) {
        cells.cell(BIG_WRITE.name, |cells| {
            let ends = scene(self.kind, &self.case.dir, State::Fresh);
            let plain = scene::plainly((BIG_WRITE.op)(ends.fd(), &self.desk));
            let Ending::Done(plain) = plain else { return };
            // Some kinds share the other end.
            ends.peer.iter().for_each(|peer| drop(emptied(peer.as_raw_fd(), plain.max(0) as usize)));
            drop(ends);
            let ends = scene(self.kind, &self.case.dir, State::Fresh);
            let op = (BIG_WRITE.op)(ends.fd(), &self.desk);
            cells.doing(&format!("the operation; plain {plain}"));
            self.ctx.accept(&[op]);
            let got = self.ctx.collect(1)[0].result;
            if plain <= 0 || plain as u64 == op.len {
                return assert_eq!(got, plain, "the plain call's result (right)");
            }
            assert!(got > 0 && got <= op.len as i64, "{got} moved; the plain call moves {plain}");
            cells.doing(&format!("the peer's reads of {got} bytes"));
            self.arrives(&ends, got as usize);
        });
    }

    fn arrives(&self, ends: &Ends, count: usize) {
        let Some(peer) = &ends.peer else { return };
        let bytes = emptied(peer.as_raw_fd(), count);
        assert_eq!(bytes.len(), count, "the peer gets what the result says");
        assert!(bytes == self.desk.data.bytes()[..count], "the peer gets the bytes in order");
    }
}

/// Where nothing can be moved, RWF_NOWAIT may say so even if the plain call does not know the flag.
fn may_refuse(column: &Column, plain: &Seen, got: &Seen) -> bool {
    let refused = Ending::Done(-i64::from(libc::EOPNOTSUPP));
    let empty = Ending::Done(-i64::from(libc::EAGAIN));
    column.name.contains("RWF_NOWAIT")
        && plain.ending == refused
        && got.ending == empty
        && plain.left == got.left
        && scene::bytes_of(&plain.left).is_empty()
}

/// Only the number of pages differs, of a kind where that is so.
fn stopped_early(kind: &Kind, plain: &Seen, got: &Seen) -> bool {
    let pages = |seen: &Seen| matches!(seen.ending, Ending::Done(moved) if moved > 0 && moved % sys::PAGE as i64 == 0);
    kind.makes_pages && pages(plain) && pages(got) && plain.left == got.left
}

/// Takes a POSIX lock on the file; false where that has no meaning. Descriptors without a file of their own share one,
/// and each close of one drops the locks of all.
pub fn lock(fd: RawFd) -> bool {
    let name = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    let shared = name.to_string_lossy().starts_with("anon_inode:");
    !shared && [libc::F_WRLCK, libc::F_RDLCK].into_iter().any(|kind| fcntl_lock(fd, libc::F_SETLK, kind).is_some())
}

/// An open file description's lock conflicts with the process's own.
pub fn is_locked(fd: RawFd) -> bool {
    const F_OFD_GETLK: i32 = 36;
    fcntl_lock(fd, F_OFD_GETLK, libc::F_WRLCK).is_some_and(|found| found != libc::F_UNLCK)
}

fn fcntl_lock(fd: RawFd, command: i32, kind: i32) -> Option<i32> {
    // SAFETY: a struct of integers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as i16;
    lock.l_whence = libc::SEEK_SET as i16;
    // SAFETY: a live struct.
    let result = unsafe { libc::fcntl(fd, command, &mut lock) };
    (result == 0).then_some(lock.l_type.into())
}
