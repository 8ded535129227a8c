//! What a program waits for while completions are pending: an event object, and for loops that take sockets alone, a
//! socket. Sleeping until one of several is set.

use std::sync::{Arc, Weak};
use std::time::Duration;

use windows_sys::Win32::Foundation::HANDLE;

use super::super::{Descriptors, Signal};
use super::event::{self, Event};
use super::fd::{AsRawFd, RawFd, handle};
use super::socket::Socket;
use crate::error::{Errno, Result};
use crate::sync::Mutex;

/// A counter whose event is set while it is not 0.
pub struct Pollable {
    event: Event,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    count: u64,
    /// For loops that watch sockets; made when first asked for. The first one sends, the second one is watched.
    sockets: Option<(Socket, Socket)>,
    /// The socket has a byte to receive.
    sent: bool,
    edges: Vec<Weak<Event>>,
}

impl Pollable {
    pub fn new() -> Result<Self> {
        Ok(Self { event: Event::new()?, state: Mutex::new(State::default()) })
    }
}

impl State {
    /// Makes the socket readable, or not, as the count is.
    fn show(&mut self) {
        let Some((sender, receiver)) = &self.sockets else { return };
        match (self.count > 0, self.sent) {
            (true, false) => self.sent = sender.send(),
            (false, true) => {
                receiver.receive();
                self.sent = false;
            }
            _ => {}
        }
    }
}

impl Signal for Pollable {
    fn signal(&self) -> bool {
        let mut state = self.state.lock();
        state.count += 1;
        self.event.set();
        state.show();
        state.edges.retain(|edge| {
            edge.upgrade().is_some_and(|edge| {
                edge.set();
                true
            })
        });
        true
    }

    fn clear(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let count = std::mem::take(&mut state.count);
        self.event.reset();
        state.show();
        Some(count)
    }
}

impl AsRawFd for Pollable {
    fn as_raw_fd(&self) -> RawFd {
        self.event.as_raw_fd()
    }
}

impl Descriptors for Pollable {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [None; 2]
    }

    /// A socket that is readable while the event is set.
    fn for_loops(&self) -> Result<RawFd> {
        let mut state = self.state.lock();
        if state.sockets.is_none() {
            state.sockets = Some(Socket::pair()?);
            state.show();
        }
        state.sockets.as_ref().map(|(_, receiver)| receiver.as_raw_fd()).ok_or(Errno(libc::EBADF))
    }

    fn event_handle(&self) -> Result<HANDLE> {
        Ok(self.event.handle())
    }
}

/// Becomes readable with each further signal of a pollable, while that stays readable.
pub struct Edges(Arc<Event>);

impl Edges {
    pub fn new(of: &Pollable) -> Result<Self> {
        let edges = Arc::new(Event::new()?);
        let mut state = of.state.lock();
        state.edges.try_reserve(1).map_err(|_| Errno(libc::ENOMEM))?;
        state.edges.push(Arc::downgrade(&edges));
        Ok(Self(edges))
    }

    /// Makes it not readable until the next signal.
    pub fn clear(&self) {
        self.0.reset();
    }
}

impl AsRawFd for Edges {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Descriptors for Edges {
    fn descriptors(&self) -> [Option<RawFd>; 2] {
        [None; 2]
    }
}

/// Sleeps until a handle is set, or the timeout expires (None: no limit). Returns which are set.
pub fn sleep_until_readable<const N: usize>(fds: [RawFd; N], timeout: Option<Duration>) -> Result<[bool; N]> {
    let handles = fds.map(handle);
    event::wait_any(&handles, timeout)?;
    Ok(handles.map(event::is_set))
}
