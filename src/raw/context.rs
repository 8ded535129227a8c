//! A context whose caller keeps the memory of the operations in place.

use std::ffi::c_void;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::time::Duration;

use super::request::{Request, Requests};
use crate::backend::Backend;
use crate::completion::{Event, Sink};
use crate::context::{Context as Engine, Options, Stats};
use crate::error::{Errno, Result};
use crate::op::Code;
use crate::sync::or_abort;

/// The completion of one operation, `struct caio_event`.
///
/// # Examples
/// ```
/// let completion = caio::raw::Completion { user_data: 1, result: 4096 };
/// assert_eq!(completion.result(), Ok(4096));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// That of the request.
    pub user_data: u64,
    /// The system call's result, or a negative errno.
    pub result: i64,
}

impl Completion {
    /// What the operation returned, or why it failed.
    ///
    /// # Errors
    /// The operation's.
    ///
    /// # Examples
    /// ```
    /// let completion = caio::raw::Completion { user_data: 1, result: -2 };
    /// assert_eq!(completion.result(), Err(caio::raw::Errno(2)));
    /// ```
    pub fn result(self) -> Result<u64> {
        u64::try_from(self.result).map_err(|_| Errno(-self.result as i32))
    }
}

/// A context: the operations in flight, and a descriptor that is readable while completions are pending.
///
/// Any thread may use it, also several at the same time. Dropping it does what caio_ctx_free(3) does: it cancels the
/// operations that can be stopped, waits for running disk operations, and drops the completions.
///
/// # Examples
/// ```
/// use caio::raw::{Context, Options};
/// let ctx = Context::new(Options::default())?;
/// assert_eq!(ctx.max_requests()?, 512);
/// # Ok::<(), caio::raw::Errno>(())
/// ```
pub struct Context(ManuallyDrop<Engine>);

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $output:ty = $call:expr, $example:literal;)+) => {
        impl Context {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// `EOWNERDEAD` in a child of fork(2); `EPERM` if a context for one thread belongs to another.
                ///
                /// # Examples
                /// ```
                /// # use caio::raw::{Code, Context, Options};
                /// # let ctx = Context::new(Options::default())?;
                #[doc = $example]
                /// # Ok::<(), caio::raw::Errno>(())
                /// ```
                pub fn $name(&self, $($argument: $type),*) -> Result<$output> {
                    let call: fn(&Engine, $($type),*) -> Result<$output> = $call;
                    or_abort(|| call(&self.0, $($argument),*))
                }
            )+
        }
    };
}

calls! {
    /// Ends a [`wait`](Self::wait) that is sleeping, or else makes the next one return early.
    wake() -> () = |engine| engine.wake().map(drop), "ctx.wake()?;";
    /// Asks the operations with this `user_data` to stop, and returns how many there are. Their completions still come.
    /// `ENOENT` if there is none.
    cancel(user_data: u64) -> u32 = |engine, user_data| engine.cancel(user_data), "assert!(ctx.cancel(1).is_err());";
    /// The same for the operations on a descriptor.
    cancel_fd(fd: i32) -> u32 = |engine, fd| engine.cancel_fd(fd), "assert!(ctx.cancel_fd(0).is_err());";
    /// The same for all. 0 if there is none.
    cancel_all() -> u32 = |engine| engine.cancel_all(), "assert_eq!(ctx.cancel_all()?, 0);";
    /// The descriptor for poll(2), select(2) or an event loop, on Windows a SOCKET. It is the context's.
    descriptor() -> i32 = |engine| engine.events_fd().map(|fd| fd as i32), "let fd = ctx.descriptor()?;";
    /// On Windows, an event that is signalled while completions are pending, and is the context's. Elsewhere `ENOSYS`.
    event_handle() -> *mut c_void = |engine| engine.event_handle(), "let handle = ctx.event_handle();";
    /// The backend in use, never [`Backend::Auto`].
    backend() -> Backend = |engine| engine.backend(), "println!(\"{}\", ctx.backend()?);";
    /// The most operations that are accepted and whose completions are not taken.
    max_requests() -> u32 = |engine| engine.max_requests(), "assert_eq!(ctx.max_requests()?, 512);";
    /// Whether this system has the call of an operation. If not, it fails with `EOPNOTSUPP`.
    supports(code: Code) -> bool = |engine, code| engine.supports(code as u32).map(|answer| answer == 1),
        "assert!(ctx.supports(Code::Read)?);";
    /// Counters since the context was made.
    stats() -> Stats = |engine| engine.stats(), "assert_eq!(ctx.stats()?.submitted, 0);";
}

impl Context {
    /// Makes a context.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`, or the reason why the backend is not available: see [`Backend::probe`].
    /// `EINVAL` if `max_requests` is larger than `i32::MAX`.
    ///
    /// # Examples
    /// ```
    /// use caio::raw::{Context, Options};
    /// let ctx = Context::new(Options::default())?;
    /// # Ok::<(), caio::raw::Errno>(())
    /// ```
    pub fn new(options: Options) -> Result<Self> {
        or_abort(|| Engine::new(options)).map(|engine| Self(ManuallyDrop::new(engine)))
    }

