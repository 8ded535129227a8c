//! The threads that make the calls, and the answers.

use super::fork;
use super::plan::{ACTORS, FRESH};
use super::support::*;
use super::world;
use std::os::fd::RawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;

/// A call that is ready to be made.
pub enum Call {
    New(caio_options),
    Free,
    Submit { ops: Vec<caio_op>, poll: Option<u32> },
    Poll(u32),
    Wait { min: u32, max: u32, timeout_ns: i64 },
    Wake,
    Cancel(u64),
    CancelFd(RawFd),
    CancelAll,
    Look,
    Feed { fd: RawFd, bytes: Vec<u8> },
    Drain { fd: RawFd, len: usize },
    Cool(Vec<RawFd>),
    Fork(fork::Child),
}

// SAFETY: the model owns the memory of the operations, and waits for the calls.
unsafe impl Send for Call {}

/// A context's address, which may move between threads.
#[derive(Clone, Copy, PartialEq)]
pub struct Raw(pub *mut caio_ctx);

// SAFETY: any thread may call anything on a context (promise 10).
unsafe impl Send for Raw {}

/// The answer of a call.
#[derive(Default)]
pub struct Answer {
    pub ret: i32,
    pub events: Vec<Event>,
    /// How long it took.
    pub took: Duration,
    /// The context of New.
    pub made: Option<Raw>,
    pub stats: Option<caio_stats>,
    /// Look: the descriptor was readable after the call for the statistics.
    pub readable: bool,
    /// The bytes of Drain and Feed.
    pub bytes: Vec<u8>,
}

impl Call {
    fn make(self, raw: Option<Raw>) -> Answer {
        let begun = Instant::now();
        // Borrows the context for this call. Only Call::Free frees it.
        let ctx = raw.map(|raw| std::mem::ManuallyDrop::new(Ctx::from_raw(raw.0)));
        let ctx = || ctx.as_deref().expect("a call on a context");
        let answer = match self {
            Self::New(options) => new(&options),
            Self::Free => {
                drop(Ctx::from_raw(ctx().raw()));
                Answer::default()
            }
            Self::Submit { ops, poll: None } => Answer { ret: ctx().submit(&ops), ..Answer::default() },
            Self::Submit { ops, poll: Some(max) } => {
                let (ret, events) = ctx().submit_poll(&ops, max);
                Answer { ret, events, ..Answer::default() }
            }
            Self::Poll(max) => taken(ctx().try_poll(max)),
            Self::Wait { min, max, timeout_ns } => taken(ctx().wait(min, max, timeout_ns)),
            Self::Wake => Answer { ret: ctx().wake(), ..Answer::default() },
            Self::Cancel(tag) => Answer { ret: ctx().cancel(tag), ..Answer::default() },
            Self::CancelFd(fd) => Answer { ret: ctx().cancel_fd(fd), ..Answer::default() },
            Self::CancelAll => Answer { ret: ctx().cancel_all(), ..Answer::default() },
            Self::Look => {
                let stats = Some(ctx().stats());
                Answer { ret: ctx().backend(), stats, readable: ctx().readable(), ..Answer::default() }
            }
            Self::Feed { fd, bytes } => Answer { ret: world::feed(fd, &bytes) as i32, bytes, ..Answer::default() },
            Self::Drain { fd, len } => {
                let mut bytes = vec![0; len];
                let got = world::drain(fd, &mut bytes);
                bytes.truncate(got);
                Answer { bytes, ..Answer::default() }
            }
            Self::Cool(fds) => {
                fds.into_iter().for_each(cool);
                Answer::default()
            }
            Self::Fork(child) => Answer { ret: child.run(), ..Answer::default() },
        };
        Answer { took: begun.elapsed(), ..answer }
    }
}

fn new(options: &caio_options) -> Answer {
    match Ctx::try_new(options) {
        Err(ret) => Answer { ret, ..Answer::default() },
        Ok(ctx) => {
            // The first poll makes this thread the owner of a SINGLE_THREAD context.
            assert_eq!(ctx.poll(1), [], "a new context has no events");
            Answer { made: Some(Raw(ctx.into_raw())), ..Answer::default() }
        }
    }
}

fn taken(events: Result<Vec<Event>, i32>) -> Answer {
    match events {
        Ok(events) => Answer { ret: events.len() as i32, events, ..Answer::default() },
        Err(ret) => Answer { ret, ..Answer::default() },
    }
}

fn cool(fd: RawFd) {
    // SAFETY: no memory involved.
    unsafe {
        libc::fdatasync(fd);
        libc::posix_fadvise(fd, 0, 0, libc::POSIX_FADV_DONTNEED);
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that live as long as a test case.
pub struct Actors {
    threads: Vec<(Sender<Job>, JoinHandle<()>)>,
}

impl Actors {
    pub fn new() -> Self {
        let threads = (0..FRESH).map(|_| {
            let (sender, jobs): (Sender<Job>, Receiver<Job>) = channel();
            (sender, std::thread::spawn(move || jobs.into_iter().for_each(|job| job())))
        });
        Self { threads: threads.collect() }
    }

    /// Makes these calls at the same time. Returns the answers in the same order; None if a call hangs.
    pub fn run(&self, calls: Vec<(usize, Option<Raw>, Call)>) -> Option<Vec<Answer>> {
        let start = Arc::new(Barrier::new(calls.len()));
        let waiting: Vec<Receiver<Answer>> = calls
            .into_iter()
            .map(|(actor, raw, call)| {
                let (answer, answered) = channel();
                let start = start.clone();
                let job = move || {
                    start.wait();
                    // The receiver is gone if another call failed the test.
                    answer.send(call.make(raw)).ok();
                };
                self.start(actor, Box::new(job));
                answered
            })
            .collect();
        waiting.into_iter().map(|answered| receive(&answered, PATIENCE).ok()).collect()
    }

    fn start(&self, actor: usize, job: Job) {
        assert!(actor < ACTORS);
        match self.threads.get(actor) {
            Some((sender, _)) => sender.send(job).expect("the thread lives"),
            None => drop(std::thread::spawn(job)),
        }
    }

    pub fn end(self) {
        for (sender, thread) in self.threads {
            drop(sender);
            thread.join().expect("no call panics");
        }
    }
}
