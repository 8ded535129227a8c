//! Texts of errors, and environment variables.

use std::ffi::CStr;

use windows_sys::Win32::System::Environment::GetEnvironmentVariableA;

use super::super::text::Word;

/// Puts the text of an errno into `text`, NUL-terminated and cut to size. Most C runtimes have texts for the old half of
/// the numbers only.
pub fn errno_message(errno: i32, text: &mut [u8]) {
    let known = TEXTS.iter().find(|(number, _)| *number == errno);
    let message = known.map_or("Unknown error", |(_, message)| message).as_bytes();
    let length = message.len().min(text.len() - 1);
    text[..length].copy_from_slice(&message[..length]);
    text[length] = 0;
}

const TEXTS: &[(i32, &str)] = &[
    (0, "Success"),
    (libc::EPERM, "Operation not permitted"),
    (libc::ENOENT, "No such file or directory"),
    (libc::ESRCH, "No such process"),
    (libc::EINTR, "Interrupted system call"),
    (libc::EIO, "Input/output error"),
    (libc::ENXIO, "No such device or address"),
    (libc::E2BIG, "Argument list too long"),
    (libc::ENOEXEC, "Exec format error"),
    (libc::EBADF, "Bad file descriptor"),
    (libc::ECHILD, "No child processes"),
    (libc::EAGAIN, "Resource temporarily unavailable"),
    (libc::ENOMEM, "Cannot allocate memory"),
    (libc::EACCES, "Permission denied"),
    (libc::EFAULT, "Bad address"),
    (libc::EBUSY, "Device or resource busy"),
    (libc::EEXIST, "File exists"),
    (libc::EXDEV, "Invalid cross-device link"),
    (libc::ENODEV, "No such device"),
    (libc::ENOTDIR, "Not a directory"),
    (libc::EISDIR, "Is a directory"),
    (libc::EINVAL, "Invalid argument"),
    (libc::ENFILE, "Too many open files in system"),
    (libc::EMFILE, "Too many open files"),
    (libc::ENOTTY, "Inappropriate ioctl for device"),
    (libc::EFBIG, "File too large"),
    (libc::ENOSPC, "No space left on device"),
    (libc::ESPIPE, "Illegal seek"),
    (libc::EROFS, "Read-only file system"),
    (libc::EMLINK, "Too many links"),
    (libc::EPIPE, "Broken pipe"),
    (libc::EDOM, "Numerical argument out of domain"),
    (libc::ERANGE, "Numerical result out of range"),
    (libc::EDEADLK, "Resource deadlock avoided"),
    (libc::ENAMETOOLONG, "File name too long"),
    (libc::ENOLCK, "No locks available"),
    (libc::ENOSYS, "Function not implemented"),
    (libc::ENOTEMPTY, "Directory not empty"),
    (libc::EILSEQ, "Invalid or incomplete multibyte or wide character"),
    (libc::EADDRINUSE, "Address already in use"),
    (libc::EADDRNOTAVAIL, "Cannot assign requested address"),
    (libc::EAFNOSUPPORT, "Address family not supported by protocol"),
    (libc::EALREADY, "Operation already in progress"),
    (libc::EBADMSG, "Bad message"),
    (libc::ECANCELED, "Operation canceled"),
    (libc::ECONNABORTED, "Software caused connection abort"),
    (libc::ECONNREFUSED, "Connection refused"),
    (libc::ECONNRESET, "Connection reset by peer"),
    (libc::EDESTADDRREQ, "Destination address required"),
    (libc::EHOSTUNREACH, "No route to host"),
    (libc::EINPROGRESS, "Operation now in progress"),
    (libc::EISCONN, "Socket is already connected"),
    (libc::ELOOP, "Too many levels of symbolic links"),
    (libc::EMSGSIZE, "Message too long"),
    (libc::ENETDOWN, "Network is down"),
    (libc::ENETRESET, "Network dropped connection on reset"),
    (libc::ENETUNREACH, "Network is unreachable"),
    (libc::ENOBUFS, "No buffer space available"),
    (libc::ENODATA, "No data available"),
    (libc::ENOPROTOOPT, "Protocol not available"),
    (libc::ENOTCONN, "Socket is not connected"),
    (libc::ENOTRECOVERABLE, "State not recoverable"),
    (libc::ENOTSOCK, "Socket operation on non-socket"),
    (libc::ENOTSUP, "Not supported"),
    (libc::EOPNOTSUPP, "Operation not supported"),
    (libc::EOVERFLOW, "Value too large for defined data type"),
    (libc::EOWNERDEAD, "Owner died"),
    (libc::EPROTO, "Protocol error"),
    (libc::EPROTONOSUPPORT, "Protocol not supported"),
    (libc::EPROTOTYPE, "Protocol wrong type for socket"),
    (libc::ETIME, "Timer expired"),
    (libc::ETIMEDOUT, "Connection timed out"),
    (libc::ETXTBSY, "Text file busy"),
    (libc::EWOULDBLOCK, "Operation would block"),
];

/// An environment variable. No program runs with more rights than its caller's.
pub fn trusted_env(name: &CStr) -> Option<Word> {
    let mut value = [0u8; 128];
    // SAFETY: a NUL-terminated name, and a live buffer of that length.
    let length = unsafe { GetEnvironmentVariableA(name.as_ptr().cast(), value.as_mut_ptr(), value.len() as u32) };
    let value = value.get(..length as usize).filter(|value| !value.is_empty())?;
    Some(Word::new(str::from_utf8(value).unwrap_or("(not UTF-8)")))
}
