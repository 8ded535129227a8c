//! Descriptors: handles and sockets.

use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};

/// A HANDLE or SOCKET. Its upper 32 bits are the extension of its sign.
pub type RawFd = i32;

/// What has a descriptor.
pub trait AsRawFd {
    fn as_raw_fd(&self) -> RawFd;
}

/// A handle, which closes when it is dropped. Not a socket.
pub struct OwnedFd(RawFd);

impl OwnedFd {
    /// Takes ownership of a handle that a system call has just made.
    pub fn of(handle: HANDLE) -> Self {
        Self(raw(handle))
    }

    pub fn handle(&self) -> HANDLE {
        handle(self.0)
    }
}

impl AsRawFd for OwnedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Drop for OwnedFd {
    fn drop(&mut self) {
        // SAFETY: nothing else owns the handle.
        unsafe { CloseHandle(self.handle()) };
    }
}

/// The handle of a descriptor.
pub fn handle(fd: RawFd) -> HANDLE {
    std::ptr::without_provenance_mut(fd as isize as usize)
}

/// The descriptor of a handle.
pub fn raw(handle: HANDLE) -> RawFd {
    handle.addr() as RawFd
}
