//! A safe wrapper of libcaio's C interface: a handle that frees itself, errors as errno.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use caio::capi::*;

pub use caio::capi::types::*;

/// A positive errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The system's text for the number.
    pub fn text(self) -> String {
        // SAFETY: never NULL, NUL-terminated, static.
        unsafe { CStr::from_ptr(caio_strerror(self.0)) }.to_string_lossy().into_owned()
    }
}

/// An operation that uses no field.
pub fn blank_op() -> caio_op {
    // SAFETY: integers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn check(ret: i32) -> Result<u32> {
    u32::try_from(ret).map_err(|_| Errno(-ret))
}

/// Room for events on the stack.
pub struct Events<const N: usize> {
    room: [MaybeUninit<caio_event>; N],
    filled: usize,
}

impl<const N: usize> Events<N> {
    pub fn new() -> Self {
        Self { room: [const { MaybeUninit::uninit() }; N], filled: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.filled == N
    }

    pub fn iter(&self) -> impl Iterator<Item = caio_event> + '_ {
        // SAFETY: the library has written the first `filled`.
        self.room[..self.filled].iter().map(|event| unsafe { event.assume_init() })
    }
}

/// The options of a context.
#[derive(Clone, Copy, Default)]
pub struct CtxOptions {
    pub backend: u32,
    pub max_requests: u32,
    pub threads: u32,
    pub sqpoll: bool,
}

/// A context of libcaio. Any thread may use it.
pub struct Ctx(NonNull<caio_ctx>);

// SAFETY: any thread may call anything on a context (promise 10 of the C interface); free needs the last owner.
unsafe impl Send for Ctx {}
// SAFETY: as above.
unsafe impl Sync for Ctx {}

impl Ctx {
    pub fn new(options: CtxOptions) -> Result<Self> {
        // io_uring's kernel threads make buffered writes one after the other, which takes longer than worker threads do.
        let flags = CAIO_CTX_FASTEST_PATH | if options.sqpoll { CAIO_CTX_SQPOLL } else { 0 };
        let options = caio_options {
            size: size_of::<caio_options>() as u32,
            backend: options.backend,
            max_requests: options.max_requests,
            threads: options.threads,
            flags,
            reserved32: 0,
            reserved: [0; 5],
        };
        let mut ctx = std::ptr::null_mut();
        // SAFETY: both point to live values of the right type.
        check(unsafe { caio_ctx_new(&options, &mut ctx) })?;
        NonNull::new(ctx).map(Self).ok_or(Errno(libc::ENOMEM))
    }

    fn ptr(&self) -> *mut caio_ctx {
        self.0.as_ptr()
    }

    /// Returns how many were accepted. `events` receives completions even if it fails.
    ///
    /// # Safety
    /// Buffers and iovec arrays stay valid and untouched until their events.
    pub unsafe fn submit_poll<const N: usize>(&self, ops: &[caio_op], events: &mut Events<N>) -> Result<u32> {
        let mut polled = 0;
        // SAFETY: the slices are valid; the caller promises the rest.
        let accepted = unsafe {
            caio_ctx_submit_poll(
                self.ptr(),
                ops.as_ptr(),
                ops.len() as u32,
                events.room.as_mut_ptr().cast(),
                N as u32,
                &mut polled,
            )
        };
        events.filled = polled as usize;
        check(accepted)
    }

    /// # Safety
    /// As [`Self::submit_poll`].
    pub unsafe fn submit(&self, ops: &[caio_op]) -> Result<u32> {
        // SAFETY: as above.
        check(unsafe { caio_ctx_submit(self.ptr(), ops.as_ptr(), ops.len() as u32) })
    }

    /// Collects at most `most` events; never blocks.
    pub fn poll<const N: usize>(&self, events: &mut Events<N>, most: usize) -> Result<()> {
        // SAFETY: room for N events.
        let ret = unsafe { caio_ctx_poll(self.ptr(), events.room.as_mut_ptr().cast(), most.min(N) as u32) };
        events.filled = check(ret)? as usize;
        Ok(())
    }

    /// Collects at most `most` events; sleeps until there are `least`. A negative timeout means no timeout.
    pub fn wait<const N: usize>(&self, events: &mut Events<N>, least: u32, most: usize, timeout_ns: i64) -> Result<()> {
        events.filled = 0;
        let most = most.min(N) as u32;
        // SAFETY: room for N events.
        let ret =
            unsafe { caio_ctx_wait(self.ptr(), events.room.as_mut_ptr().cast(), least.min(most), most, timeout_ns) };
        events.filled = check(ret)? as usize;
        Ok(())
    }

    /// Makes one wait return early.
    pub fn wake(&self) {
        // SAFETY: live. It can fail only in a forked child, where no thread waits.
        unsafe { caio_ctx_wake(self.ptr()) };
    }

    /// Cancels the operations with that `user_data`; their events still come.
    pub fn cancel(&self, user_data: u64) {
        // SAFETY: live. ENOENT means that the event is pending already.
        unsafe { caio_ctx_cancel(self.ptr(), user_data) };
    }

    pub fn cancel_all(&self) {
        // SAFETY: live.
        unsafe { caio_ctx_cancel_all(self.ptr()) };
    }

    pub fn eventfd(&self) -> Result<i32> {
        // SAFETY: live.
        check(unsafe { caio_ctx_eventfd(self.ptr()) }).map(|fd| fd as i32)
    }

    pub fn backend(&self) -> Result<u32> {
        // SAFETY: live.
        check(unsafe { caio_ctx_backend(self.ptr()) })
    }

    pub fn max_requests(&self) -> Result<u32> {
        // SAFETY: live.
        check(unsafe { caio_ctx_max_requests(self.ptr()) })
    }

    pub fn stats(&self) -> Result<caio_stats> {
        // SAFETY: plain integers, for which zero is a value.
        let mut stats: caio_stats = unsafe { std::mem::zeroed() };
        stats.size = size_of::<caio_stats>() as u32;
        // SAFETY: live, and as large as it says.
        check(unsafe { caio_ctx_stats(self.ptr(), &mut stats) })?;
        Ok(stats)
    }
}

impl Drop for Ctx {
    fn drop(&mut self) {
        // SAFETY: the last owner.
        unsafe { caio_ctx_free(self.ptr()) };
    }
}

/// Whether a backend is available now, and the reason.
pub fn probe(backend: u32) -> (Result<()>, String) {
    let mut why = [0u8; 1024];
    // SAFETY: room for that many bytes.
    let ret = unsafe { caio_backend_probe(backend, why.as_mut_ptr().cast(), why.len()) };
    let text = CStr::from_bytes_until_nul(&why).unwrap_or_default().to_string_lossy().into_owned();
    (check(ret).map(|_| ()), text)
}
