//! The library panics in this program, which is built with panic = "unwind" and catches panics. Each must abort the process:
//! an unwound call of the library would lose completions, or free memory that the kernel uses. Built with `--cfg caio_panic`,
//! with which the library panics at the place in CAIO_PANIC. The argument says how the program gets there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use caio::{Backend, CWD, Context, ops};

fn rust() {
    let ctx = Context::builder().backend(Backend::Thread).inline(false).build().expect("a context");
    // A file that no cache has, so that a worker thread gets it.
    let op = ctx.submit(ops::fsync(std::fs::File::open("/").expect("/")));
    let _ = ctx.block_on(op);
    let _ = ctx.block_on(ctx.stat(CWD, "/"));
}

fn c() {
    let mut ctx = std::ptr::null_mut();
    // SAFETY: a live place for the context, which is freed below.
    unsafe { caio::capi::caio_ctx_new(std::ptr::null(), &mut ctx) };
    // SAFETY: a live context.
    unsafe { caio::capi::caio_ctx_wake(ctx) };
    // SAFETY: as above, and not used any more.
    unsafe { caio::capi::caio_ctx_free(ctx) };
}

fn main() {
    let run = match std::env::args().nth(1).as_deref() {
        Some("c") => c,
        _ => rust,
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(()) => println!("no panic"),
        Err(_) => println!("unwound"),
    }
}
