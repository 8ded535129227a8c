use super::*;
use crate::backend::ShortReads;
use crate::op::CURRENT;

/// No descriptor of this process: a question to the kernel would fail.
const FD: i32 = 77_777;

const NOTHING: Rules = Rules::NONE;
/// A queue that waits for the disk.
const ALL: Rules = Rules {
    nops: true,
    reads: Takes::All,
    writes: Takes::All,
    slow_buffered_writes: true,
    copies_in_submit: false,
    short_reads: ShortReads::Interrupted,
    resumes: true,
};
/// A queue that makes buffered transfers in the submission.
const CACHED: Rules = Rules { reads: Takes::Cached, writes: Takes::Direct, copies_in_submit: true, ..NOTHING };
/// A queue of a kernel that may never complete buffered reads.
const NEVER_BUFFERED: Rules = Rules { reads: Takes::NeverBuffered, ..ALL };

fn op(code: Code) -> Op {
    Op { code, fd: FD, len: 4096, ..Op::nop(0) }
}

fn named(rules: Rules) -> Router {
    Router::new(rules, false, false)
}

fn fastest(rules: Rules) -> Router {
    Router::new(rules, true, false)
}

fn no_inline(rules: Rules) -> Router {
    Router::new(rules, false, true)
}

fn buffered() -> Checks {
    Checks::answered(FD, FileKind::Storage, true, false)
}

fn direct() -> Checks {
    Checks::answered(FD, FileKind::Storage, true, true)
}

fn stream() -> Checks {
    Checks::answered(FD, FileKind::Stream, false, false)
}

#[test]
fn a_backend_gets_the_transfers_that_it_takes() {
    use Route::{Native, Worker};
    let cases = [
        // The rules, then reads and writes that use the page cache, then those that bypass it.
        (NOTHING, [Worker(0), Worker(0)], [Worker(0), Worker(0)]),
        (ALL, [Native(0), Native(0)], [Native(0), Native(0)]),
        (CACHED, [Native(0), Worker(0)], [Native(0), Native(0)]),
        (NEVER_BUFFERED, [Worker(0), Native(0)], [Native(0), Native(0)]),
    ];
    for (rules, through_cache, past_cache) in cases {
        for (at, code) in [Code::Read, Code::Write].into_iter().enumerate() {
            let router = named(rules);
            assert_eq!(router.decide(&op(code), false, &mut buffered()), through_cache[at], "{code:?}: {rules:?}");
            assert_eq!(router.decide(&op(code), false, &mut direct()), past_cache[at], "{code:?}: {rules:?}");
        }
    }
}

#[test]
fn for_speed_worker_threads_make_buffered_writes_that_the_backend_makes_slowly() {
    let write = op(Code::Write);
    assert_eq!(fastest(ALL).decide(&write, false, &mut buffered()), Route::Worker(0));
    assert_eq!(fastest(ALL).decide(&write, false, &mut direct()), Route::Native(0));
    let quick = Rules { slow_buffered_writes: false, ..ALL };
    assert_eq!(fastest(quick).decide(&write, false, &mut buffered()), Route::Native(0));
}

#[test]
fn worker_threads_make_long_copies_for_speed_or_if_a_submission_would_copy() {
    let long = Op { len: 4 * INLINE_BUDGET, ..op(Code::Read) };
    assert_eq!(named(ALL).decide(&long, false, &mut buffered()), Route::Native(0));
    assert_eq!(fastest(ALL).decide(&long, false, &mut buffered()), Route::Worker(0));
    assert_eq!(named(CACHED).decide(&long, false, &mut buffered()), Route::Worker(0));
    assert_eq!(fastest(ALL).decide(&long, false, &mut direct()), Route::Native(0), "nothing is copied");
}

#[test]
fn a_linked_operation_does_not_go_to_the_backend() {
    for code in [Code::Read, Code::Write] {
        assert_eq!(named(ALL).decide(&op(code), true, &mut direct()), Route::Worker(0));
    }
    assert_eq!(no_inline(ALL).decide(&op(Code::Nop), true, &mut buffered()), Route::Worker(0));
}

