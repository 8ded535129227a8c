//! Checks whether the results of a chain are possible, and updates the files and streams.

use super::records::{Deed, End, Record, Records};
use super::support::*;
use super::world::{UNTOUCHED, World, verify_cell};
use std::os::fd::RawFd;

/// Whether a member of a chain had to start.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    Yes,
    No,
    /// The event of an earlier member was dropped.
    Unknown,
}

/// Resolves a chain whose members have all ended.
pub fn resolve(world: &mut World, records: &mut Records, chain: usize) {
    let mut turn = Turn::Yes;
    // Whether the last open of the chain succeeded, unless that is unknown.
    let mut opened = None;
    for at in records.chains[chain].clone() {
        let record = &mut records.all[at];
        record.memory.check();
        match record.end {
            End::Event(result, _) if record.deed == Deed::CloseOpened => {
                let possible = |opened: bool| result == if opened { 0 } else { -ECANCELED };
                let held = opened.map_or(possible(true) || possible(false), possible);
                assert!(held, "the close of the chain's descriptor: {result}, opened {opened:?}, {:?}", record.setup);
                turn = if result == 0 { turn } else { Turn::No };
            }
            End::Event(result, when) => {
                judge(record, result, when, turn);
                leave(world, record, Some(result), turn);
                let full = record.succeeded_in_full(result);
                turn = if turn == Turn::Unknown || full { turn } else { Turn::No };
            }
            End::Dropped => {
                leave(world, record, None, turn);
                turn = Turn::Unknown;
            }
            other => panic!("it has not ended: {other:?}"),
        }
        if record.op.opcode == CAIO_OP_OPENAT {
            opened = if let End::Event(result, _) = record.end { Some(result >= 0) } else { None };
        }
        record.memory.poison();
    }
    release(world, records, chain);
}

/// Checks that a chain that was not accepted had no effect.
pub fn withdraw(world: &mut World, records: &mut Records, chain: usize) {
    for at in records.chains[chain].clone() {
        let record = &mut records.all[at];
        record.memory.check();
        if record.deed == Deed::Close {
            assert!(close(record.op.fd), "a CLOSE that was not accepted closed");
        }
        record.memory.poison();
    }
    release(world, records, chain);
}

/// Checks the result of one operation.
fn judge(record: &Record, result: i64, when: Instant, turn: Turn) {
    let what = || {
        let Record { deed, op, setup, .. } = record;
        format!("{deed:?} (opcode {} flags {}): {result}, turn {turn:?}, {setup:?}", op.opcode, op.flags)
    };
    let timed_out =
        record.op.timeout_ns > 0 && when.duration_since(record.offered).as_nanos() as u64 >= record.op.timeout_ns;
    match result {
        _ if turn == Turn::No => assert_eq!(result, -ECANCELED, "the chain was broken before: {}", what()),
        result if result == -ECANCELED => {
            assert!(record.asked || turn == Turn::Unknown, "not cancelled: {}", what())
        }
        result if result == -ETIMEDOUT => assert!(timed_out, "too early, or for no reason: {}", what()),
        _ => {
            let stopped = record.asked || record.op.timeout_ns > 0;
            assert!(is_natural(record, result, stopped), "{}", what());
        }
    }
}

/// Whether the plain system call may have this result. If the operation was `stopped`, it may be short.
fn is_natural(record: &Record, result: i64, stopped: bool) -> bool {
    let len = record.memory.len as i64;
    let full = record.op.flags & CAIO_FLAG_FULL != 0;
    match &record.deed {
        Deed::Always(only) => result == *only,
        Deed::Read { .. } | Deed::Write { .. } => result == len,
        Deed::StreamRead(_) | Deed::StreamWrite(_) if full && !stopped => result == len,
        Deed::StreamRead(_) | Deed::StreamWrite(_) => (1..=len).contains(&result),
        Deed::Open | Deed::OpenFifo => result >= 0,
        Deed::Close | Deed::Statx => result == 0,
        Deed::CloseOpened | Deed::Malformed => false,
    }
}

/// Applies the effect of an operation; `result` is None if its context was freed before the event was polled.
fn leave(world: &mut World, record: &Record, result: Option<i64>, turn: Turn) {
    let bytes = record.memory.bytes();
    match record.deed {
        Deed::Read { file, first, count } if result == Some(bytes.len() as i64) => {
            let cells = &world.files[file];
            for at in 0..count {
                verify_cell(&bytes[at * cells.cell..][..cells.cell], &cells.cells[first + at].allowed, first + at);
            }
        }
        Deed::Write { file, first, count, stamp } => {
            for cell in &mut world.files[file].cells[first..first + count] {
                match result {
                    Some(result) if result >= 0 => cell.allowed = vec![stamp],
                    _ if turn == Turn::No => {}
                    _ => cell.allowed.push(stamp),
                }
            }
        }
        Deed::StreamRead(stream) => {
            let touched = bytes.iter().take_while(|byte| **byte != UNTOUCHED).count();
            assert!(bytes[touched..].iter().all(|byte| *byte == UNTOUCHED), "a read left a hole");
            let moved = result.map_or(touched, |result| result.max(0) as usize);
            assert_eq!(touched, moved, "a read of a stream moved more or less than its result: {result:?}");
            world.streams[stream].came_out(&bytes[..moved]);
        }
        Deed::StreamWrite(stream) => match result {
            Some(result) => world.streams[stream].went_in(&bytes[..result.max(0) as usize]),
            None => world.streams[stream].inexact = true,
        },
        Deed::Open | Deed::OpenFifo => {
            if let Some(fd) = result.filter(|result| *result >= 0) {
                assert!(close(fd as RawFd), "the new descriptor is open");
            }
        }
        Deed::Close => {
            let open = close(record.op.fd);
            let wanted = result.map(|result| result == -ECANCELED);
            assert!(
                wanted.is_none_or(|wanted| wanted == open),
                "CLOSE yields {result:?}, and the number is open: {open}"
            );
        }
        Deed::Statx if result == Some(0) => {
            // SAFETY: the memory holds one, aligned to a page.
            let stat = unsafe { &*bytes.as_ptr().cast::<libc::statx>() };
            assert_eq!(stat.stx_size, world.files[0].size());
        }
        _ => {}
    }
}

fn close(fd: RawFd) -> bool {
    sys::plain(&ops::close(fd)) == 0
}

fn release(world: &mut World, records: &Records, chain: usize) {
    for record in &records.all[records.chains[chain].clone()] {
        let (Deed::Read { file, first, count } | Deed::Write { file, first, count, .. }) = record.deed else {
            continue;
        };
        for cell in &mut world.files[file].cells[first..first + count] {
            cell.readers.retain(|other| *other != chain);
            cell.writers.retain(|other| *other != chain);
        }
    }
}
