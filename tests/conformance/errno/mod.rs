//! Promise 2: what is wrong with the file or the memory comes as the event's result, with the errno that the plain
//! system call gives, on every backend alike.

mod descriptors;
mod limits;
mod memory;
mod paths;
mod ranges;

pub use descriptors::make_fifo;

use crate::support::case::Case;
use crate::support::*;
use std::fmt::Display;

/// Operations, each beside its plain system call; all differences are told at once.
struct Matrix {
    ctx: Ctx,
    now: String,
    checked: usize,
    wrong: Vec<String>,
}

impl Matrix {
    fn new(case: &Case) -> Self {
        Self { ctx: case.ctx(), now: String::new(), checked: 0, wrong: Vec::new() }
    }

    /// The operation's result is the plain system call's: alone, in a chain, and with FULL.
    /// It must be one that can be done again and again.
    fn same(&mut self, what: impl Display, op: caio_op) {
        self.now = what.to_string();
        // Each starts at the same position: where a transfer stops half way may depend on it (Linux 5.10).
        let place = seek(op.fd, 0, libc::SEEK_CUR);
        let plain = settled(&op, sys::plain(&op));
        seek(op.fd, place, libc::SEEK_SET);
        let alone = self.ctx.one(op);
        self.compare(&what, "", plain, settled(&op, alone));
        seek(op.fd, place, libc::SEEK_SET);
        let linked = self.ctx.run(&[ops::nop().link(), op])[1];
        self.compare(&what, " in a chain", plain, settled(&op, linked));
        if finishes_alike(&op, plain) {
            seek(op.fd, place, libc::SEEK_SET);
            let full = self.ctx.one(op.full());
            self.compare(&what, " with FULL", plain, full);
        }
    }

    /// As `same`, and what the plain system call says is known.
    fn says(&mut self, what: impl Display, op: caio_op, errno: i32) {
        let plain = settled(&op, sys::plain(&op));
        assert_eq!(plain, -i64::from(errno), "{what}: the test is wrong about the system call");
        self.same(what, op);
    }

    fn compare(&mut self, what: &impl Display, how: &str, plain: i64, got: i64) {
        self.checked += 1;
        if plain != got {
            self.wrong.push(format!("{what}{how}: plain {}, got {}", told(plain), told(got)));
        }
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at {}", self.now);
        } else {
            let (wrong, checked) = (self.wrong.len(), self.checked);
            assert!(checked > 0, "nothing was checked");
            assert!(wrong == 0, "{wrong} of {checked} results differ:\n{}", self.wrong.join("\n"));
        }
    }
}

/// The new position, or -1 where there is none.
fn seek(fd: i32, offset: i64, whence: i32) -> i64 {
    // SAFETY: no memory involved.
    unsafe { libc::lseek64(fd, offset, whence) }
}

/// A new descriptor is closed and counts as 0: its number is nobody's promise.
fn settled(op: &caio_op, result: i64) -> i64 {
    if op.opcode == CAIO_OP_OPENAT && result >= 0 {
        return sys::plain(&ops::close(result as i32));
    }
    result
}

/// Is the result with FULL the one without?
fn finishes_alike(op: &caio_op, plain: i64) -> bool {
    match op.opcode {
        CAIO_OP_READ | CAIO_OP_WRITE => plain <= 0 || plain as u64 == op.len,
        CAIO_OP_READV | CAIO_OP_WRITEV => plain <= 0,
        _ => false,
    }
}

fn told(result: i64) -> String {
    if result >= 0 {
        return result.to_string();
    }
    std::io::Error::from_raw_os_error(-result as i32).to_string()
}
