//! A chain in submit: it runs inline as far as it does not wait.

use super::{Batch, Pending};
use crate::completion::Sink;
use crate::context::Shared;
use crate::context::chain_file::Traits;
use crate::context::inline::{self, Step, To};
use crate::context::probes;
use crate::context::state::{CANCELED, State};
use crate::error::{Errno, Result};
use crate::op::{Op, Role};
use crate::sys::cached::Opened;
use crate::sys::fd::RawFd;
use crate::sys::{fork, fs};

/// A descriptor that submit opened for a chain.
#[derive(Clone, Copy)]
pub struct ChainFd {
    fd: RawFd,
    traits: Traits,
}

impl State {
    /// A member of a chain gets the descriptor that submit opened for it.
    pub(super) fn take_chain_fd(&mut self, index: u32, file: Option<ChainFd>) -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        let kept = self.keep_file(index, file.fd, file.traits);
        if kept.is_err() && file.traits.for_chain {
            fs::close(file.fd).ok();
        }
        kept
    }
}

impl Batch {
    /// Runs the chain inline as far as possible without blocking. The rest becomes pending.
    pub(super) fn run_chain(&mut self, shared: &Shared, sink: &mut impl Sink) {
        let mut file: Option<(ChainFd, Opened)> = None;
        self.chain.iter().for_each(|op| probes::accepted(shared.events_fd, op));
        for at in 0..self.chain.len() {
            let mut op = self.chain[at];
            let (step, paths, refused) = match &file {
                Some((_, opened)) if op.uses_opened() => {
                    op.use_opened(opened.fd);
                    op.storage = op.fd == opened.fd;
                    match self.run_on_opened(shared, &op, opened) {
                        Some(step) => (step, 0..0, None),
                        None => self.run(shared, &op, true),
                    }
                }
                _ => self.run(shared, &op, true),
            };
            let opened = self.opened.take();
            match step {
                Step::Done(result) => {
                    match op.role {
                        Role::Opens | Role::OpensForChain => {
                            let for_chain = op.role == Role::OpensForChain;
                            let traits = Traits { for_chain, storage: true, brief: true, cached: false };
                            file = opened.map(|opened| (ChainFd { fd: opened.fd, traits }, opened));
                        }
                        Role::Closes => file = None,
                        Role::None | Role::Behind => {}
                    }
                    let result = if op.role == Role::OpensForChain { result.min(0) } else { result };
                    self.deliver(op, result, sink);
                    if op.link && !op.succeeded_in_full(result) {
                        // A CLOSE further on may belong to an open that never runs.
                        let to_close = file.map(|(file, _)| file).filter(|file| file.traits.for_chain);
                        return self.break_chain(at + 1, to_close.map(|file| file.fd), sink);
                    }
                }
                Step::Onward(to, moved) => {
                    let file = file.map(|(file, _)| file);
                    self.pend(Pending { op, to, moved, paths, refused, file });
                    return self.queue_behind(at + 1);
                }
            }
        }
    }

    /// The members from `at` on never run, except for the CLOSE of `file`.
    fn break_chain(&mut self, at: usize, mut file: Option<RawFd>, sink: &mut impl Sink) {
        for at in at..self.chain.len() {
            let op = self.chain[at];
            let close = file.filter(|_| op.role == Role::Closes);
            let result = close.map_or(CANCELED.as_result(), |fd| fs::close(fd).map_or_else(Errno::as_result, |_| 0));
            file = file.filter(|_| close.is_none());
            self.deliver(op, result, sink);
        }
    }

    fn run_on_opened(&mut self, shared: &Shared, op: &Op, opened: &Opened) -> Option<Step> {
        let Self { checks, scratch, strings, .. } = self;
        if strings.was_empty(op.buf)
            && let Some(result) = inline::tell_of_opened(op, opened)
        {
            return Some(Step::Done(result));
        }
        inline::run_on_opened(&shared.router, op, opened, |path| strings.is_empty(path), checks, scratch)
    }

    /// Makes a call on a descriptor that does not wait.
    #[cold]
    #[inline(never)]
    pub(super) fn call(&mut self, shared: &Shared, op: &Op) -> Option<i64> {
        let Self { scratch, strings, .. } = self;
        inline::call(&shared.router, op, |path| strings.is_empty(path), scratch)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn open(&mut self, shared: &Shared, op: &Op) -> Option<i64> {
        self.opened = None;
        if self.unlisted.is_none() {
            self.unlisted = fork::try_keep_out();
        }
        // Where fork(3) is in progress, it would have to wait.
        let may_open = self.unlisted.is_some();
        let answer = may_open.then(|| inline::open(&shared.router, op, &mut self.checks, &mut self.scratch));
        match answer.flatten()? {
            Ok(opened) => Some(self.opened.insert(opened).fd.into()),
            Err(errno) => Some(errno.as_result()),
        }
    }

    /// The members from `at` on wait for the one before.
    pub(super) fn queue_behind(&mut self, at: usize) {
        for at in at..self.chain.len() {
            let op = self.chain[at];
            let (paths, refused) = self.copy_paths(&op);
            self.pend(Pending { op, to: To::Chain, moved: 0, paths, refused, file: None });
        }
    }
}
