//! Shared by the tests of the C ABI: contexts, operations, files, child processes.
//!
//! Results are those of the library: a count, or a negative errno. The wrappers are safe functions for
//! brevity: a test must keep the memory of its operations valid until their events.

#![allow(dead_code)] // each test binary uses only a part

pub mod case;
pub mod faultfs;
pub mod files;
pub mod ops;
pub mod process;
pub mod stuck;
pub mod sys;

pub use caio::capi::caio_ctx;
pub use caio::capi::types::*;
pub use ops::{OpExt, op};

use std::ffi::CStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
#[allow(unused_imports)]
pub use std::time::{Duration, Instant};

/// The three backends, as in `caio_options.backend`.
pub const BACKENDS: [u32; 3] = [CAIO_BACKEND_URING, CAIO_BACKEND_LINUX, CAIO_BACKEND_THREAD];

/// The library was built for systems with POSIX calls alone: it makes no cached reads, and supports neither the flags
/// RWF_NOWAIT and RWF_HIPRI, nor modes of ALLOCATE, nor flags of RENAMEAT.
pub const POSIX: bool = cfg!(caio_posix);

/// The longest time for an event before a test reports it as lost.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Long waits consist of short ones of this length, which are counted. A clock would run on while the process is
/// stopped (SIGSTOP, a frozen cgroup).
const TICK: Duration = Duration::from_millis(100);

fn ticks(time: Duration) -> std::ops::Range<u128> {
    0..time.as_millis() / TICK.as_millis()
}

/// Sleeps for this time, not counting the time in which the process is stopped.
pub fn sleep_awake(time: Duration) {
    ticks(time).for_each(|_| std::thread::sleep(TICK));
}

/// Like `recv_timeout`, not counting the time in which the process is stopped.
pub fn receive<T>(from: &Receiver<T>, time: Duration) -> Result<T, RecvTimeoutError> {
    let mut tries = ticks(time).map(|_| from.recv_timeout(TICK));
    tries.find(|got| !matches!(got, Err(RecvTimeoutError::Timeout))).unwrap_or(Err(RecvTimeoutError::Timeout))
}

/// Default options for one backend.
pub fn options(backend: u32) -> caio_options {
    caio_options {
        size: size_of::<caio_options>() as u32,
        backend,
        max_requests: 0,
        threads: 0,
        flags: 0,
        reserved32: 0,
        reserved: [0; 5],
    }
}

/// `caio_backend_probe`: its result and its sentence.
pub fn probe(backend: u32) -> (i32, String) {
    let mut why = [0u8; 2048];
    // SAFETY: `why` has the given size.
    let result = unsafe { caio::capi::caio_backend_probe(backend, why.as_mut_ptr().cast(), why.len()) };
    let why = CStr::from_bytes_until_nul(&why).expect("a NUL-terminated sentence");
    (result, why.to_string_lossy().into_owned())
}

/// `caio_backend_name`.
pub fn backend_name(backend: u32) -> &'static str {
    let name = caio::capi::caio_backend_name(backend);
    assert!(!name.is_null(), "backend {backend} has no name");
    // SAFETY: not NULL, so static text.
    unsafe { CStr::from_ptr(name) }.to_str().expect("UTF-8")
}

/// The event of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    pub user_data: u64,
    pub result: i64,
}

/// The results of the events.
pub fn results(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.result).collect()
}

/// Errno values with the type of results, so that `-EBADF` is a result.
pub const EBADF: i64 = libc::EBADF as i64;
pub const ECANCELED: i64 = libc::ECANCELED as i64;
pub const ENOENT: i64 = libc::ENOENT as i64;
pub const ETIMEDOUT: i64 = libc::ETIMEDOUT as i64;

/// A context, freed when dropped.
pub struct Ctx {
    raw: *mut caio_ctx,
}

// SAFETY: any thread may call anything on a context (promise 10).
unsafe impl Send for Ctx {}
// SAFETY: as above.
unsafe impl Sync for Ctx {}

impl Ctx {
    /// `caio_ctx_new`, or its negative errno.
    pub fn try_new(options: &caio_options) -> Result<Self, i32> {
        let mut raw = std::ptr::dangling_mut();
        // SAFETY: both pointers are live references.
        let result = unsafe { caio::capi::caio_ctx_new(options, &mut raw) };
        assert_eq!(result < 0, raw.is_null(), "*ctx is NULL after a failure, and only then: {result}");
        if result < 0 { Err(result) } else { Ok(Self { raw }) }
    }

    pub fn new(options: &caio_options) -> Self {
        Self::try_new(options).unwrap_or_else(|errno| panic!("caio_ctx_new: {errno}"))
    }

