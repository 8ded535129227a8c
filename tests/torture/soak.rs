//! A long mixed load on all backends at once, with four contexts each. Reads return what was written, each operation
//! has its event, and memory, descriptors and threads stay level. `CAIO_SOAK_SECONDS` is the time (60, in full 1800).
//! The values go to `soak.csv` and `soak.svg`, in `CAIO_SOAK_OUT` or cargo's folder for temporary files.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

#[path = "soak/load.rs"]
mod load;
#[path = "soak/meter.rs"]
mod meter;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use load::Load;
use meter::Meter;
use support::files::Folder;
use support::*;

const CONTEXTS: u32 = 4;

fn seconds() -> u64 {
    let said = std::env::var("CAIO_SOAK_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    said.unwrap_or(if short() { 60 } else { 1800 })
}

fn setup(backend: u32, number: u32) -> caio_options {
    let flags = [0, CAIO_CTX_NO_INLINE, CAIO_CTX_SINGLE_THREAD, CAIO_CTX_SQPOLL][number as usize];
    let threads = [0, 3, 1, 0][number as usize];
    caio_options { max_requests: 64, threads, flags, ..options(backend) }
}

#[test]
fn resources_stay_level_under_load() {
    let seconds = seconds();
    let dir = Folder::Disk.make();
    let backends = backends();
    let (stop, operations) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut meter = Meter::default();
    std::thread::scope(|scope| {
        for backend in &backends {
            for number in 0..CONTEXTS {
                let (dir, stop, operations) = (&dir, &stop, &operations);
                scope.spawn(move || {
                    let done = AbortOnPanic;
                    let mut load = Load::new(dir, setup(*backend, number), *backend * CONTEXTS + number);
                    // Relaxed: nothing else is published with it, and it is read again soon.
                    while !stop.load(Ordering::Relaxed) {
                        load.turn();
                    }
                    operations.fetch_add(load.end(), Ordering::Relaxed);
                    std::mem::forget(done);
                });
            }
        }
        meter.watch(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let operations = operations.into_inner();
    let out = std::env::var_os("CAIO_SOAK_OUT").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    meter.write(&out);
    let contexts = backends.len() * CONTEXTS as usize;
    println!(
        "{seconds} s, {contexts} contexts, {operations} operations; {}; {}/soak.svg",
        meter.summary(),
        out.display()
    );
    meter.assert_flat();
    tried(operations, "operations of the soak, each with its event, data as written");
    tried(seconds as usize, "seconds of mixed load on every backend, resources flat");
}

/// Ends the test immediately if a thread fails, and not at the end of the load.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        std::process::abort();
    }
}