    /// Submits requests, and returns how many were accepted: the first ones, as many as fit. See caio_ctx_submit(3).
    ///
    /// # Safety
    /// The memory of each accepted request stays valid and untouched until its completion was taken, or the context was
    /// dropped. Paths are copied.
    ///
    /// # Errors
    /// Only if none was accepted: `EAGAIN` (the context is full), `EINVAL` (the first request is malformed), `E2BIG`, `ENOMEM`,
    /// `EPERM`, `EOWNERDEAD`.
    ///
    /// # Examples
    /// ```
    /// use caio::raw::{Code, Context, Options, Request};
    /// let ctx = Context::new(Options::default())?;
    /// // SAFETY: it uses no memory.
    /// assert_eq!(unsafe { ctx.submit(&[Request::new(Code::Nop)]) }?, 1);
    /// # Ok::<(), caio::raw::Errno>(())
    /// ```
    pub unsafe fn submit(&self, requests: &[Request]) -> Result<usize> {
        // SAFETY: the caller's promise.
        let source = unsafe { Requests::new(requests) };
        or_abort(|| self.0.submit(&source)).map(|accepted| accepted as usize)
    }

    /// [`submit`](Self::submit), then [`poll`](Self::poll). Cached reads often complete in the same call. Handle the
    /// completions before an error.
    ///
    /// # Safety
    /// As [`submit`](Self::submit).
    ///
    /// # Examples
    /// ```
    /// use caio::raw::{Code, Context, Options, Request};
    /// use std::mem::MaybeUninit;
    /// let ctx = Context::new(Options::default())?;
    /// let mut room = [const { MaybeUninit::uninit() }; 8];
    /// // SAFETY: it uses no memory.
    /// let (accepted, completions) = unsafe { ctx.submit_poll(&[Request::new(Code::Nop)], &mut room) };
    /// assert_eq!(accepted, Ok(1));
    /// assert!(completions.len() <= 1);
    /// # Ok::<(), caio::raw::Errno>(())
    /// ```
    pub unsafe fn submit_poll<'a>(
        &self,
        requests: &[Request],
        room: &'a mut [MaybeUninit<Completion>],
    ) -> (Result<usize>, &'a mut [Completion]) {
        // SAFETY: the caller's promise.
        let source = unsafe { Requests::new(requests) };
        let mut filling = Filling::new(room);
        let submitted = or_abort(|| self.0.submit_poll(&source, &mut filling));
        let accepted = submitted.and_then(|(accepted, _)| accepted).map(|accepted| accepted as usize);
        (accepted, filling.filled())
    }

    /// Takes pending completions, as many as there is room for. Never blocks.
    ///
    /// # Errors
    /// `EPERM`, `EOWNERDEAD`.
    ///
    /// # Examples
    /// ```
    /// use caio::raw::{Context, Options};
    /// use std::mem::MaybeUninit;
    /// let ctx = Context::new(Options::default())?;
    /// let mut room = [const { MaybeUninit::uninit() }; 8];
    /// assert!(ctx.poll(&mut room)?.is_empty());
    /// # Ok::<(), caio::raw::Errno>(())
    /// ```
    pub fn poll<'a>(&self, room: &'a mut [MaybeUninit<Completion>]) -> Result<&'a mut [Completion]> {
        let mut filling = Filling::new(room);
        or_abort(|| self.0.poll(&mut filling))?;
        Ok(filling.filled())
    }

    /// Sleeps until `least` completions are pending, the time is over, or a thread calls [`wake`](Self::wake); then takes
    /// completions. None means no limit of time. Fewer than `least` is normal.
    ///
    /// # Errors
    /// `EINTR` (a signal handler ran and no completion is pending), `EINVAL` (`least` is larger than the room), `EPERM`,
    /// `EOWNERDEAD`.
    ///
    /// # Examples
    /// ```
    /// use caio::raw::{Context, Options};
    /// use std::{mem::MaybeUninit, time::Duration};
    /// let ctx = Context::new(Options::default())?;
    /// let mut room = [const { MaybeUninit::uninit() }; 8];
    /// assert!(ctx.wait(&mut room, 1, Some(Duration::from_millis(1)))?.is_empty());
    /// # Ok::<(), caio::raw::Errno>(())
    /// ```
    pub fn wait<'a>(
        &self,
        room: &'a mut [MaybeUninit<Completion>],
        least: u32,
        timeout: Option<Duration>,
    ) -> Result<&'a mut [Completion]> {
        let timeout_ns = timeout.map_or(-1, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        let mut filling = Filling::new(room);
        or_abort(|| self.0.wait(&mut filling, least, timeout_ns))?;
        Ok(filling.filled())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: taken once, as this is the end.
        let engine = unsafe { ManuallyDrop::take(&mut self.0) };
        or_abort(|| engine.free());
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// The caller's room, filled from its start.
struct Filling<'a> {
    room: &'a mut [MaybeUninit<Completion>],
    count: usize,
}

impl<'a> Filling<'a> {
    fn new(room: &'a mut [MaybeUninit<Completion>]) -> Self {
        Self { room, count: 0 }
    }

    fn filled(self) -> &'a mut [Completion] {
        let filled: *mut [MaybeUninit<Completion>] = &mut self.room[..self.count];
        // SAFETY: `put` has written the first `count`. The layout is the same, and the borrow ends with the room's.
        unsafe { &mut *(filled as *mut [Completion]) }
    }
}

impl Sink for Filling<'_> {
    fn room(&self) -> u32 {
        u32::try_from(self.room.len() - self.count).unwrap_or(u32::MAX)
    }

    #[inline(always)]
    fn put(&mut self, Event { user_data, result }: Event) {
        self.room[self.count].write(Completion { user_data, result });
        self.count += 1;
    }
}