    /// A context of one backend, with default options.
    pub fn on(backend: u32) -> Self {
        Self::new(&options(backend))
    }

    pub fn raw(&self) -> *mut caio_ctx {
        self.raw
    }

    /// Takes the ownership of a context back.
    pub fn from_raw(raw: *mut caio_ctx) -> Self {
        Self { raw }
    }

    /// Returns the context without freeing it.
    pub fn into_raw(self) -> *mut caio_ctx {
        let raw = self.raw;
        std::mem::forget(self);
        raw
    }

    pub fn submit(&self, ops: &[caio_op]) -> i32 {
        // SAFETY: a live context; the test keeps the memory of `ops` until their events.
        unsafe { caio::capi::caio_ctx_submit(self.raw, ops.as_ptr(), ops.len() as u32) }
    }

    /// Submits all of `ops`, or panics.
    pub fn accept(&self, ops: &[caio_op]) {
        assert_eq!(self.submit(ops), ops.len() as i32, "every operation accepted");
    }

    pub fn submit_poll(&self, ops: &[caio_op], max: u32) -> (i32, Vec<Event>) {
        let (mut room, mut polled) = (room(max), u32::MAX);
        let (first, count) = (ops.as_ptr(), ops.len() as u32);
        // SAFETY: as submit; `room` has place for `max` events.
        let result =
            unsafe { caio::capi::caio_ctx_submit_poll(self.raw, first, count, room.as_mut_ptr(), max, &mut polled) };
        assert!(polled <= max, "*polled is always set: {polled}");
        (result, taken(&room, polled))
    }

    pub fn try_poll(&self, max: u32) -> Result<Vec<Event>, i32> {
        let mut room = room(max);
        // SAFETY: a live context; `room` has place for `max` events.
        let got = unsafe { caio::capi::caio_ctx_poll(self.raw, room.as_mut_ptr(), max) };
        if got < 0 { Err(got) } else { Ok(taken(&room, got as u32)) }
    }

    pub fn poll(&self, max: u32) -> Vec<Event> {
        self.try_poll(max).unwrap_or_else(|errno| panic!("caio_ctx_poll: {errno}"))
    }

    /// `caio_ctx_wait`. A negative `timeout_ns` means no limit.
    pub fn wait(&self, min: u32, max: u32, timeout_ns: i64) -> Result<Vec<Event>, i32> {
        let mut room = room(max);
        // SAFETY: a live context; `room` has place for `max` events.
        let got = unsafe { caio::capi::caio_ctx_wait(self.raw, room.as_mut_ptr(), min, max, timeout_ns) };
        if got < 0 { Err(got) } else { Ok(taken(&room, got as u32)) }
    }

