// The exported functions once more, as a C program's binding would declare them.

use super::types::{caio_event, caio_op, caio_options, caio_stats};
use libc::{c_char, c_int, size_t};

pub enum caio_ctx {}

extern "C" {
    pub fn caio_version() -> u32;
    pub fn caio_strerror(error: c_int) -> *const c_char;
    pub fn caio_backend_name(backend: u32) -> *const c_char;
    pub fn caio_backend_probe(backend: u32, why: *mut c_char, why_size: size_t) -> c_int;
    pub fn caio_ctx_new(options: *const caio_options, ctx: *mut *mut caio_ctx) -> c_int;
    pub fn caio_ctx_free(ctx: *mut caio_ctx);
    pub fn caio_ctx_submit(ctx: *mut caio_ctx, ops: *const caio_op, count: u32) -> c_int;
    pub fn caio_ctx_submit_poll(
        ctx: *mut caio_ctx,
        ops: *const caio_op,
        count: u32,
        events: *mut caio_event,
        max_events: u32,
        polled: *mut u32,
    ) -> c_int;
    pub fn caio_ctx_poll(ctx: *mut caio_ctx, events: *mut caio_event, max_events: u32) -> c_int;
    pub fn caio_ctx_wait(
        ctx: *mut caio_ctx,
        events: *mut caio_event,
        min_events: u32,
        max_events: u32,
        timeout_ns: i64,
    ) -> c_int;
    pub fn caio_ctx_wake(ctx: *mut caio_ctx) -> c_int;
    pub fn caio_ctx_eventfd(ctx: *const caio_ctx) -> c_int;
    pub fn caio_ctx_cancel(ctx: *mut caio_ctx, user_data: u64) -> c_int;
    pub fn caio_ctx_cancel_fd(ctx: *mut caio_ctx, fd: c_int) -> c_int;
    pub fn caio_ctx_cancel_all(ctx: *mut caio_ctx) -> c_int;
    pub fn caio_ctx_backend(ctx: *const caio_ctx) -> c_int;
    pub fn caio_ctx_max_requests(ctx: *const caio_ctx) -> c_int;
    pub fn caio_ctx_stats(ctx: *const caio_ctx, stats: *mut caio_stats) -> c_int;
}
