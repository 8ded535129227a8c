//! Promise 4: the descriptor is readable whenever a completion is pending, and no wake-up is ever lost.

use crate::support::case::Case;
use crate::support::files::pattern_at;
use crate::support::stuck::Stuck;
use crate::support::*;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

crate::promises! {
    Plan::EVERY => {
        is_one_close_on_exec_and_nonblocking,
        is_readable_while_a_completion_is_pending,
        is_not_readable_after_fewer_than_max,
        stays_readable_while_completions_are_pending,
        is_not_readable_after_wait_took_all,
        has_the_same_readiness_in_a_dup,
        works_with_select,
        is_not_signalled_for_events_of_submit_poll,
    }
    Plan::FOLDERS => {
        loses_no_wake_up_level_triggered,
        loses_no_wake_up_edge_triggered,
        loses_no_wake_up_at_depth,
    }
}

fn is_one_close_on_exec_and_nonblocking(case: &Case) {
    let ctx = case.ctx();
    let fd = ctx.eventfd();
    assert!(fd >= 0 && process::is_close_on_exec(fd));
    // SAFETY: no memory involved.
    assert_ne!(unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_NONBLOCK, 0);
    ctx.one(ops::nop());
    assert_eq!(ctx.eventfd(), fd, "always the same");
}

fn is_readable_while_a_completion_is_pending(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    assert!(!ctx.readable());
    for _ in 0..50 {
        ctx.accept(&[stuck.read()]);
        assert!(!ctx.readable(), "in flight, but not completed");
        stuck.feed(1);
        assert!(sys::readable(ctx.eventfd(), None), "the event wakes a poller");
        assert!(ctx.readable() && ctx.readable(), "poll(2) does not change readiness");
        assert_eq!(ctx.poll(8).len(), 1);
        assert!(!ctx.readable());
    }
}

fn is_not_readable_after_fewer_than_max(case: &Case) {
    let ctx = case.ctx();
    for count in [1, 2, 100] {
        ctx.accept(&vec![ops::nop(); count]);
        until("all operations have completed", || ctx.stats().completed == ctx.stats().submitted);
        assert!(ctx.readable());
        assert_eq!(ctx.poll(count as u32 + 1).len(), count);
        assert!(!ctx.readable(), "poll took all of {count}");
        assert_eq!(ctx.poll(8), []);
        assert!(!ctx.readable());
    }
}

fn stays_readable_while_completions_are_pending(case: &Case) {
    let ctx = case.ctx();
    for _ in 0..20 {
        ctx.accept(&[ops::nop(); 5]);
        until("all operations have completed", || ctx.stats().completed == ctx.stats().submitted);
        for take in [1, 3] {
            assert_eq!(ctx.poll(take).len(), take as usize);
            assert!(ctx.readable(), "a completion is pending");
        }
        assert_eq!(ctx.poll(1).len(), 1);
        // A full array does not show whether more completions are pending.
        assert_eq!(ctx.poll(1), []);
        assert!(!ctx.readable());
    }
}

fn is_not_readable_after_wait_took_all(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    for _ in 0..50 {
        ctx.accept(&[stuck.read(), ops::nop()]);
        stuck.feed(1);
        let mut events = Vec::new();
        while events.len() < 2 {
            events.extend(ctx.wait(1, 8, -1).expect("wait"));
        }
        assert!(!ctx.readable(), "wait returned fewer than max");
    }
}

fn has_the_same_readiness_in_a_dup(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    let copy = sys::dup(ctx.eventfd());
    let shown = || sys::readable(copy.as_raw_fd(), Some(Duration::ZERO));
    ctx.accept(&[stuck.read()]);
    assert!(!shown());
    stuck.feed(1);
    assert!(sys::readable(copy.as_raw_fd(), None));
    ctx.poll(8);
    assert!(!shown());
}

fn works_with_select(case: &Case) {
    let stuck = Stuck::pipe();
    let ctx = case.ctx();
    ctx.accept(&[stuck.read()]);
    assert_eq!(select(ctx.eventfd(), 0), 0);
    stuck.feed(1);
    assert_eq!(select(ctx.eventfd(), PATIENCE.as_secs()), 1);
    assert_eq!(ctx.poll(8).len(), 1);
    assert_eq!(select(ctx.eventfd(), 0), 0);
}

fn select(fd: RawFd, seconds: u64) -> i32 {
    if fd >= libc::FD_SETSIZE as i32 {
        // The number is too large for select(2): use poll(2).
        return sys::readable(fd, Some(Duration::from_secs(seconds))).into();
    }
    let mut timeout = libc::timeval { tv_sec: seconds as _, tv_usec: 0 };
    // SAFETY: a live set and a live timeout; the descriptor fits the set.
    unsafe {
        let mut set: libc::fd_set = std::mem::zeroed();
        libc::FD_SET(fd, &mut set);
        let none = std::ptr::null_mut();
        libc::select(fd + 1, &mut set, none, none, &mut timeout)
    }
}

