//! The threads that run callbacks for thread_aio, whose users wait for nothing themselves.
//!
//! Each waits for one event, so that a callback that blocks keeps only its own thread; another is started while all are
//! busy, up to the pool's size. They end when there is nothing to wait for.

use std::sync::{Arc, Mutex};

use crate::core::Core;
use crate::finalize;
use crate::raw::Events;

#[derive(Default)]
pub struct Delivery {
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    waiting: u32,
    all: u32,
    /// The Context is gone: nobody will submit any more.
    orphaned: bool,
}

/// How long a thread without work stays.
const IDLE_NS: i64 = 1_000_000_000;

impl Delivery {
    fn threads(&self) -> std::sync::MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Makes sure that somebody waits.
pub fn ensure(core: &Arc<Core>) {
    let mut threads = core.delivery.threads();
    if threads.waiting == 0 && threads.all < core.pool_size.max(1) {
        let mine = core.clone();
        let started = std::thread::Builder::new().name("caio-callbacks".into()).stack_size(1 << 20).spawn(|| run(mine));
        if started.is_ok() {
            threads.waiting += 1;
            threads.all += 1;
        }
    }
}

/// The Context is gone; threads that wait for nothing end now.
pub fn orphan(core: &Core) {
    let mut threads = core.delivery.threads();
    threads.orphaned = true;
    if threads.all > 0 {
        core.ctx.wake();
    }
}

fn run(core: Arc<Core>) {
    crate::signals::block_all();
    let mut events = Events::<1>::new();
    loop {
        let waited = core.ctx.wait(&mut events, 1, 1, IDLE_NS);
        let event = if waited.is_ok() { events.iter().next() } else { None };
        match event {
            Some(event) => {
                core.delivery.threads().waiting -= 1;
                if core.operations().len() > 1 {
                    ensure(&core);
                }
                if finalize::attach(|py| core.deliver(py, event)).is_none() {
                    return;
                }
                core.delivery.threads().waiting += 1;
            }
            None => {
                let mut threads = core.delivery.threads();
                if core.operations().is_empty() {
                    threads.waiting -= 1;
                    threads.all -= 1;
                    if threads.orphaned && threads.all > 0 {
                        core.ctx.wake();
                    }
                    return;
                }
            }
        }
    }
}
