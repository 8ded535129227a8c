//! Requests: operations that are not submitted yet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::op::Op;
use super::state::{self, Completes, Operation, Outcome, Pending};
use super::table::Id;
use crate::error::{Errno, Result};
use crate::op::{self, field};

/// An operation that is not submitted yet, with its options. The functions of [`ops`](crate::ops) make requests.
///
/// `O` is the output, which [`Op`] yields.
///
/// # Examples
/// ```
/// use caio::ops;
/// use std::time::Duration;
///
/// # let ctx = caio::Context::new()?;
/// let (read, _write) = std::io::pipe()?;
/// let request = ops::read(read, vec![0; 512]).timeout(Duration::from_millis(5));
/// let (result, _buffer) = ctx.block_on(ctx.submit(request));
/// assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
/// # std::io::Result::Ok(())
/// ```
#[must_use = "a request does nothing until it is submitted"]
pub struct Request<O> {
    state: Arc<dyn Pending<O>>,
    options: Options,
    /// It opens a file that its chain closes, so that its result is no descriptor.
    for_chain: bool,
}

#[derive(Default)]
struct Options {
    timeout: Option<Duration>,
    priority: u16,
    full: bool,
    flags: u32,
}

impl<O> fmt::Debug for Request<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

impl<O> Request<O> {
    pub(super) fn new<T: Operation<Output = O>>(data: T) -> Self {
        Self { state: state::new(data), options: Options::default(), for_chain: false }
    }

    pub(super) fn for_chain<T: Operation<Output = O>>(data: T) -> Self {
        Self { for_chain: true, ..Self::new(data) }
    }

    /// Stops the operation with `ETIMEDOUT` when it takes longer. The time starts when the context accepts the operation, or for
    /// a member of a chain when it starts. A disk operation that runs is not interrupted.
    ///
    /// # Examples
    /// ```
    /// # let (fd, _write) = std::io::pipe()?;
    /// let request = caio::ops::read(fd, vec![0; 512]).timeout(std::time::Duration::from_secs(1));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn timeout(mut self, time: Duration) -> Self {
        self.options.timeout = Some(time);
        self
    }

    /// Of a read or write: continues after a short transfer, until the whole buffer is moved or at end of file.
    /// Other operations fail with `EINVAL`.
    ///
    /// # Examples
    /// ```
    /// # let file = std::fs::File::open("/etc/passwd")?;
    /// let request = caio::ops::read_at(file, vec![0; 1 << 20], 0).full();
    /// # std::io::Result::Ok(())
    /// ```
    pub fn full(mut self) -> Self {
        self.options.full = true;
        self
    }

    /// The I/O priority, as ioprio_set(2) numbers it. A hint.
    ///
    /// # Examples
    /// ```
    /// # let file = std::fs::File::open("/etc/passwd")?;
    /// const IDLE: u16 = 3 << 13;
    /// let request = caio::ops::read_at(file, vec![0; 512], 0).priority(IDLE);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn priority(mut self, ioprio: u16) -> Self {
        self.options.priority = ioprio;
        self
    }

    /// Adds flags of the system call: `RWF_*`, `AT_*`, `RENAME_*` and so on. An operation without flags fails with `EINVAL`.
    ///
    /// # Examples
    /// ```
    /// const RWF_DSYNC: u32 = 2;
    /// # let file = std::fs::File::open("/etc/passwd")?;
    /// let request = caio::ops::write_at(file, "text", 0).flags(RWF_DSYNC);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn flags(mut self, flags: u32) -> Self {
        self.options.flags |= flags;
        self
    }

    pub(super) fn describe(&self) -> Result<op::Op> {
        let Options { timeout, priority, full, flags } = self.options;
        let op = self.state.describe()?;
        let has = |field: u8| op.code.fields() & field != 0;
        if full && !has(field::FULL) || flags != 0 && !has(field::SYS_FLAGS) {
            return Err(Errno(libc::EINVAL));
        }
        // 0 would mean no timeout.
        let timeout = timeout.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1));
        Ok(op::Op { timeout_ns: timeout, ioprio: priority, full, sys_flags: op.sys_flags | flags, ..op })
    }
}

/// Requests of one submission: a [`Request`], a tuple of up to eight, an array or a `Vec`.
///
/// # Examples
/// ```
/// use caio::{CWD, ops};
/// # let ctx = caio::Context::new()?;
/// let (a, b) = ctx.submit((ops::stat(CWD, "/etc"), ops::stat(CWD, "/etc/passwd")));
/// let (a, b) = ctx.block_on(async { (a.await, b.await) });
/// assert!(a?.is_dir() && b?.is_file());
///
/// let names = ["/etc", "/usr", "/bin"];
/// let all = ctx.submit(names.map(|name| ops::stat(CWD, name)));
/// for op in all {
///     assert!(ctx.block_on(op)?.is_dir());
/// }
/// # std::io::Result::Ok(())
/// ```
pub trait Requests: sealed::Requests {}

