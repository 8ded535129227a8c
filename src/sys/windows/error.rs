//! The errno of a system error, in the numbers of the C runtime. The choice is that of libuv, except where POSIX has a
//! closer word.

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Networking::WinSock::*;

use crate::error::{Errno, Result};

/// The calling thread's last error.
pub fn last() -> Errno {
    // SAFETY: takes no memory.
    of_code(unsafe { GetLastError() })
}

/// The result of a function that returns FALSE after an error.
pub fn check(answer: i32) -> Result<()> {
    if answer == 0 { Err(last()) } else { Ok(()) }
}

/// The result of a function of ntdll. Warnings and information count as success.
pub fn check_status(status: NTSTATUS) -> Result<()> {
    if status >= 0 { Ok(()) } else { Err(of_status(status)) }
}

/// The errno of an NTSTATUS. The Win32 code of some of them does not tell what POSIX tells.
pub fn of_status(status: NTSTATUS) -> Errno {
    match status {
        STATUS_FILE_IS_A_DIRECTORY => Errno(libc::EISDIR),
        STATUS_NOT_A_DIRECTORY => Errno(libc::ENOTDIR),
        STATUS_CANNOT_DELETE => Errno(libc::EPERM),
        STATUS_DELETE_PENDING => Errno(libc::EBUSY),
        // SAFETY: takes no memory.
        _ => of_code(unsafe { RtlNtStatusToDosError(status) }),
    }
}

/// The errno of a Win32 or Winsock code.
pub fn of_code(code: u32) -> Errno {
    if let Ok(code @ 10000..) = i32::try_from(code) {
        return Errno(of_socket_code(code));
    }
    Errno(match code {
        ERROR_NOACCESS | ERROR_INVALID_USER_BUFFER => libc::EFAULT,
        ERROR_ELEVATION_REQUIRED | ERROR_CANT_ACCESS_FILE => libc::EACCES,
        ERROR_ACCESS_DENIED | ERROR_PRIVILEGE_NOT_HELD => libc::EPERM,
        ERROR_ADDRESS_ALREADY_ASSOCIATED => libc::EADDRINUSE,
        ERROR_LOCK_VIOLATION | ERROR_PIPE_BUSY | ERROR_SHARING_VIOLATION | ERROR_BUSY | ERROR_DELETE_PENDING => {
            libc::EBUSY
        }
        ERROR_OPERATION_ABORTED | ERROR_CANCELLED => libc::ECANCELED,
        ERROR_NO_UNICODE_TRANSLATION => libc::EILSEQ,
        ERROR_CONNECTION_ABORTED => libc::ECONNABORTED,
        ERROR_CONNECTION_REFUSED => libc::ECONNREFUSED,
        ERROR_NETNAME_DELETED => libc::ECONNRESET,
        ERROR_ALREADY_EXISTS | ERROR_FILE_EXISTS => libc::EEXIST,
        ERROR_HOST_UNREACHABLE => libc::EHOSTUNREACH,
        ERROR_INSUFFICIENT_BUFFER
        | ERROR_INVALID_DATA
        | ERROR_INVALID_PARAMETER
        | ERROR_SYMLINK_NOT_SUPPORTED
        | ERROR_NEGATIVE_SEEK => libc::EINVAL,
        ERROR_CANT_RESOLVE_FILENAME => libc::ELOOP,
        ERROR_TOO_MANY_OPEN_FILES => libc::EMFILE,
        ERROR_BUFFER_OVERFLOW | ERROR_FILENAME_EXCED_RANGE => libc::ENAMETOOLONG,
        ERROR_NETWORK_UNREACHABLE => libc::ENETUNREACH,
        ERROR_BAD_PATHNAME
        | ERROR_ENVVAR_NOT_FOUND
        | ERROR_FILE_NOT_FOUND
        | ERROR_INVALID_DRIVE
        | ERROR_INVALID_NAME
        | ERROR_INVALID_REPARSE_DATA
        | ERROR_MOD_NOT_FOUND
        | ERROR_PATH_NOT_FOUND
        | ERROR_BAD_NETPATH
        | ERROR_BAD_NET_NAME => libc::ENOENT,
        ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY | ERROR_COMMITMENT_LIMIT => libc::ENOMEM,
        ERROR_NO_SYSTEM_RESOURCES | ERROR_WORKING_SET_QUOTA | ERROR_NOT_ENOUGH_QUOTA => libc::EAGAIN,
        ERROR_CANNOT_MAKE | ERROR_DISK_FULL | ERROR_HANDLE_DISK_FULL | ERROR_EA_TABLE_FULL | ERROR_END_OF_MEDIA => {
            libc::ENOSPC
        }
        ERROR_NOT_CONNECTED => libc::ENOTCONN,
        ERROR_DIRECTORY => libc::ENOTDIR,
        ERROR_DIR_NOT_EMPTY => libc::ENOTEMPTY,
        ERROR_NOT_SUPPORTED | ERROR_CALL_NOT_IMPLEMENTED => libc::EOPNOTSUPP,
        ERROR_BAD_PIPE | ERROR_NO_DATA | ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED => libc::EPIPE,
        ERROR_WRITE_PROTECT => libc::EROFS,
        ERROR_SEM_TIMEOUT => libc::ETIMEDOUT,
        ERROR_NOT_SAME_DEVICE => libc::EXDEV,
        ERROR_INVALID_FUNCTION => libc::EISDIR,
        ERROR_META_EXPANSION_TOO_LONG => libc::E2BIG,
        ERROR_INVALID_HANDLE | ERROR_INVALID_FLAGS => libc::EBADF,
        ERROR_FILE_TOO_LARGE => libc::EFBIG,
        ERROR_TOO_MANY_LINKS => libc::EMLINK,
        // Device errors (CRC, sector not found, not ready, ...), and everything unknown.
        _ => libc::EIO,
    })
}

