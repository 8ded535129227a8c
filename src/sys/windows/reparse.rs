//! What a symbolic link or a junction says: its reparse point.

use super::mem::room;
use super::wide;

const SYMLINK: u32 = 0xa000_000c;
const MOUNT_POINT: u32 = 0xa000_0003;

/// Whether a reparse point is a symbolic link or a junction.
pub fn is_link(tag: u32) -> bool {
    [SYMLINK, MOUNT_POINT].contains(&tag)
}

/// The path in a REPARSE_DATA_BUFFER, as UTF-8; None if it is no link, or not well-formed.
pub fn text(bytes: &[u8]) -> Option<Vec<u8>> {
    let half = |at: usize| bytes.get(at..at + 2).map(|two| u16::from_le_bytes([two[0], two[1]]));
    let tag = u32::from(half(0)?) | u32::from(half(2)?) << 16;
    // Behind the tag and the length: where the paths begin in what follows, then, in symbolic links, flags.
    let names = match tag {
        SYMLINK => 20,
        MOUNT_POINT => 16,
        _ => return None,
    };
    let (start, size) = (usize::from(half(8)?), usize::from(half(10)?));
    let path = bytes.get(names + start..)?.get(..size)?;
    let path: Vec<u16> = path.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
    // Three bytes for a unit, and the start of a volume's name.
    let mut text = room(path.len() * 3 + 4).ok()?;
    wide::append_utf8(shown(&path)?, &mut text);
    Some(text)
}

/// The path that a program would use for one of the kernel's. The kernel's names of volumes stay.
fn shown(path: &[u16]) -> Option<impl Iterator<Item = u16>> {
    let (start, rest) = match path {
        path if wide::starts_with(path, r"\??\UNC\") => (r"\\", path.get(8..)?),
        path if wide::starts_with(path, r"\??\Volume{") => (r"\\?\", path.get(4..)?),
        path if wide::starts_with(path, r"\??\") => ("", path.get(4..)?),
        path => ("", path),
    };
    Some(start.encode_utf16().chain(rest.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(tag: u32, path: &str, flags: &[u8]) -> Option<String> {
        let path: Vec<u8> = path.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = tag.to_le_bytes().to_vec();
        let size = path.len() as u16;
        for number in [size + 8, 0, 0, size, 0, 0] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(flags);
        bytes.extend(path);
        text(&bytes).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn links_say_what_a_program_would() {
        let relative = [1, 0, 0, 0];
        assert_eq!(link(SYMLINK, r"..\x", &relative).as_deref(), Some(r"..\x"));
        assert_eq!(link(SYMLINK, r"\??\C:\x", &[0; 4]).as_deref(), Some(r"C:\x"));
        assert_eq!(link(SYMLINK, r"\??\UNC\server\share", &[0; 4]).as_deref(), Some(r"\\server\share"));
        assert_eq!(link(MOUNT_POINT, r"\??\C:\dir", &[]).as_deref(), Some(r"C:\dir"));
        assert_eq!(link(MOUNT_POINT, r"\??\Volume{1}\", &[]).as_deref(), Some(r"\\?\Volume{1}\"));
    }

    #[test]
    fn what_is_no_link_says_nothing() {
        assert_eq!(link(0x8000_0017, "x", &[0; 4]), None);
        for cut in 0..20 {
            assert_eq!(text(&[0x0c, 0, 0, 0xa0, 9, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0][..cut]), None);
        }
    }
}