pub(super) mod sealed {
    pub trait Requests {
        type Ops;
        fn enter(self, submission: &mut super::Submission<'_>) -> Self::Ops;
    }
}

impl<T: sealed::Requests> Requests for T {}

impl<O> sealed::Requests for Request<O> {
    type Ops = Op<O>;
    fn enter(self, submission: &mut Submission<'_>) -> Op<O> {
        submission.add(self)
    }
}

impl<O> sealed::Requests for Vec<Request<O>> {
    type Ops = Vec<Op<O>>;
    fn enter(self, submission: &mut Submission<'_>) -> Self::Ops {
        self.into_iter().map(|request| submission.add(request)).collect()
    }
}

impl<O, const N: usize> sealed::Requests for [Request<O>; N] {
    type Ops = [Op<O>; N];
    fn enter(self, submission: &mut Submission<'_>) -> Self::Ops {
        self.map(|request| submission.add(request))
    }
}

macro_rules! tuples {
    ($(($($name:ident)+))+) => {
        $(
            #[allow(non_snake_case)]
            impl<$($name),+> sealed::Requests for ($(Request<$name>,)+) {
                type Ops = ($(Op<$name>,)+);
                fn enter(self, submission: &mut Submission<'_>) -> Self::Ops {
                    let ($($name,)+) = self;
                    ($(submission.add($name),)+)
                }
            }
        )+
    };
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
}

/// Requests on their way to the core.
pub struct Submission<'a> {
    core: &'a Arc<Core>,
    ops: Vec<op::Op>,
    /// Which of them are [`Request::for_chain`].
    for_chain: Vec<bool>,
    /// Requests that are malformed: a path with a null byte, an option that the operation does not have.
    malformed: Vec<(Arc<dyn Completes>, Errno)>,
}

impl<'a> Submission<'a> {
    pub fn new(core: &'a Arc<Core>) -> Self {
        Self { core, ops: Vec::new(), for_chain: Vec::new(), malformed: Vec::new() }
    }

    fn add<O>(&mut self, request: Request<O>) -> Op<O> {
        let described = request.describe();
        let state = request.state;
        let id: Option<Id> = match described {
            Ok(op) => {
                let user_data = self.core.register(as_completes(state.clone()));
                self.ops.push(op::Op { user_data, ..op });
                self.for_chain.push(request.for_chain);
                Some(user_data)
            }
            Err(errno) => {
                self.malformed.push((as_completes(state.clone()), errno));
                None
            }
        };
        Op::new(state, self.core, id)
    }

    pub fn send(self) {
        let Self { core, ops, for_chain, malformed } = self;
        // One that is no member of a chain yields a number that its output does not own.
        let is_outside = |at: &usize| for_chain[*at];
        let outside: Vec<_> = (0..ops.len()).filter(is_outside).map(|at| ops[at]).collect();
        let ops: Vec<_> = (0..ops.len()).filter(|at| !is_outside(at)).map(|at| ops[at]).collect();
        core.refuse(&outside, Errno(libc::EINVAL));
        malformed.into_iter().for_each(|(state, errno)| state.complete(Outcome::Refused(errno)));
        core.submit(&ops);
    }

    /// Whether a close of the chain belongs to each [`Request::for_chain`], and each use of an opened file lies between. Another
    /// open yields a descriptor that the program may close at any time.
    fn closes_what_it_opens(&self) -> bool {
        let mut is_open = false;
        for (op, for_chain) in self.ops.iter().zip(&self.for_chain) {
            if op.uses_opened() && !is_open || op.code.opens_fd() && is_open {
                return false;
            }
            let closes = op.code == op::Code::Close && op.fd == op::OPENED;
            is_open = (is_open || *for_chain) && !closes;
        }
        !is_open
    }

    /// Each operation starts only after the one before it has succeeded in full.
    pub fn send_chain(mut self) {
        if let Some((_, before)) = self.ops.split_last_mut() {
            before.iter_mut().for_each(|op| op.link = true);
        }
        if !self.closes_what_it_opens() {
            self.core.refuse(&self.ops, Errno(libc::EINVAL));
            (self.ops, self.for_chain) = (Vec::new(), Vec::new());
            self.send();
        } else if self.malformed.is_empty() {
            self.core.submit(&self.ops);
        } else {
            self.core.refuse(&self.ops, Errno(libc::ECANCELED));
            (self.ops, self.for_chain) = (Vec::new(), Vec::new());
            self.send();
        }
    }
}

fn as_completes<O>(state: Arc<dyn Pending<O>>) -> Arc<dyn Completes> {
    state
}