    /// Waits for exactly `count` events, or panics if they do not arrive.
    pub fn collect(&self, count: usize) -> Vec<Event> {
        let mut left = ticks(PATIENCE);
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let missing = (count - events.len()) as u32;
            match self.wait(1, missing, TICK.as_nanos() as i64) {
                Ok(more) if more.is_empty() => {
                    assert!(left.next().is_some(), "lost: {missing} of {count} events; have {events:?}");
                }
                Ok(more) => events.extend(more),
                Err(errno) => assert_eq!(errno, -libc::EINTR, "caio_ctx_wait"),
            }
        }
        events
    }

    /// Submits `ops` in one call and returns their results in the order of `ops`.
    /// `user_data` becomes the position.
    pub fn run(&self, ops: &[caio_op]) -> Vec<i64> {
        let tagged: Vec<caio_op> = ops.iter().enumerate().map(|(at, op)| op.tag(at as u64)).collect();
        self.accept(&tagged);
        let mut events = self.collect(ops.len());
        events.sort();
        for (at, event) in events.iter().enumerate() {
            assert_eq!(event.user_data, at as u64, "one event for each operation: {events:?}");
        }
        events.iter().map(|event| event.result).collect()
    }

    /// Runs one operation and returns its result.
    pub fn one(&self, op: caio_op) -> i64 {
        self.run(&[op])[0]
    }

    /// Runs one operation with submit_poll, and returns its result.
    pub fn one_polled(&self, op: caio_op) -> i64 {
        let (accepted, mut events) = self.submit_poll(&[op.tag(0)], 1);
        assert_eq!(accepted, 1);
        if events.is_empty() {
            events = self.collect(1);
        }
        assert_eq!((events.len(), events[0].user_data), (1, 0), "one event: {events:?}");
        events[0].result
    }

    /// Runs one operation while others are in flight. Panics if one of these completes first.
    pub fn run_beside(&self, op: caio_op) -> i64 {
        const BESIDE: u64 = 0xbe51de;
        self.accept(&[op.tag(BESIDE)]);
        let event = self.collect(1)[0];
        assert_eq!(event.user_data, BESIDE, "an event that is too early: {event:?}");
        event.result
    }

    /// Runs one operation while others are in flight, and also takes the events of `others` of them.
    pub fn run_unordered(&self, op: caio_op, others: usize) -> i64 {
        const LATE: u64 = 0x1a7e;
        self.accept(&[op.tag(LATE)]);
        let events = self.collect(others + 1);
        events.iter().find(|event| event.user_data == LATE).expect("its event").result
    }

    pub fn wake(&self) -> i32 {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_wake(self.raw) }
    }

    pub fn cancel(&self, user_data: u64) -> i32 {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_cancel(self.raw, user_data) }
    }

    pub fn cancel_fd(&self, fd: i32) -> i32 {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_cancel_fd(self.raw, fd) }
    }

    pub fn cancel_all(&self) -> i32 {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_cancel_all(self.raw) }
    }

    pub fn supports(&self, opcode: u8) -> bool {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_supports(self.raw, opcode.into()) == 1 }
    }

    pub fn eventfd(&self) -> i32 {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_eventfd(self.raw) }
    }

    pub fn backend(&self) -> i32 {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_backend(self.raw) }
    }

    pub fn max_requests(&self) -> i32 {
        // SAFETY: a live context.
        unsafe { caio::capi::caio_ctx_max_requests(self.raw) }
    }

    pub fn try_stats(&self) -> Result<caio_stats, i32> {
        // SAFETY: a struct of integers.
        let mut stats: caio_stats = unsafe { std::mem::zeroed() };
        stats.size = size_of::<caio_stats>() as u32;
        // SAFETY: a live context, and a struct of the size it says.
        let result = unsafe { caio::capi::caio_ctx_stats(self.raw, &mut stats) };
        if result < 0 { Err(result) } else { Ok(stats) }
    }

    pub fn stats(&self) -> caio_stats {
        self.try_stats().unwrap_or_else(|errno| panic!("caio_ctx_stats: {errno}"))
    }

    /// Is the context's descriptor readable now?
    pub fn readable(&self) -> bool {
        sys::readable(self.eventfd(), Some(Duration::ZERO))
    }
}

impl Drop for Ctx {
    fn drop(&mut self) {
        // SAFETY: made by caio_ctx_new, freed once.
        unsafe { caio::capi::caio_ctx_free(self.raw) };
    }
}

fn room(max: u32) -> Vec<caio_event> {
    vec![caio_event { user_data: 0, result: 0 }; max as usize]
}

fn taken(room: &[caio_event], count: u32) -> Vec<Event> {
    let taken = room[..count as usize].iter();
    taken.map(|event| Event { user_data: event.user_data, result: event.result }).collect()
}

/// Calls `done` until it returns true, or panics. Use it only if there is no descriptor or call to wait for.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    // As in `ticks`: does not count the time in which the process is stopped.
    let mut left = 0..PATIENCE.as_millis();
    while !done() {
        assert!(left.next().is_some(), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Reports a skipped test once for each `what`. Writes directly to the terminal, past the capture of the test harness.
pub fn skipped(what: &str) {
    use std::io::Write;
    static SAID: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    let mut said = SAID.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !said.iter().any(|before| before == what) {
        said.push(what.to_owned());
        let _ = writeln!(std::io::stderr(), "skipped: {what}");
    }
}

/// Counts the cases that a torture test ran without a loss, for the table of `tests/RELIABILITY.md`.
pub fn tried(count: usize, what: &str) {
    use std::io::Write;
    let Some(tally) = std::env::var_os("TORTURE_TALLY") else { return };
    let mut tally = std::fs::File::options().append(true).open(tally).expect("the tally");
    tally.write_all(format!("{count}\t{what}\n").as_bytes()).expect("the tally");
}

/// Is this the short form of a torture test?
pub fn short() -> bool {
    std::env::var_os("TORTURE").is_none_or(|form| form != "full")
}

/// The backends that are available on this machine. Reports the others as skipped.
pub fn backends() -> Vec<u32> {
    BACKENDS.into_iter().filter(|backend| available(*backend)).collect()
}

/// Is this backend available? If not, reports that once. Threads are always available.
pub fn available(backend: u32) -> bool {
    let (result, why) = probe(backend);
    if result == 0 {
        return true;
    }
    assert_ne!(backend, CAIO_BACKEND_THREAD, "worker threads work everywhere: {why}");
    skipped(&format!("backend {}: {why}", backend_name(backend)));
    false
}

/// Random numbers that are the same in every run: xorshift.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u32) -> Self {
        Self(0x1234_5678_9abc_def1 ^ (u64::from(seed) << 17))
    }

    /// A number from 0 to `bound - 1`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
