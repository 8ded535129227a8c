//! Sockets.

use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::Once;

use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, FIONBIO, INADDR_LOOPBACK, INVALID_SOCKET, IPPROTO_TCP, SD_BOTH, SO_TYPE, SOCK_STREAM, SOCKADDR,
    SOCKADDR_IN, SOCKET, SOL_SOCKET, TCP_NODELAY, WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED, WSA_IO_PENDING,
    WSABUF, WSADATA, WSAEMSGSIZE, WSAEWOULDBLOCK, WSAGetLastError, WSAGetOverlappedResult, WSARecv, WSASend,
    WSASocketW, WSAStartup, accept, bind, closesocket, connect, getpeername, getsockname, getsockopt, ioctlsocket,
    listen, recv, send, setsockopt, shutdown,
};

use super::error::of_code;
use super::fd::{AsRawFd, RawFd, handle};
use super::mem::{Memory, room};
use super::overlapped::Slot;
use super::rw::Transfer;
use crate::error::{Errno, Result};

fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let mut data = MaybeUninit::<WSADATA>::uninit();
        // SAFETY: a live structure. Where there is no network, each later call fails.
        unsafe { WSAStartup(0x0202, data.as_mut_ptr()) };
    });
}

fn number(fd: RawFd) -> SOCKET {
    fd as isize as SOCKET
}

fn last() -> Errno {
    // SAFETY: takes no memory.
    of_code(unsafe { WSAGetLastError() } as u32)
}

fn check(answer: i32) -> Result<()> {
    if answer == 0 { Ok(()) } else { Err(last()) }
}

pub fn is_socket(fd: RawFd) -> bool {
    start();
    let (mut value, mut length) = (0i32, size_of::<i32>() as i32);
    // SAFETY: two live numbers.
    unsafe { getsockopt(number(fd), SOL_SOCKET, SO_TYPE, (&raw mut value).cast(), &raw mut length) == 0 }
}

pub fn close(fd: RawFd) -> Result<()> {
    // SAFETY: the socket is the operation's to close.
    check(unsafe { closesocket(number(fd)) })
}

/// Receives or sends.
pub fn transfer(t: &Transfer, slot: &Slot, parts: &[(Memory, usize)]) -> Result<u64> {
    let mut buffers = room(parts.len())?;
    buffers.extend(parts.iter().map(|(memory, length)| WSABUF { len: *length as u32, buf: memory.address().cast() }));
    let total: u64 = parts.iter().map(|(_, length)| *length as u64).sum();
    if total == 0 && t.reads {
        return Ok(0);
    }
    let (socket, count, mut flags) = (number(t.fd), buffers.len() as u32, 0);
    let overlapped = slot.prepare(0);
    // SAFETY: the system checks the addresses, and what lies there is lent to this operation (Memory). The structure
    // stays until the end of the call.
    let answer = unsafe {
        match t.reads {
            true => WSARecv(socket, buffers.as_ptr(), count, null_mut(), &raw mut flags, overlapped, None),
            false => WSASend(socket, buffers.as_ptr(), count, null_mut(), 0, overlapped, None),
        }
    };
    // SAFETY: takes no memory.
    let failure = || unsafe { WSAGetLastError() };
    let ended = |code| match code {
        // The rest of the datagram is lost, as with recv(2).
        WSAEMSGSIZE if t.reads => Ok(total),
        code => Err(of_code(code as u32)),
    };
    if answer != 0 {
        let code = failure();
        if code != WSA_IO_PENDING {
            return ended(code);
        }
    }
    let mut done = 0;
    // SAFETY: the structure of the call, and live numbers.
    match unsafe { WSAGetOverlappedResult(socket, overlapped, &raw mut done, 1, &raw mut flags) } {
        0 => ended(failure()),
        _ => Ok(done.into()),
    }
}

/// A socket of the library's own.
pub struct Socket(SOCKET);

impl Socket {
    fn new() -> Result<Self> {
        start();
        let flags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
        // SAFETY: no protocol structure.
        Self::of(unsafe { WSASocketW(AF_INET.into(), SOCK_STREAM, IPPROTO_TCP, null(), 0, flags) })
    }

