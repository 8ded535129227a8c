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
    let wide = utf16(path)?;
    if !on_directory || is_absolute(&wide) {
        return absolute(&wide).map(NtPath::Absolute);
    }
    if let Some(below) = below(&wide)? {
        return Ok(NtPath::Below(below));
    }
    // The kernel does not know `..`, so the name of the directory is needed.
    absolute(&join(without_verbatim(name()?), &wide)?).map(NtPath::Absolute)
}

/// A path below a directory.
pub fn join(mut directory: Vec<u16>, path: &[u16]) -> Result<Vec<u16>> {
    directory.try_reserve(path.len() + 1).map_err(|_| Errno(libc::ENOMEM))?;
    directory.push(BACKSLASH);
    directory.extend_from_slice(path);
    Ok(directory)
}

/// One of the kernel's absolute paths, as other calls take it whatever its length.
pub fn verbatim(path: &[u16]) -> Result<Vec<u16>> {
    let mut whole = room(path.len())?;
    whole.extend_from_slice(path);
    if let [_, second, ..] = &mut whole[..] {
        // Instead of `\??\`.
        *second = BACKSLASH;
    }
    Ok(whole)
}

/// The kernel's absolute path for what a link says, which has this whole path.
pub fn beside(link: &[u16], says: &[u16]) -> Result<Vec<u16>> {
    if is_absolute(says) {
        return absolute(says);
    }
    let end = link.iter().rposition(|unit| *unit == BACKSLASH).unwrap_or(0);
    let mut parent = room(end)?;
    parent.extend_from_slice(&link[..end]);
    absolute(&join(without_verbatim(parent), says)?)
}

/// What a link is to say. The system knows only one separator there.
pub fn link_text(text: &[u8]) -> Result<Vec<u16>> {
    let mut wide = utf16(text)?;
    wide.iter_mut().filter(|unit| **unit == SLASH).for_each(|unit| *unit = BACKSLASH);
    Ok(wide)
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

pub fn starts_with(path: &[u16], start: &str) -> bool {
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
    let mut wide = room(path.len())?;
    let mut rest = path;
    while !rest.is_empty() {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        wide.extend(valid.encode_utf16());
        rest = &rest[valid.len()..];
        if let [_, _, _, after @ ..] = rest {
            wide.push(surrogate(rest, wide.last()).ok_or(Errno(libc::EILSEQ))?);
            rest = after;
        } else if !rest.is_empty() {
            return Err(Errno(libc::EILSEQ));
        }
    }
    if wide.len() > i16::MAX as usize { Err(Errno(libc::ENAMETOOLONG)) } else { Ok(wide) }
}

/// The unpaired surrogate that bytes begin with, as [`append_utf8`] has it.
fn surrogate(bytes: &[u8], before: Option<&u16>) -> Option<u16> {
    let [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] = bytes else { return None };
    let unit = 0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f);
    let completes_pair =
        (0xdc00..=0xdfff).contains(&unit) && before.is_some_and(|unit| (0xd800..=0xdbff).contains(unit));
    (!completes_pair).then_some(unit)
}

/// Appends UTF-8 of a name. An unpaired surrogate, which a name may have, becomes three bytes (WTF-8), so that it can be
/// opened by what is told.
pub fn append_utf8(name: impl IntoIterator<Item = u16>, to: &mut Vec<u8>) {
    for unit in char::decode_utf16(name) {
        match unit {
            Ok(letter) => to.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(alone) => {
                let unit = alone.unpaired_surrogate();
                to.extend([0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, 0x80 | (unit & 0x3f) as u8]);
            }
        }
    }
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
    fn names_that_are_no_text_come_back() {
        let name = [0x61, 0xd83d, 0x62, 0xde00, 0xd83d, 0xde00, 0xdc00];
        let mut bytes = Vec::new();
        append_utf8(name, &mut bytes);
        assert_eq!(utf16(&bytes).unwrap(), name);
        for bad in [b"\xff".as_slice(), b"a\xed\xa0", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc0\x80x"] {
            assert_eq!(utf16(bad), Err(Errno(libc::EILSEQ)));
        }
    }

    #[test]
    fn what_a_link_says_is_beside_it() {
        let beside = |says: &str| {
            let link: Vec<u16> = r"\\?\C:\a\b".encode_utf16().collect();
            String::from_utf16(&beside(&link, &says.encode_utf16().collect::<Vec<_>>()).unwrap()).unwrap()
        };
        assert_eq!(beside("c"), r"\??\C:\a\c");
        assert_eq!(beside(r"..\c"), r"\??\C:\c");
        assert_eq!(beside(r"D:\c"), r"\??\D:\c");
    }

    #[test]
    fn absolute_paths_are_the_kernels() {
        assert_eq!(text("C:/x/../y", true), r"\??\C:\y");
        assert_eq!(text(r"\\server\share\f", false), r"\??\UNC\server\share\f");
        assert_eq!(text(r"\\.\pipe\p", false), r"\??\pipe\p");
        assert_eq!(text("NUL", false), r"\??\NUL");
    }
}
