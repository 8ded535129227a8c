//! A simulated core for Miri, which knows no io_uring. Threads complete each operation at another time, and access its memory as
//! the kernel would: through the addresses that the operation lent. Only with `cargo miri`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::backend::Backend;
use crate::completion::{Event, Sink};
use crate::context::{Options, Source, Stats};
use crate::error::{Errno, Result};
use crate::op::{Code, Op};

pub struct Engine(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    numbers: AtomicU64,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    in_flight: Vec<(u64, bool)>,
    woken: bool,
}

const ECANCELED: i64 = -(libc::ECANCELED as i64);

impl Engine {
    pub fn new(_: Options) -> Result<Self> {
        Ok(Self(Arc::default()))
    }

    pub fn submit(&self, source: &impl Source) -> Result<u32> {
        for index in 0..source.count() {
            let op = source.get(index)?;
            self.0.state.lock().unwrap().in_flight.push((op.user_data, false));
            let shared = self.0.clone();
            std::thread::spawn(move || shared.run(&op));
        }
        Ok(source.count())
    }

    pub fn poll(&self, sink: &mut impl Sink) -> Result<u32> {
        Ok(self.0.state.lock().unwrap().take(sink))
    }

    pub fn wait(&self, sink: &mut impl Sink, min: u32, timeout_ns: i64) -> Result<u32> {
        let time = u64::try_from(timeout_ns).map_or(Duration::from_secs(3600), Duration::from_nanos);
        let state = self.0.state.lock().unwrap();
        let enough = |state: &mut State| state.events.len() < min as usize && !state.woken;
        let (mut state, _) = self.0.changed.wait_timeout_while(state, time, enough).unwrap();
        state.woken = false;
        Ok(state.take(sink))
    }

    pub fn wake(&self) -> Result<u32> {
        self.0.state.lock().unwrap().woken = true;
        self.0.changed.notify_all();
        Ok(0)
    }

    pub fn cancel(&self, id: u64) -> Result<u32> {
        let mut state = self.0.state.lock().unwrap();
        state.in_flight.iter_mut().filter(|op| op.0 == id).for_each(|op| op.1 = true);
        Ok(1)
    }

    pub fn cancel_all(&self) -> Result<u32> {
        self.0.state.lock().unwrap().in_flight.iter_mut().for_each(|op| op.1 = true);
        Ok(0)
    }

    pub fn end(&self, sink: &mut impl Sink) -> bool {
        self.cancel_all().ok();
        let mut state = self.0.state.lock().unwrap();
        loop {
            state.take(sink);
            if state.in_flight.is_empty() {
                return true;
            }
            state = self.0.changed.wait(state).unwrap();
        }
    }

    pub fn events_fd(&self) -> Result<u32> {
        Ok(0)
    }

    pub fn backend(&self) -> Result<Backend> {
        Ok(Backend::Thread)
    }

    pub fn max_requests(&self) -> Result<u32> {
        Ok(512)
    }

    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats::default())
    }
}

impl State {
    fn take(&mut self, sink: &mut impl Sink) -> u32 {
        let count = self.events.len().min(sink.room() as usize);
        self.events.drain(..count).for_each(|event| sink.put(event));
        count as u32
    }
}

impl Shared {
    fn run(&self, op: &Op) {
        // A pipe never has data, so only a cancel ends a read of the current position.
        while op.offset == u64::MAX && !self.is_cancelled(op.user_data) {
            std::thread::yield_now();
        }
        for _ in 0..self.numbers.fetch_add(7, Ordering::Relaxed) % 5 {
            std::thread::yield_now();
        }
        let result = if self.is_cancelled(op.user_data) { ECANCELED } else { perform(op) };
        let mut state = self.state.lock().unwrap();
        state.in_flight.retain(|other| other.0 != op.user_data);
        state.events.push_back(Event { user_data: op.user_data, result });
        self.changed.notify_all();
    }

    fn is_cancelled(&self, id: u64) -> bool {
        self.state.lock().unwrap().in_flight.iter().any(|op| *op == (id, true))
    }
}

/// Fills what the operation reads into, and reads what it writes. Returns the number of bytes.
fn perform(op: &Op) -> i64 {
    let parts = |each: &dyn Fn(*mut u8, usize)| {
        let first = op.buf.address().cast::<libc::iovec>();
        for index in 0..op.len as usize {
            // SAFETY: the operation lends the array.
            let part = unsafe { first.add(index).read() };
            each(part.iov_base.cast(), part.iov_len);
        }
        op.buf.iovec_total(op.len) as i64
    };
    match op.code {
        Code::Read => fill(op.buf.address().cast(), op.len as usize),
        Code::Write => read(op.buf.address().cast(), op.len as usize),
        Code::Readv => return parts(&fill),
        Code::Writev => return parts(&read),
        Code::Statx => {
            fill(op.buf2.address().cast(), 256);
            return 0;
        }
        _ => return Errno(libc::ENOSYS).as_result(),
    }
    op.len as i64
}

fn fill(to: *mut u8, length: usize) {
    // SAFETY: the operation lends it.
    (0..length).for_each(|at| unsafe { to.add(at).write(b'm') });
}

fn read(from: *mut u8, length: usize) {
    // SAFETY: the operation lends it.
    (0..length).for_each(|at| assert_ne!(unsafe { from.add(at).read() }, 0));
}
