//! A context: its operations in flight, and the calls that the C boundary makes.

mod calls;
mod cancel;
mod chain_file;
mod chores;
mod deadline;
mod free;
mod inline;
mod native;
mod poller;
mod probes;
mod report;
mod state;
mod stats;
mod submit;
mod sync_group;
mod sync_pace;
mod wait;
mod waiting;
mod wake;
mod watches;
mod workers;

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use self::cancel::CancelTarget;
use crate::backend::{self, Backend, Config};
use crate::completion::{Completions, Nowhere, Sink};
use crate::error::{Errno, Result};
use crate::exec::blocking;
use crate::fd::Remembered;
use crate::fork_list::ForkList;
use crate::log::Log;
use crate::notifier::Notifier;
use crate::op::{Code, Op, SimpleTransfer};
use crate::route::Router;
use crate::spin::EventCount;
use crate::sync::{Condvar, Mutex, panic_point};
use crate::sys::fd::RawFd;
use crate::sys::{fork, thread};
use report::Report;
use state::State;
use wake::Wake;

pub use crate::sys::mem::Memory;
/// An address and a length: struct iovec, on Windows `struct caio_iovec`.
pub use crate::sys::rw::iovec as IoVec;
/// The parts of `sys` that the Rust API needs, which not every system has.
#[allow(unused_imports)]
pub use crate::sys::{
    fs::AT_FDCWD,
    mem::{IovecBuf, NULL},
    status::{BASIC, BIRTH, Statx, Timestamp},
};
/// The parts of `sys` that the C boundary needs.
#[cfg(feature = "capi")]
pub use crate::sys::{mem::boxed, text::errno_text, thread::keeping_errno};
pub use stats::Stats;

/// Tells of a call that fails before there is a context.
#[cfg(feature = "capi")]
#[cold]
pub fn tell_refusal(text: std::fmt::Arguments) {
    keeping_errno(|| Log::from_environment().debug(text));
}

/// The options of a context, as `struct caio_options` has them.
///
/// # Examples
/// ```
/// let options = caio::raw::Options { max_requests: 32, ..Default::default() };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Who does the work.
    pub backend: Backend,
    /// The most operations that are accepted and whose completions are not taken. 0 means a default.
    pub max_requests: u32,
    /// The most worker threads. 0 means a default.
    pub threads: u32,
    /// A promise that one thread makes all calls.
    pub single_thread: bool,
    /// A hint: io_uring may use a kernel thread for submissions.
    pub sqpoll: bool,
    /// Nothing completes inside submit.
    pub no_inline: bool,
    /// A hint: each operation takes its fastest path, even if the named backend supports it.
    pub fastest_path: bool,
}

/// The operations of one submit.
pub trait Source {
    fn count(&self) -> u32;
    /// The operation, or EINVAL if it is malformed.
    fn get(&self, index: u32) -> Result<Op>;
    /// The operation, if it is well-formed and just a read or write at an offset. Most are.
    fn simple(&self, index: u32) -> Option<SimpleTransfer>;
    /// Why an operation is malformed, if the source can tell.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// The handle of the caller.
pub struct Context {
    shared: Arc<Shared>,
    max_requests: u32,
    workers: u32,
    kind: backend::Kind,
    /// The process that made it.
    process: u64,
    /// With SINGLE_THREAD: the thread that made the first call, 0 before.
    owner: Option<AtomicUsize>,
}

/// The part of a context that worker threads and the poller share.
struct Shared {
    /// A reference for new threads.
    this: Weak<Self>,
    state: Mutex<State>,
    /// Where idle workers sleep.
    work: Condvar,
    /// Where the sentinel sleeps.
    watch: Condvar,
    /// Advanced when there is work for a spinning worker.
    queued: EventCount,
    /// Advanced when a worker completes an operation.
    finished: EventCount,
    notifier: Arc<Notifier>,
    /// Held while the poller is started, so that only one is.
    poller_start: Mutex<()>,
    router: Router,
    remembered: Arc<Remembered>,
    wake: Wake,
    events_fd: RawFd,
    report: Report,
    max_requests: u32,
    /// All descriptors that the context holds.
    fds: Arc<ForkList>,
}

const DEFAULT_REQUESTS: u32 = 512;

impl Context {
    pub fn new(options: Options) -> Result<Self> {
        // What it opens would leak into a child that another thread forks meanwhile.
        let _kept_out = fork::keep_out();
        let log = Log::from_environment();
        let made = Self::logged(options, log);
        match &made {
            Ok(ctx) => ctx.shared.report.made(ctx.kind.name(), ctx.max_requests, ctx.workers),
            Err(errno) => log.info(format_args!("no context is made: {errno}")),
        }
        made
    }

