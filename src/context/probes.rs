//! The probes along the way of an operation; see caio-debugging(7). Without a tracer, each is a test of one variable.

use super::state::By;
use crate::completion::Event;
use crate::error::Errno;
use crate::op::{Code, Op};
use crate::sys::fd::RawFd;
use crate::sys::probes;

pub use crate::sys::probes::are_on;

/// Where an operation runs, numbered as the probes tell it.
#[derive(Clone, Copy)]
pub enum Path {
    Submit = 0,
    Native = 1,
    Worker = 2,
    Stream = 3,
}

impl From<By> for Path {
    fn from(by: By) -> Self {
        match by {
            By::Submit => Self::Submit,
            By::Kernel => Self::Native,
            By::Worker => Self::Worker,
        }
    }
}

#[inline(always)]
pub fn accepted(context: RawFd, op: &Op) {
    if are_on() {
        probes::submit(context.into(), op.user_data, op.code as u64, op.fd.into(), op.len, op.offset);
    }
}

#[inline(always)]
pub fn routed(context: RawFd, op: &Op, path: Path) {
    if are_on() {
        probes::route(context.into(), op.user_data, op.code as u64, path as u64);
    }
}

#[inline(always)]
pub fn begun(context: RawFd, op: &Op, moved: u64) {
    if are_on() {
        probes::worker(context.into(), op.user_data, op.code as u64, moved);
    }
}

#[inline(always)]
pub fn retried(context: RawFd, op: &Op, errno: Option<Errno>) {
    if are_on() {
        probes::retry(context.into(), op.user_data, op.code as u64, number(errno));
    }
}

#[inline(always)]
pub fn cancelled(context: RawFd, op: &Op, errno: Errno) {
    if are_on() {
        probes::cancel(context.into(), op.user_data, op.code as u64, number(Some(errno)));
    }
}

#[inline(always)]
pub fn completed(context: RawFd, code: Code, event: &Event, by: By) {
    if are_on() {
        probes::complete(context.into(), event.user_data, code as u64, event.result, Path::from(by) as u64);
    }
}

#[inline(always)]
pub fn refused(context: RawFd, count: u32, errno: Errno) {
    if are_on() {
        probes::refuse(context.into(), count.into(), number(Some(errno)));
    }
}

fn number(errno: Option<Errno>) -> i64 {
    errno.map_or(0, |Errno(errno)| errno.into())
}
