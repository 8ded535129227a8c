//! The threads that collect completions for thread_aio, and run callbacks.
//!
//! Each waits for one event, so that a callback that blocks delays no other. If all are busy, another is started, up to the
//! pool's size. A thread ends when nothing is in flight.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::core::Core;
use crate::finalize;
use crate::raw::room;

#[derive(Default)]
pub struct Delivery {
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    waiting: u32,
    all: u32,
    /// The Context was dropped: no more operations will come.
    orphaned: bool,
}

/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(1);

impl Delivery {
    fn threads(&self) -> std::sync::MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Makes sure that a thread waits.
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

/// The Context was dropped: idle threads end now.
pub fn orphan(core: &Core) {
    let mut threads = core.delivery.threads();
    threads.orphaned = true;
    if threads.all > 0 {
        core.ctx.wake().ok();
    }
}

fn run(core: Arc<Core>) {
    crate::system::block_signals();
    let mut events = room::<1>();
    loop {
        let waited = core.ctx.wait(&mut events, 1, Some(IDLE)).ok();
        match waited.and_then(|events| events.first().copied()) {
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
                        core.ctx.wake().ok();
                    }
                    return;
                }
            }
        }
    }
}
