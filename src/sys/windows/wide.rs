//! Paths: UTF-8 outside, UTF-16 inside.

use std::ptr::null_mut;

use windows_sys::Win32::Storage::FileSystem::GetFullPathNameW;

use super::error::last;
use super::mem::room;
use crate::error::{Errno, Result};

const SLASH: u16 = b'/' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const DOT: u16 = b'.' as u16;
const COLON: u16 = b':' as u16;

/// A path as the kernel takes it: below a directory, or absolute.
pub enum NtPath {
    /// Without `.` and `..`; empty for the directory itself.
    Below(Vec<u16>),
    /// Begins with `\??\`.
    Absolute(Vec<u16>),
}

/// The kernel's form of a path that is relative to the directory with this name, if there is one. EILSEQ if it is not
/// UTF-8, ENAMETOOLONG if it is longer than the kernel takes.
pub fn nt_path(path: &[u8], on_directory: bool, name: impl FnOnce() -> Result<Vec<u16>>) -> Result<NtPath> {
    if path.is_empty() {
        return Err(Errno(libc::ENOENT));
    }
    let mut wide = utf16(path)?;
    if !on_directory || is_absolute(&wide) {
        return absolute(&wide).map(NtPath::Absolute);
    }
    if let Some(below) = below(&wide)? {
        return Ok(NtPath::Below(below));
    }
    // The kernel does not know `..`, so the name of the directory is needed.
    let mut whole = without_verbatim(name()?);
    whole.try_reserve(wide.len() + 1).map_err(|_| Errno(libc::ENOMEM))?;
    whole.push(BACKSLASH);
    whole.append(&mut wide);
    absolute(&whole).map(NtPath::Absolute)
}

/// The name of an open file in the form that may have `..` behind it.
fn without_verbatim(mut name: Vec<u16>) -> Vec<u16> {
    if starts_with(&name, r"\\?\UNC\") {
        // Leaves the first two separators.
        name.drain(2..8);
    } else if starts_with(&name, r"\\?\") {
        name.drain(..4);
    }
    name
}

fn starts_with(path: &[u16], start: &str) -> bool {
    path.len() >= start.len() && path.iter().copied().zip(start.encode_utf16()).all(|(a, b)| a == b)
}

/// Whether a path has a drive, or begins at a root.
fn is_absolute(path: &[u16]) -> bool {
    matches!(path, [SLASH | BACKSLASH, ..] | [_, COLON, ..])
}

/// The path without `.`, and with one separator between its parts; None if it has `..`.
fn below(path: &[u16]) -> Result<Option<Vec<u16>>> {
    let mut whole: Vec<u16> = room(path.len())?;
    for part in path.split(|unit| [SLASH, BACKSLASH].contains(unit)) {
        match part {
            [] | [DOT] => {}
            [DOT, DOT] => return Ok(None),
            part => {
                if !whole.is_empty() {
                    whole.push(BACKSLASH);
                }
                whole.extend_from_slice(part);
            }
        }
    }
    Ok(Some(whole))
}

/// The absolute path, as the kernel takes it: of any length, and without a device's name in it.
fn absolute(path: &[u16]) -> Result<Vec<u16>> {
    let full = full_path(path)?;
    let is = |start| starts_with(&full, start);
    let (prefix, skipped) = match () {
        () if is(r"\\?\") || is(r"\\.\") => (r"\??\", 4),
        () if is(r"\??\") => ("", 0),
        () if is(r"\\") => (r"\??\UNC\", 2),
        () => (r"\??\", 0),
    };
    let mut whole = room(prefix.len() + full.len())?;
    whole.extend(prefix.encode_utf16());
    whole.extend_from_slice(&full[skipped..]);
    Ok(whole)
}

/// The path after the working directory, without `.` and `..`. It has no limit of length, unlike the calls on files.
fn full_path(path: &[u16]) -> Result<Vec<u16>> {
    let mut ended = room(path.len() + 1)?;
    ended.extend_from_slice(path);
    if starts_with(path, r"\\?\") {
        return Ok(ended);
    }
    ended.push(0);
    let mut full: Vec<u16> = room(path.len() + 300)?;
    loop {
        full.resize(full.capacity(), 0);
        // SAFETY: a NUL-terminated path, and a live buffer of that length.
        let length =
            unsafe { GetFullPathNameW(ended.as_ptr(), full.len() as u32, full.as_mut_ptr(), null_mut()) } as usize;
        match length {
            0 => return Err(last()),
            length if length < full.len() => {
                full.truncate(length);
                return Ok(full);
            }
            // The length includes the terminator.
            length => full.try_reserve(length + 1).map_err(|_| Errno(libc::ENOMEM))?,
        }
    }
}

/// UTF-16 of a path.
fn utf16(path: &[u8]) -> Result<Vec<u16>> {
    let text = std::str::from_utf8(path).map_err(|_| Errno(libc::EILSEQ))?;
    let mut wide = room(text.len())?;
    wide.extend(text.encode_utf16());
    if wide.len() > i16::MAX as usize { Err(Errno(libc::ENAMETOOLONG)) } else { Ok(wide) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, on_directory: bool) -> String {
        let name = || Ok(r"\\?\C:\dir".encode_utf16().collect());
        let (NtPath::Below(path) | NtPath::Absolute(path)) = nt_path(path.as_bytes(), on_directory, name).unwrap();
        String::from_utf16(&path).unwrap()
    }

    #[test]
    fn a_path_below_a_directory_needs_no_name() {
        assert_eq!(text("a//./b", true), r"a\b");
        assert_eq!(text(".", true), "");
        assert_eq!(text("../x", true), r"\??\C:\x");
    }

    #[test]
    fn absolute_paths_are_the_kernels() {
        assert_eq!(text("C:/x/../y", true), r"\??\C:\y");
        assert_eq!(text(r"\\server\share\f", false), r"\??\UNC\server\share\f");
        assert_eq!(text(r"\\.\pipe\p", false), r"\??\pipe\p");
        assert_eq!(text("NUL", false), r"\??\NUL");
    }
}