#[test]
fn a_nop_completes_in_submit_unless_the_context_forbids_it() {
    assert_eq!(named(ALL).decide(&op(Code::Nop), false, &mut buffered()), Route::Done(0));
    assert_eq!(no_inline(ALL).decide(&op(Code::Nop), false, &mut buffered()), Route::Native(0));
    assert_eq!(no_inline(CACHED).decide(&op(Code::Nop), false, &mut buffered()), Route::Worker(0));
}

#[test]
fn a_stream_is_tried_in_submit_and_then_waits_with_the_poller() {
    for offset in [0, CURRENT] {
        let read = Op { offset, ..op(Code::Read) };
        assert_eq!(named(ALL).decide(&read, false, &mut stream()), Route::Inline(0));
        assert_eq!(no_inline(ALL).decide(&read, false, &mut stream()), Route::Stream(0));
    }
}

#[test]
fn what_a_queue_does_in_another_way_than_the_plain_call_goes_to_a_worker_thread() {
    let longest = crate::sys::rw::MAX_TRANSFER;
    let read = op(Code::Read);
    let odd = [
        Op { len: 0, ..read },
        Op { len: longest + 1, ..read },
        Op { offset: 1 << 63, ..read },
        Op { ioprio: 1 << 13, ..read },
        Op { code: Code::Readv, len: crate::sys::rw::MOST_PARTS + 1, ..read },
    ];
    for op in odd {
        assert_eq!(named(ALL).decide(&op, false, &mut direct()), Route::Worker(0), "{} bytes at {}", op.len, op.offset);
    }
    assert_eq!(named(ALL).decide(&op(Code::Fsync), false, &mut buffered()), Route::Worker(0));
}

#[test]
fn a_cached_read_is_tried_first_only_where_it_may_complete() {
    let read = op(Code::Read);
    assert_eq!(named(ALL).decide_cached(&read, &mut buffered()), Probe::Buffered);
    assert_eq!(no_inline(ALL).decide_cached(&read, &mut buffered()), Probe::None);
    assert_eq!(named(ALL).decide_cached(&read, &mut direct()), Probe::None);
    for other in [op(Code::Write), op(Code::Readv), Op { offset: CURRENT, ..read }, Op { len: 2 * INLINE_MOST, ..read }]
    {
        assert_eq!(named(ALL).decide_cached(&other, &mut buffered()), Probe::None);
    }
}

#[test]
fn the_rest_of_a_missed_read_goes_where_it_may_wait_for_the_disk() {
    let read = op(Code::Read);
    let after = |rules, cached, linked| named(rules).decide_after(&read, cached, linked, &mut buffered());
    assert_eq!(after(ALL, Cached::Hit(4096), false), Route::Done(4096));
    assert_eq!(after(ALL, Cached::Miss(512), false), Route::Native(512));
    assert_eq!(after(ALL, Cached::Miss(512), true), Route::Worker(512), "linked");
    assert_eq!(after(CACHED, Cached::Miss(512), false), Route::Worker(512), "it would miss again");
    assert_eq!(after(NOTHING, Cached::Miss(512), false), Route::Worker(512));
    assert_eq!(after(ALL, Cached::Unknown(512), false), Route::Native(512));
    assert_eq!(after(ALL, Cached::Failed(-5), false), Route::Done(-5));
}

#[test]
fn a_record_of_a_device_is_the_whole_result_unless_the_operation_is_full() {
    let read = op(Code::Read);
    let full = Op { full: true, ..read };
    assert_eq!(named(NOTHING).decide_after(&read, Cached::Record(7), false, &mut stream()), Route::Done(7));
    assert_eq!(named(NOTHING).decide_after(&full, Cached::Record(7), false, &mut stream()), Route::Inline(7));
    assert_eq!(named(NOTHING).decide_after(&full, Cached::Record(0), false, &mut stream()), Route::Done(0));
}

#[test]
fn a_submit_tries_no_further_read_of_a_descriptor_after_a_miss() {
    let (router, mut checks) = (named(NOTHING), buffered());
    assert_eq!(router.decide_cached(&op(Code::Read), &mut checks), Probe::Buffered);
    router.decide_after(&op(Code::Read), Cached::Miss(0), false, &mut checks);
    assert_eq!(checks.cached_fd, None);
}
