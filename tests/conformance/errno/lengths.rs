//! Lengths that no buffer has. A 64-bit kernel refuses none from a 32-bit program.

use super::Matrix;
use crate::support::case::Case;
use crate::support::*;
use libc::EFAULT;
use std::os::fd::AsRawFd;

crate::promises! {
    Plan::EVERY => { far_too_long_for_a_stream }
}

/// No buffer has this length: read(2) and write(2) fail at once, even on an empty stream.
fn far_too_long_for_a_stream(case: &Case) {
    let (empty, ready) = (stuck::Stuck::kinds(), stuck::Stuck::kinds());
    let mut matrix = Matrix::new(case);
    let room = [0u8; 8];
    for stuck in &ready {
        stuck.fill(20);
    }
    for stuck in empty.iter().chain(&ready) {
        let waiting = stuck.waiting();
        for len in [isize::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX] {
            let read = stuck.read().buf(room.as_ptr()).len(len);
            let write = op(CAIO_OP_WRITE, stuck.writer.as_raw_fd()).buf(room.as_ptr()).len(len).current();
            matrix.says(format_args!("read of {len}"), read, EFAULT);
            matrix.says(format_args!("write of {len}"), write, EFAULT);
        }
        assert_eq!(stuck.waiting(), waiting, "no byte was moved");
    }
}
