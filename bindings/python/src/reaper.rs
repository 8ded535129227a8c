//! A thread that collects the events of a closed context, or of one whose loop is gone, which nothing else collects.
//!
//! It keeps the objects in flight, and with them the context and its descriptors, until the last of these events.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use crate::core::Core;
use crate::finalize;
use crate::raw::{Completion, room};

/// How many events one wait takes.
const REAP_BATCH: usize = 128;

/// Starts the thread; `reap` handles events and returns whether they were the last. False if there is no thread: then
/// what is in flight is leaked, which is safe.
pub fn start(core: Arc<Core>, reap: impl Fn(Python<'_>, &[Completion]) -> bool + Send + 'static) -> bool {
    let run = move || {
        crate::system::block_signals();
        let mut reap = Some(reap);
        while reap.is_some() {
            let handled = collect(&core, &mut reap);
            if handled.is_none() {
                // The interpreter is ending. Its objects cannot be dropped any more.
                std::mem::forget(reap.take());
            }
        }
    };
    std::thread::Builder::new().name("caio-close".into()).stack_size(256 << 10).spawn(run).is_ok()
}

/// One wait. Drops `reap` after the last event, while this thread may still touch Python objects.
fn collect<R: Fn(Python<'_>, &[Completion]) -> bool>(core: &Core, reap: &mut Option<R>) -> Option<()> {
    const SECOND: Duration = Duration::from_secs(1);
    let mut events = room::<REAP_BATCH>();
    let events = core.ctx.wait(&mut events, 1, Some(SECOND)).ok()?;
    finalize::attach(|py| {
        if reap.as_ref().is_none_or(|reap| reap(py, events)) {
            drop(reap.take());
        }
    })
}
