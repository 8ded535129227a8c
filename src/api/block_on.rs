//! Running a future without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::core::Core;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Runs `future`, and takes events while it is pending.
pub fn block_on<F: Future>(core: &Arc<Core>, future: F) -> F::Output {
    let notice = Arc::new(Notice { woken: AtomicBool::new(false), core: Arc::downgrade(core) });
    let waker = Waker::from(notice.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // Acquire pairs with the release in `wake`: the future sees what the waker's thread did.
        let ran = core.run_until(None, &mut |_| notice.woken.swap(false, Ordering::Acquire));
        // A signal handler ran. If the context cannot be used in this process or thread, the future never completes here.
        if let Err(error) = ran
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            panic!("block_on: {error}");
        }
    }
}

struct Notice {
    woken: AtomicBool,
    core: Weak<Core>,
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the acquire in `block_on`.
        self.woken.store(true, Ordering::Release);
        if let Some(core) = self.core.upgrade() {
            core.change(|_| ());
        }
    }
}
