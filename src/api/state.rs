//! An operation between its request and its output.

use std::io;
use std::mem;
use std::sync::Arc;
use std::task::Waker;

use crate::error::{Errno, Result};
use crate::op::Op as Described;
use crate::sync::Mutex;

/// How an operation ended.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// The result of its event.
    Event(i64),
    /// The context did not accept it.
    Refused(Errno),
    /// The context was dropped, and did not wait for its event.
    Dropped,
}

impl Outcome {
    pub fn result(self) -> io::Result<u64> {
        let errno = match self {
            Self::Event(result) => match u64::try_from(result) {
                Ok(value) => return Ok(value),
                Err(_) => -result as i32,
            },
            Self::Refused(Errno(errno)) => errno,
            Self::Dropped => libc::ECANCELED,
        };
        Err(io::Error::from_raw_os_error(errno))
    }

    pub fn size(self) -> io::Result<usize> {
        self.result().map(|size| size as usize)
    }

    /// Of a close: whether the descriptor is still open.
    pub fn still_open(self) -> bool {
        const STOPPED: i64 = -(libc::ECANCELED as i64);
        matches!(self, Self::Event(STOPPED) | Self::Refused(_))
    }
}

/// What an operation owns until its event. From `describe` to `finish` it stays at its place. Memory that `describe` lends is
/// neither part of the value itself nor reached through it in the meantime: the kernel uses it.
pub trait Operation: Send + 'static {
    type Output: Send + 'static;
    fn describe(&mut self) -> Result<Described>;
    fn finish(self, outcome: Outcome) -> Self::Output;
}

/// An operation whose output is of type `O`, or that has it.
pub trait Pending<O>: Completes {
    fn describe(&self) -> Result<Described>;
    /// The output. If there is none yet, wakes `waker` when there is.
    fn poll(&self, waker: &Waker) -> Option<O>;
    fn take(&self) -> Option<O>;
    fn is_complete(&self) -> bool;
    /// Calls `callback` with the output: now, or when there is one.
    fn on_complete(&self, callback: Callback<O>);
}

/// What the context knows of an operation.
pub trait Completes: Send + Sync {
    /// Stores the output and tells the program. Runs code of the program.
    fn complete(&self, outcome: Outcome);
}

type Callback<O> = Box<dyn FnOnce(O) + Send>;

struct State<T: Operation>(Mutex<Progress<T>>);

enum Progress<T: Operation> {
    /// Not complete. Another enum variant would move the data, so only its listener changes.
    Running {
        data: T,
        listener: Listener<T::Output>,
    },
    /// A thread makes the output.
    Ending(Listener<T::Output>),
    Complete(T::Output),
    Taken,
}

enum Listener<O> {
    None,
    Task(Waker),
    Callback(Callback<O>),
}

/// A new operation.
pub fn new<T: Operation>(data: T) -> Arc<dyn Pending<T::Output>> {
    Arc::new(State(Mutex::new(Progress::Running { data, listener: Listener::None })))
}

impl<T: Operation> Progress<T> {
    fn listener(&mut self) -> Option<&mut Listener<T::Output>> {
        match self {
            Self::Running { listener, .. } | Self::Ending(listener) => Some(listener),
            Self::Complete(_) | Self::Taken => None,
        }
    }

    fn take(&mut self) -> Option<T::Output> {
        match mem::replace(self, Self::Taken) {
            Self::Complete(output) => Some(output),
            _ => unreachable!("taken only when complete"),
        }
    }
}

// No code of the program runs under the lock: neither a waker's, nor a callback, nor a drop.
impl<T: Operation> Pending<T::Output> for State<T> {
    fn describe(&self) -> Result<Described> {
        match &mut *self.0.lock() {
            Progress::Running { data, .. } => data.describe(),
            _ => unreachable!("described once, before it runs"),
        }
    }

    fn poll(&self, waker: &Waker) -> Option<T::Output> {
        if let Some(output) = self.take() {
            return Some(output);
        }
        let new = Listener::Task(waker.clone());
        let mut progress = self.0.lock();
        match progress.listener() {
            Some(listener) => {
                let old = mem::replace(listener, new);
                drop(progress);
                drop(old);
                None
            }
            None => {
                let output = progress.take();
                drop(progress);
                drop(new);
                output
            }
        }
    }

    fn take(&self) -> Option<T::Output> {
        let mut progress = self.0.lock();
        matches!(*progress, Progress::Complete(_)).then(|| progress.take()).flatten()
    }

    fn is_complete(&self) -> bool {
        matches!(*self.0.lock(), Progress::Complete(_))
    }

    fn on_complete(&self, callback: Callback<T::Output>) {
        let mut progress = self.0.lock();
        if let Some(listener) = progress.listener() {
            let old = mem::replace(listener, Listener::Callback(callback));
            drop(progress);
            drop(old);
        } else {
            let output = progress.take();
            drop(progress);
            if let Some(output) = output {
                callback(output);
            }
        }
    }
}

impl<T: Operation> Completes for State<T> {
    fn complete(&self, outcome: Outcome) {
        let data = {
            let mut progress = self.0.lock();
            match mem::replace(&mut *progress, Progress::Taken) {
                Progress::Running { data, listener } => {
                    *progress = Progress::Ending(listener);
                    data
                }
                _ => unreachable!("an operation has one event"),
            }
        };
        let output = data.finish(outcome);
        let mut progress = self.0.lock();
        let listener = progress.listener().map(|listener| mem::replace(listener, Listener::None));
        match listener {
            Some(Listener::Callback(callback)) => {
                *progress = Progress::Taken;
                drop(progress);
                callback(output);
            }
            listener => {
                *progress = Progress::Complete(output);
                drop(progress);
                if let Some(Listener::Task(waker)) = listener {
                    waker.wake();
                }
            }
        }
    }
}
