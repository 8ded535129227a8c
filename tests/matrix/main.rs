//! Every operation on every kind of descriptor: what the plain system call does, on every backend, and nothing else.
//!
//! A row of the matrix is a kind (`kinds/mod.rs`), a column an operation (`columns.rs`), and each test here is a
//! property of all cells. The cells of a kind run in a child process; one that hangs or crashes is reported, and the
//! next process goes on behind it. `CAIO_MATRIX_KIND=part` runs the kinds with that text in their name,
//! `CAIO_MATRIX_LIMIT_MS` sets the time limit of a cell.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod columns;
mod ends;
mod kinds;
mod results;
mod runner;
mod scene;
mod waiting;

/// Makes each property a test of each backend.
macro_rules! properties {
    ($($module:ident $backend:ident)*; $names:tt) => { $(properties!(@backend $module $backend $names);)* };
    (@backend $module:ident $backend:ident { $($name:ident: $property:path,)* }) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    crate::runner::run(crate::support::$backend, $property);
                }
            )*
        }
    };
}

properties! {
    auto CAIO_BACKEND_AUTO uring CAIO_BACKEND_URING linux CAIO_BACKEND_LINUX thread CAIO_BACKEND_THREAD;
    {
        results_and_bytes_are_those_of_the_plain_call: crate::results::as_the_plain_call,
        cancel_timeout_and_free_end_a_waiting_operation: crate::waiting::can_be_ended,
        two_waiting_operations_get_one_record_each: crate::waiting::two_at_once,
        a_waiting_operation_uses_no_cpu: crate::waiting::uses_no_cpu,
        a_child_that_frees_keeps_no_descriptor: crate::waiting::survives_fork,
        a_waiting_operation_changes_nothing_else: crate::waiting::changes_nothing_else,
    }
}