fn of_socket_code(code: i32) -> i32 {
    match code {
        WSAEINTR => libc::ECANCELED,
        WSAEBADF => libc::EBADF,
        WSAEACCES => libc::EACCES,
        WSAEFAULT => libc::EFAULT,
        WSAEINVAL => libc::EINVAL,
        WSAEMFILE => libc::EMFILE,
        WSAEWOULDBLOCK => libc::EAGAIN,
        WSAEALREADY => libc::EALREADY,
        WSAENOTSOCK => libc::ENOTSOCK,
        WSAEMSGSIZE => libc::EMSGSIZE,
        WSAEPROTONOSUPPORT => libc::EPROTONOSUPPORT,
        WSAEOPNOTSUPP => libc::EOPNOTSUPP,
        WSAEPFNOSUPPORT | WSAESOCKTNOSUPPORT => libc::EINVAL,
        WSAEAFNOSUPPORT => libc::EAFNOSUPPORT,
        WSAEADDRINUSE => libc::EADDRINUSE,
        WSAEADDRNOTAVAIL => libc::EADDRNOTAVAIL,
        WSAENETDOWN => libc::ENETDOWN,
        WSAENETUNREACH => libc::ENETUNREACH,
        WSAENETRESET | WSAECONNRESET => libc::ECONNRESET,
        WSAECONNABORTED => libc::ECONNABORTED,
        WSAENOBUFS => libc::ENOBUFS,
        WSAEISCONN => libc::EISCONN,
        WSAENOTCONN => libc::ENOTCONN,
        WSAESHUTDOWN => libc::EPIPE,
        WSAETIMEDOUT => libc::ETIMEDOUT,
        WSAECONNREFUSED => libc::ECONNREFUSED,
        WSAEHOSTUNREACH => libc::EHOSTUNREACH,
        _ => libc::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_each_system_has_the_errno_of_libuv() {
        assert_eq!(of_code(ERROR_FILE_NOT_FOUND), Errno(libc::ENOENT));
        assert_eq!(of_code(WSAECONNRESET as u32), Errno(libc::ECONNRESET));
        assert_eq!(of_status(STATUS_OBJECT_NAME_COLLISION), Errno(libc::EEXIST));
        assert_eq!(of_code(u32::MAX), Errno(libc::EIO));
    }
}
