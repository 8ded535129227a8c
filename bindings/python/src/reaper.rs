//! The end of a context whose loop runs no more while operations are in flight: a thread that waits for their events,
//! so that their memory is given back only then.

use std::sync::Arc;

use crate::finalize;
use crate::inner::{Inner, REAP_BATCH};
use crate::raw::Events;

/// Without a thread the memory is leaked, which is safe.
pub fn start(inner: Arc<Inner>) {
    std::thread::Builder::new()
        .name("caio-close".into())
        .stack_size(256 << 10)
        .spawn(move || {
            crate::signals::block_all();
            run(inner);
        })
        .ok();
}

fn run(inner: Arc<Inner>) {
    const SECOND: i64 = 1_000_000_000;
    let mut events = Events::<REAP_BATCH>::new();
    loop {
        if inner.core.ctx.wait(&mut events, 1, REAP_BATCH, SECOND).is_err() {
            return;
        }
        if finalize::attach(|py| inner.reap(py, &events)) != Some(false) {
            return;
        }
    }
}