    fn of(socket: SOCKET) -> Result<Self> {
        if socket == INVALID_SOCKET {
            return Err(last());
        }
        // Not every way to make one has a flag for this.
        // SAFETY: a live socket.
        unsafe { SetHandleInformation(handle(socket as RawFd), HANDLE_FLAG_INHERIT, 0) };
        Ok(Self(socket))
    }

    /// Two that are connected: what is sent to the first is received from the second. Neither waits.
    pub fn pair() -> Result<(Self, Self)> {
        const ATTEMPTS: u32 = 8;
        for _ in 0..ATTEMPTS {
            let (listener, sender) = (Self::new()?, Self::new()?);
            listener.bind()?;
            // SAFETY: takes no memory.
            check(unsafe { listen(listener.0, 1) })?;
            sender.connect(&listener.address(getsockname)?)?;
            // SAFETY: the address is not asked for.
            let receiver = Self::of(unsafe { accept(listener.0, null_mut(), null_mut()) })?;
            // Another process may have connected first.
            if receiver.address(getpeername)?.sin_port == sender.address(getsockname)?.sin_port {
                sender.set_nonblocking()?;
                receiver.set_nonblocking()?;
                sender.send_at_once();
                return Ok((sender, receiver));
            }
        }
        Err(Errno(libc::EAGAIN))
    }

    fn bind(&self) -> Result<()> {
        let address = loopback();
        // SAFETY: a live address.
        check(unsafe { bind(self.0, (&raw const address).cast(), size_of::<SOCKADDR_IN>() as i32) })
    }

    fn connect(&self, address: &SOCKADDR_IN) -> Result<()> {
        // SAFETY: a live address.
        check(unsafe { connect(self.0, std::ptr::from_ref(address).cast(), size_of::<SOCKADDR_IN>() as i32) })
    }

    fn address(&self, of: unsafe extern "system" fn(SOCKET, *mut SOCKADDR, *mut i32) -> i32) -> Result<SOCKADDR_IN> {
        let (mut address, mut length) = (loopback(), size_of::<SOCKADDR_IN>() as i32);
        // SAFETY: a live address of that length.
        check(unsafe { of(self.0, (&raw mut address).cast(), &raw mut length) }).map(|()| address)
    }

    fn set_nonblocking(&self) -> Result<()> {
        let mut on = 1;
        // SAFETY: a live number.
        check(unsafe { ioctlsocket(self.0, FIONBIO, &raw mut on) })
    }

    fn send_at_once(&self) {
        let on = 1i32;
        // SAFETY: a live number.
        unsafe { setsockopt(self.0, IPPROTO_TCP, TCP_NODELAY, (&raw const on).cast(), size_of::<i32>() as i32) };
    }

    /// Sends a byte; false if that fails.
    pub fn send(&self) -> bool {
        let byte = [1u8];
        // SAFETY: one live byte.
        unsafe { send(self.0, byte.as_ptr(), 1, 0) == 1 }
    }

    /// Receives the byte, which may be on its way for a moment. False if the connection is broken.
    pub fn receive(&self) -> bool {
        let mut byte = [0u8];
        loop {
            // SAFETY: one live byte.
            match unsafe { recv(self.0, byte.as_mut_ptr(), 1, 0) } {
                1 => return true,
                // SAFETY: takes no memory.
                -1 if unsafe { WSAGetLastError() } == WSAEWOULDBLOCK => std::thread::yield_now(),
                _ => return false,
            }
        }
    }
}

fn loopback() -> SOCKADDR_IN {
    // SAFETY: plain data; all zero is a valid one.
    let mut address: SOCKADDR_IN = unsafe { std::mem::zeroed() };
    address.sin_family = AF_INET;
    address.sin_addr.S_un.S_addr = INADDR_LOOPBACK.to_be();
    address
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0 as RawFd
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: nothing else owns the socket.
        unsafe {
            shutdown(self.0, SD_BOTH);
            closesocket(self.0);
        }
    }
}