/// submit_poll does not signal the descriptor for the events that it returns: epoll sees no edge.
fn is_not_signalled_for_events_of_submit_poll(case: &Case) {
    let file = case.dir.file("file", &files::pattern(65536));
    let ctx = case.ctx();
    let epoll = Epoll::over(ctx.eventfd(), libc::EPOLLIN | libc::EPOLLET);
    let mut at_once = 0;
    for round in 0..200u64 {
        let mut room = [0; 512];
        let (accepted, events) = ctx.submit_poll(&[ops::read(file.as_raw_fd(), &mut room, round * 64)], 4);
        assert_eq!(accepted, 1);
        if events.is_empty() {
            assert!(epoll.wait(PATIENCE), "a later completion signals the descriptor");
            assert_eq!(ctx.collect(1)[0].result, 512);
            // The wake-up may belong to an event that is already taken.
            epoll.wait(Duration::ZERO);
        } else {
            at_once += 1;
            assert_eq!(results(&events), [512]);
            assert!(!epoll.wait(Duration::ZERO), "no completion is pending");
        }
        assert!(!ctx.readable());
    }
    let inline = case.variant != case::Variant::NoInline;
    assert!(at_once > 100 || !inline || POSIX, "cached reads complete immediately: {at_once} of 200");
}

/// epoll(7) over one descriptor.
struct Epoll(OwnedFd);

impl Epoll {
    fn over(fd: RawFd, events: i32) -> Self {
        // SAFETY: fresh from the kernel; a live event.
        unsafe {
            let epoll = <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC));
            let mut event = libc::epoll_event { events: events as u32, u64: 0 };
            assert_eq!(libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event), 0);
            Self(epoll)
        }
    }

    fn wait(&self, timeout: Duration) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        let ready = unsafe { libc::epoll_wait(self.0.as_raw_fd(), &mut event, 1, timeout.as_millis() as i32) };
        // Every loop must accept EINTR: completions of io_uring interrupt epoll_wait.
        let interrupted = ready < 0 && sys::errno() == libc::EINTR;
        assert!(ready >= 0 || interrupted, "epoll_wait: {}", std::io::Error::last_os_error());
        if interrupted { self.wait(timeout) } else { ready == 1 }
    }
}

/// Reads of cold pages. A sleeping epoll_wait awaits each.
struct Cold<'a> {
    case: &'a Case,
    file: File,
    next: usize,
}

impl<'a> Cold<'a> {
    const PAGES: usize = 256;
    /// Far enough from the previous page that the kernel did not read it ahead.
    const STEP: usize = 16 * 4096;

    fn new(case: &'a Case) -> Self {
        let file = case.dir.cold("cold", Self::PAGES * Self::STEP);
        // SAFETY: no memory involved.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
        Self { case, file, next: 0 }
    }

    fn read(&mut self, room: &mut [u8]) -> caio_op {
        let page = self.next % Self::PAGES;
        if page == 0 && self.next > 0 {
            self.case.dir.cool(&self.file);
        }
        self.next += 1;
        ops::read(self.file.as_raw_fd(), room, (page * Self::STEP) as u64).tag(page as u64)
    }

    fn check(event: Event, room: &[u8]) {
        assert_eq!(event.result, room.len() as i64);
        let start = event.user_data as usize * Self::STEP;
        assert!(room.iter().enumerate().all(|(at, byte)| *byte == pattern_at(start + at)));
    }
}

/// One operation at a time: its wake-up is not lost, and spurious wake-ups are rare.
fn one_by_one(case: &Case, trigger: i32, rounds: usize) {
    let mut cold = Cold::new(case);
    let mut room = vec![0; 1024];
    let ctx = case.ctx();
    let epoll = Epoll::over(ctx.eventfd(), libc::EPOLLIN | trigger);
    let mut spurious = 0;
    for _ in 0..rounds {
        ctx.accept(&[cold.read(&mut room)]);
        loop {
            assert!(epoll.wait(PATIENCE), "a lost wake-up");
            match ctx.poll(4)[..] {
                [] => spurious += 1,
                [event] => break Cold::check(event, &room),
                _ => panic!("more than one event"),
            }
        }
    }
    assert!(spurious * 4 <= rounds, "spurious wake-ups are rare: {spurious} of {rounds}");
}

fn loses_no_wake_up_level_triggered(case: &Case) {
    one_by_one(case, 0, 2 * Cold::PAGES);
}

fn loses_no_wake_up_edge_triggered(case: &Case) {
    one_by_one(case, libc::EPOLLET, 2 * Cold::PAGES);
}

/// Several operations in flight, edge-triggered without re-arming: each wake-up polls until it gets fewer than `max`.
fn loses_no_wake_up_at_depth(case: &Case) {
    const DEPTH: usize = 8;
    let mut cold = Cold::new(case);
    let mut rooms = vec![vec![0; 1024]; DEPTH];
    let ctx = case.ctx();
    let epoll = Epoll::over(ctx.eventfd(), libc::EPOLLIN | libc::EPOLLET);
    let (mut submitted, mut done) = (0, 0);
    while done < 2 * Cold::PAGES {
        while submitted < (done + DEPTH).min(2 * Cold::PAGES) {
            ctx.accept(&[cold.read(&mut rooms[submitted % DEPTH])]);
            submitted += 1;
        }
        assert!(epoll.wait(PATIENCE), "a lost wake-up: {done} of {submitted} done");
        loop {
            let events = ctx.poll(3);
            assert!(events.iter().all(|event| event.result == 1024), "{events:?}");
            done += events.len();
            if events.len() < 3 {
                break;
            }
        }
    }
}
