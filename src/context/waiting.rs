//! An operation that waits for another process, and the attempts at it, which never wait.

use super::calls::returns_at_once;
use crate::exec::blocking::Scratch;
use crate::exec::copying;
use crate::exec::nonblocking::{self, Attempt, Method};
use crate::op::{CURRENT, Code, Op};
use crate::slab::Token;
use crate::sys::fd::RawFd;
use crate::sys::ranges::Copy;
use crate::sys::rw;

pub struct Waiting {
    pub token: Token,
    pub op: Op,
    pub moved: u64,
    pub method: Method,
    /// Of a copy: the descriptor and the offset that it reads. A worker thread goes on once the other one is ready.
    pub source: Option<(RawFd, u64)>,
}

/// The outcome of an attempt.
pub enum Tried {
    Done(i64),
    NotReady,
    /// The descriptor of a copy is ready.
    Resume,
    /// The operation needs a blocking call.
    Call,
}

impl Waiting {
    /// After `moved` bytes.
    pub fn new(token: Token, op: Op, moved: u64) -> Self {
        let source = op.code.copies().then_some((op.fd, op.offset));
        let op = if source.is_some() { wait_for_copy(&op) } else { op };
        Self { token, op, moved, method: Method::Unknown, source }
    }

    pub fn reads(&self) -> bool {
        self.op.code.reads()
    }

    /// What is left of a copy to a stream.
    pub fn copy(&self) -> Option<Copy> {
        let (from, offset) = self.source?;
        let whole = Copy { from, offset, to: self.op.fd, to_offset: None, len: self.op.len };
        Some(whole.after(self.moved))
    }

    pub fn attempt(&mut self, scratch: &mut Scratch) -> Tried {
        if self.source.is_some() {
            return if self.is_ready() { Tried::Resume } else { Tried::NotReady };
        }
        match nonblocking::attempt(&self.op, self.moved, scratch, &mut self.method) {
            Attempt::Done(result) => Tried::Done(result),
            Attempt::NotReady(moved) => {
                self.moved = moved;
                Tried::NotReady
            }
            Attempt::MayWait(moved) => {
                self.moved = moved;
                let call = returns_at_once(&self.op) || self.is_ready();
                if call { Tried::Call } else { Tried::NotReady }
            }
        }
    }

    /// The same after the descriptor became ready. If two attempts get EAGAIN while poll(2) reports it ready, only a plain
    /// call can tell why. For a datagram socket after shutdown(2), it returns 0.
    pub fn attempt_again(&mut self, scratch: &mut Scratch) -> Tried {
        for _ in 0..2 {
            match self.attempt(scratch) {
                Tried::NotReady if self.is_ready() => {}
                tried => return tried,
            }
        }
        if self.source.is_some() { Tried::Resume } else { Tried::Call }
    }

    fn is_ready(&self) -> bool {
        rw::is_ready(self.op.fd, self.reads())
    }
}

/// The operation that a copy waits as: a transfer of the descriptor that must become ready.
fn wait_for_copy(op: &Op) -> Op {
    let (fd, reads) = copying::awaited(op);
    let offset = if op.moves_at_current() { CURRENT } else { 0 };
    Op { code: if reads { Code::Read } else { Code::Write }, fd, offset, ..*op }
}
