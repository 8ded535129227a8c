//! `cargo fuzz run calls`: any bytes as a program of C calls.

#![no_main]

mod program;
mod sandbox;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| program::run(bytes));