    fn logged(options: Options, log: Log) -> Result<Self> {
        let Options { backend, max_requests, threads, single_thread, sqpoll, no_inline, fastest_path } = options;
        if i32::try_from(max_requests).is_err() {
            return Err(Errno(libc::EINVAL));
        }
        let max_requests = if max_requests == 0 { DEFAULT_REQUESTS } else { max_requests };
        let workers = if threads == 0 { crate::pool::DEFAULT_WORKERS } else { threads };
        let fds = Arc::new(ForkList::new());
        let done = Completions::new(max_requests as usize, fds.clone())?;
        let wake = Wake::new()?;
        let (events_fd, notifier) = (done.fd(), done.notifier());
        let config = Config { max_requests, workers, single_thread, sqpoll, events_fd, reuse: true };
        let native = backend::choose(backend, &config, log)?;
        let kind = native.kind();
        let ours = [notifier.descriptors(), wake.descriptors(), [native.fd(), None]];
        for fd in ours.into_iter().flatten().flatten() {
            fds.add(fd)?;
        }
        let fastest_path = fastest_path || backend == Backend::Auto;
        let router = Router::new(native.rules(), fastest_path, no_inline);
        let remembered = Arc::default();
        let state = State::new(max_requests, workers, done, native, &remembered)?;
        let shared = Arc::new_cyclic(|this| Shared {
            this: this.clone(),
            router,
            remembered,
            state: Mutex::new(state),
            work: Condvar::new(),
            watch: Condvar::new(),
            queued: EventCount::default(),
            finished: EventCount::default(),
            notifier,
            poller_start: Mutex::new(()),
            wake,
            events_fd,
            report: Report::new(log, events_fd),
            max_requests,
            fds,
        });
        let owner = single_thread.then(AtomicUsize::default);
        Ok(Self { shared, max_requests, workers, kind, process: fork::process(), owner })
    }

    pub fn submit(&self, source: &impl Source) -> Result<u32> {
        self.enter()?;
        self.shared.submit(source)
    }

    /// The result of submit, and how many events were taken.
    pub fn submit_poll(&self, source: &impl Source, sink: &mut impl Sink) -> Result<(Result<u32>, u32)> {
        self.enter()?;
        Ok(self.shared.submit_poll(source, sink))
    }

    pub fn poll(&self, sink: &mut impl Sink) -> Result<u32> {
        self.enter()?;
        Ok(self.shared.poll(sink))
    }

    pub fn wait(&self, sink: &mut impl Sink, min: u32, timeout_ns: i64) -> Result<u32> {
        self.enter()?;
        let answer = self.shared.wait(sink, min, timeout_ns);
        if let Err(Errno(libc::EINVAL)) = answer {
            self.shared.report.call_refused(Errno(libc::EINVAL));
        }
        answer
    }

    pub fn wake(&self) -> Result<u32> {
        self.check_process()?;
        self.shared.wake.wake();
        Ok(0)
    }

    pub fn cancel(&self, user_data: u64) -> Result<u32> {
        self.enter()?;
        none_is_an_error(self.shared.cancel(CancelTarget::UserData(user_data)))
    }

    pub fn cancel_fd(&self, fd: i32) -> Result<u32> {
        self.enter()?;
        none_is_an_error(self.shared.cancel(CancelTarget::Fd(fd)))
    }

    pub fn cancel_all(&self) -> Result<u32> {
        self.enter()?;
        Ok(self.shared.cancel(CancelTarget::All))
    }

    pub fn events_fd(&self) -> Result<u32> {
        self.check_process()?;
        self.shared.notifier.for_loops().map(|fd| fd as u32)
    }

    pub fn backend(&self) -> Result<Backend> {
        self.check_process()?;
        Ok(self.kind.into())
    }

    pub fn max_requests(&self) -> Result<u32> {
        self.check_process()?;
        Ok(self.max_requests)
    }

    /// 1 if this system has the opcode, else 0.
    pub fn supports(&self, opcode: u32) -> Result<u32> {
        self.check_process()?;
        let code = u8::try_from(opcode).ok().and_then(Code::from_number);
        Ok(code.is_some_and(blocking::has_call).into())
    }

    /// A waitable handle of the system, where descriptors are none.
    pub fn event_handle(&self) -> Result<*mut c_void> {
        self.check_process()?;
        self.shared.notifier.event_handle()
    }

    pub fn stats(&self) -> Result<Stats> {
        self.check_process()?;
        Ok(self.shared.stats())
    }

    /// Frees a context as `caio_ctx_free` does.
    pub fn free(self) {
        if !self.end(&mut Nowhere) {
            std::mem::forget(self);
        }
    }

    /// Does what `caio_ctx_free` does before the memory is freed. `sink` gets events while it has room. False if the memory
    /// must be leaked.
    pub fn end(&self, sink: &mut impl Sink) -> bool {
        if self.check_process().is_err() {
            self.shared.fds.close_all();
            return false;
        }
        // The thread that owns it may be using it.
        if self.is_anothers() {
            return false;
        }
        self.shared.drain(sink);
        true
    }

    /// The checks of each call that SINGLE_THREAD restricts.
    fn enter(&self) -> Result<()> {
        let checked = self.check_process();
        let checked = checked.and_then(|()| self.owner.as_ref().map_or(Ok(()), Self::check_thread));
        checked.inspect_err(|errno| self.shared.report.call_refused(*errno))
    }

    /// A function of its own, so that shared contexts do not ask for the thread.
    #[inline(never)]
    fn check_thread(owner: &AtomicUsize) -> Result<()> {
        // Relaxed: a thread always sees its own number here, and any other value means another thread.
        let me = thread::id();
        let first = owner.load(Ordering::Relaxed);
        let claimed = first == 0 && owner.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first == me || claimed { Ok(()) } else { Err(Errno(libc::EPERM)) }
    }

    fn is_anothers(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| ![0, thread::id()].contains(&owner.load(Ordering::Relaxed)))
    }

    fn check_process(&self) -> Result<()> {
        panic_point("call");
        if self.process == fork::process() { Ok(()) } else { Err(Errno(libc::EOWNERDEAD)) }
    }
}

fn none_is_an_error(found: u32) -> Result<u32> {
    if found == 0 { Err(Errno(libc::ENOENT)) } else { Ok(found) }
}
