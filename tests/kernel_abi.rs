//! The structures of io_uring and kernel AIO have the bytes that the kernel's headers give them, on every processor.

#![cfg(target_os = "linux")]

#[path = "../src/sys/linux/aio_abi.rs"]
#[allow(dead_code)]
mod aio_abi;
#[path = "c/mod.rs"]
mod c;

use std::process::Command;
use std::ptr::without_provenance_mut;
use std::sync::OnceLock;

use io_uring::{Parameters, cqueue, opcode, squeue, types::Fd};

const USER_DATA: u64 = 0xa1b2_c3d4_e5f6_0718;
const OFFSET: u64 = 0x0102_0304_0506_0708;
const ADDRESS: usize = 0x1122_3344;
const LENGTH: u32 = 0x0566_7788;
const FLAGS: i32 = 0x19;
const PRIORITY: u16 = 0x1234;

/// The bytes of a structure that `tests/c/kernel_abi.c` prints. `CAIO_KERNEL_ABI` names a file with its output, if the
/// program was built elsewhere.
fn in_c(name: &str) -> Vec<u8> {
    static PRINTED: OnceLock<String> = OnceLock::new();
    let printed = PRINTED.get_or_init(|| match std::env::var_os("CAIO_KERNEL_ABI") {
        Some(path) => std::fs::read_to_string(path).expect("the output of kernel_abi.c"),
        None => {
            let program = c::program("kernel_abi", c::Language::C, c::Link::Not);
            String::from_utf8(c::succeeds(&mut Command::new(program)).stdout).expect("text")
        }
    });
    let line =
        printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("a line of this name");
    let digits = line.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).expect("digits"), 16).expect("a byte")).collect()
}

fn in_rust<T>(value: &T) -> Vec<u8> {
    let start = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: structures of the kernel have no padding.
    unsafe { std::slice::from_raw_parts(start, size_of::<T>()) }.to_vec()
}

/// A structure with the bytes that C prints.
fn from_c<T>(name: &str) -> T {
    let bytes = in_c(name);
    assert_eq!(bytes.len(), size_of::<T>(), "the size of {name}");
    // SAFETY: as many bytes as it has, and it consists of integers.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}

fn same(name: &str, entry: squeue::Entry) {
    assert_eq!(in_rust(&entry), in_c(name), "{name}");
}

#[test]
fn requests_of_io_uring() {
    let fd = Fd(77);
    let (bytes, vectors) = (without_provenance_mut(ADDRESS), without_provenance_mut(ADDRESS));
    macro_rules! transfer {
        ($kind:ident of $memory:ident) => {{
            let transfer = opcode::$kind::new(fd, $memory, LENGTH).offset(OFFSET).rw_flags(FLAGS).ioprio(PRIORITY);
            transfer.build().user_data(USER_DATA).flags(squeue::Flags::ASYNC)
        }};
    }
    same("read", transfer!(Read of bytes));
    same("write", transfer!(Write of bytes));
    same("readv", transfer!(Readv of vectors));
    same("writev", transfer!(Writev of vectors));
    same("cancel", opcode::AsyncCancel::new(USER_DATA).build());
    same("nop", opcode::Nop::new().build());
}

#[test]
fn completions_and_parameters_of_io_uring() {
    let completion: cqueue::Entry = from_c("cqe");
    assert_eq!((completion.user_data(), completion.result(), completion.flags()), (USER_DATA, -5, 9));
    let parameters: Parameters = from_c("params");
    assert_eq!((parameters.sq_entries(), parameters.cq_entries()), (3, 5));
    assert!(parameters.is_setup_sqpoll() && !parameters.is_setup_iopoll());
    assert!(parameters.is_feature_nodrop() && parameters.is_feature_submit_stable());
    assert!(!parameters.is_feature_single_mmap());
}

#[test]
fn requests_and_completions_of_kernel_aio() {
    let request = aio_abi::iocb {
        aio_data: USER_DATA,
        aio_key: 0,
        aio_rw_flags: FLAGS,
        aio_lio_opcode: aio_abi::IOCB_CMD_PWRITEV,
        aio_reqprio: PRIORITY as i16,
        aio_fildes: 77,
        aio_buf: ADDRESS as u64,
        aio_nbytes: LENGTH.into(),
        aio_offset: OFFSET as i64,
        aio_reserved2: 0,
        aio_flags: aio_abi::IOCB_FLAG_RESFD | aio_abi::IOCB_FLAG_IOPRIO,
        aio_resfd: 78,
    };
    assert_eq!(in_rust(&request), in_c("iocb"));
    let event = aio_abi::io_event { data: USER_DATA, obj: 1, res: -5, res2: 2 };
    assert_eq!(in_rust(&event), in_c("io_event"));
}
