//! Promise 2: errors of the file or of the memory are the result of the event. They are the errno of the plain system
//! call, on every backend.

mod paths;

#[cfg(not(caio_quick))]
mod descriptors;
#[cfg(all(not(caio_quick), target_pointer_width = "64"))]
mod lengths;
#[cfg(not(caio_quick))]
mod limits;
#[cfg(not(caio_quick))]
mod memory;
#[cfg(not(caio_quick))]
mod opcodes;
#[cfg(not(caio_quick))]
mod ranges;

use crate::support::case::Case;
use crate::support::*;
use std::fmt::Display;

/// Compares operations with their plain system calls, and reports all differences at the end.
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

    /// Compares the result with that of the plain system call: alone, in a chain, and with FULL.
    /// The operation must be repeatable.
    fn same(&mut self, what: impl Display, op: caio_op) {
        self.now = what.to_string();
        // Start each at the same position: a partial transfer may depend on it (Linux 5.10).
        let place = seek(op.fd, 0, libc::SEEK_CUR);
        let plain = settled(&op, sys::plain(&op));
        seek(op.fd, place, libc::SEEK_SET);
        let alone = self.ctx.one(op);
        self.compare(&what, "", plain, settled(&op, alone), self.may_refuse(&op));
        seek(op.fd, place, libc::SEEK_SET);
        let linked = self.ctx.run(&[ops::nop().link(), op])[1];
        self.compare(&what, " in a chain", plain, settled(&op, linked), self.may_refuse(&op));
        if finishes_alike(&op, plain) {
            seek(op.fd, place, libc::SEEK_SET);
            let full = self.ctx.one(op.full());
            self.compare(&what, " with FULL", plain, full, self.may_refuse(&op));
        }
    }

    /// Like `same`, with the errno that the plain system call must have.
    fn says(&mut self, what: impl Display, op: caio_op, errno: i32) {
        let place = seek(op.fd, 0, libc::SEEK_CUR);
        let plain = settled(&op, sys::plain(&op));
        seek(op.fd, place, libc::SEEK_SET);
        assert_eq!(plain, -i64::from(errno), "{what}: the test is wrong about the system call");
        self.same(what, op);
    }

    /// Whether the system may lack the opcode or its flags.
    fn may_refuse(&self, op: &caio_op) -> bool {
        POSIX && (op.sys_flags != 0 || !self.ctx.supports(op.opcode))
    }

    fn compare(&mut self, what: &impl Display, how: &str, plain: i64, got: i64, may_refuse: bool) {
        self.checked += 1;
        if plain != got && !(may_refuse && got == -i64::from(libc::EOPNOTSUPP)) {
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

/// The new position, or -1 if the file has none.
fn seek(fd: i32, offset: i64, whence: i32) -> i64 {
    // SAFETY: no memory involved.
    unsafe { libc::lseek64(fd, offset, whence) }
}

/// Closes a new descriptor and returns 0 for it, because its number may differ.
fn settled(op: &caio_op, result: i64) -> i64 {
    if [CAIO_OP_OPENAT, CAIO_OP_OPENAT2].contains(&op.opcode) && result >= 0 {
        return sys::plain(&ops::close(result as i32));
    }
    result
}

/// Is the result the same with FULL as without?
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
