//! Which operation of an array is malformed, and why.

use std::ffi::{c_char, c_int};

use super::convert::{FLAGS, Ops, converted};
use super::info::tell;
use super::types::{CAIO_FD_OPENED, CAIO_FLAG_DIR2, CAIO_FLAG_FULL, CAIO_FLAG_LINK, caio_op};
use crate::context::Source;
use crate::op::{Code, field};

/// Checks whether `caio_ctx_submit` would refuse one of these operations as malformed, and stores a sentence in `why`: which
/// operation, which field, and the reason. It submits nothing, and does not look at files or memory.
///
/// Ownership: `ops` and `why` are the caller's. The call truncates the sentence to `why_size` and ends it with a null byte.
/// `why` may be NULL if `why_size` is 0.
/// Threads: any.
/// Blocks: no.
/// Units: `count` is in operations, `why_size` is in bytes.
/// Errors: `-EINVAL` (an operation is malformed; `ops` is NULL and `count` is not 0; `why` is NULL with a size).
///
/// See caio_op_check(3).
///
/// # Safety
/// `ops` points to `count` operations; `why` is NULL or has room for `why_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn caio_op_check(ops: *const caio_op, count: u32, why: *mut c_char, why_size: usize) -> c_int {
    if why.is_null() && why_size > 0 {
        return -libc::EINVAL;
    }
    // SAFETY: the caller's promise.
    let fault = match unsafe { Ops::new(ops, count) } {
        Ok(ops) => fault_of(&ops),
        Err(_) => Some("ops is NULL, but count is not 0".to_owned()),
    };
    // SAFETY: `why` has room for `why_size` bytes, as the caller promises.
    unsafe { tell(fault.as_deref().unwrap_or("every operation is well-formed"), why, why_size) };
    if fault.is_some() { -libc::EINVAL } else { 0 }
}

pub(super) fn fault_of(ops: &Ops) -> Option<String> {
    let (count, mut opens) = (ops.len(), false);
    (0..count).find_map(|index| {
        let op = ops.raw(index);
        let links = op.flags & CAIO_FLAG_LINK != 0;
        let fault = fault_of_one(&op).or_else(|| {
            let uses = ops.get(index).is_ok_and(|op| op.uses_opened());
            let fault = match links && index + 1 == count {
                true => Some("flags: LINK on the last operation of the call".to_owned()),
                false => (uses && !opens).then(|| format!("{}: OPENED without an open before it", opened_field(&op))),
            };
            opens = links && (opens || Code::from_number(op.opcode).is_some_and(Code::opens_fd));
            fault
        })?;
        Some(format!("operation {index}: {fault}"))
    })
}

/// The field that says OPENED.
fn opened_field(op: &caio_op) -> &'static str {
    match op.flags & CAIO_FLAG_DIR2 {
        _ if op.fd == CAIO_FD_OPENED => "fd",
        0 => "mode",
        _ => "offset",
    }
}

/// What is wrong with one operation alone.
fn fault_of_one(op: &caio_op) -> Option<String> {
    let Some(code) = Code::from_number(op.opcode) else {
        return Some(format!("opcode: {} is unknown", op.opcode));
    };
    if op.flags & !FLAGS != 0 {
        return Some(format!("flags: the bits {:#x} are unknown", op.flags & !FLAGS));
    }
    #[cfg(target_pointer_width = "32")]
    if op.reserved_buf | op.reserved_buf2 != 0 {
        return Some("a reserved field must be 0".to_owned());
    }
    // SAFETY: the operation is not submitted.
    let misused = unsafe { converted(op) }.ok()?.misused_fields();
    let (_, field) = FIELDS.into_iter().find(|(bit, _)| misused & bit != 0)?;
    Some(match field {
        "offset" if code.fields() & field::DIR2 != 0 => format!("offset: {code} uses it with DIR2 only"),
        "FULL" | "DIR2" => format!("flags: {code} has no {field}"),
        _ => format!("{field}: {code} does not use it, so it must be 0"),
    })
}

const FIELDS: [(u8, &str); 8] = [
    (field::FULL, "FULL"),
    (field::DIR2, "DIR2"),
    (field::BUF, "buf"),
    (field::LEN, "len"),
    (field::OFFSET, "offset"),
    (field::SYS_FLAGS, "sys_flags"),
    (field::MODE, "mode"),
    (field::BUF2, "buf2"),
];
const _: () = assert!(FLAGS == CAIO_FLAG_LINK | CAIO_FLAG_FULL | CAIO_FLAG_DIR2);
