//! Runs the comparisons that ctest2 generated from `abi.rs`; `cargo test --manifest-path tests/systest/Cargo.toml`.

// The comparisons are generated code.
#![allow(warnings, clippy::all)]

mod abi;

use abi::aio_abi::*;
use abi::functions::*;
use abi::types::*;
use caio as _;
use libc::{c_char, c_int, c_void, size_t};

include!(concat!(env!("OUT_DIR"), "/all.rs"));
