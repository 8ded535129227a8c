//! Thousands of operations on a disk that fails at random, in several ways at once.

use std::os::fd::AsRawFd;

use super::support::case::Case;
use super::support::faultfs::FaultFs;
use super::support::*;
use super::{PAGE, file, neg};

const SLOTS: usize = 16;

/// Each page of the file belongs to one slot. Later reads find what the last successful write put there.
pub fn storm(case: &Case) {
    let rounds = if short() { 40 } else { 400 };
    let ctx = case.ctx();
    let Some(faults) = FaultFs::mount(&case.dir) else { return };
    // With the page cache, a short answer of FUSE would read as zeros.
    faults.tell("direct on");
    let file = file(&faults, 0);
    let fd = file.as_raw_fd();
    let mut random = Random::new(case.backend);
    let mut memory = sys::Map::new(SLOTS * PAGE);
    let mut known: Vec<Option<u8>> = vec![None; SLOTS];
    let faulty = [neg(libc::EIO), neg(libc::EINTR), neg(libc::ENOSPC), neg(libc::ESTALE)];
    let (mut failed, mut total) = (0, 0);
    for round in 0..rounds {
        faults.tell(&rules(&mut random));
        let writes: Vec<bool> = (0..SLOTS).map(|_| random.below(2) == 0).collect();
        let fill = |round: usize, at: usize| (round * 31 + at * 7 + 1) as u8;
        let batch: Vec<caio_op> = (0..SLOTS)
            .map(|at| {
                let page = &mut memory.bytes_mut()[at * PAGE..(at + 1) * PAGE];
                page.fill(if writes[at] { fill(round, at) } else { 0 });
                let op = if writes[at] { ops::write(fd, page, 0) } else { ops::read(fd, page, 0) };
                op.at((at * PAGE) as u64).full()
            })
            .chain([ops::fsync(fd), ops::fdsync(fd)])
            .collect();
        let results = ctx.run(&batch);
        for at in 0..SLOTS {
            let page = &memory.bytes()[at * PAGE..(at + 1) * PAGE];
            match results[at] {
                result if result == PAGE as i64 && writes[at] => known[at] = Some(fill(round, at)),
                // FUSE takes a short read as the end of the file, and remembers that size for a while.
                result if !writes[at] && (0..=PAGE as i64).contains(&result) => {
                    let found = &page[..result as usize];
                    let right = known[at].is_none_or(|byte| found.iter().all(|found| *found == byte));
                    let first = found.iter().position(|found| Some(*found) != known[at]);
                    assert!(
                        right,
                        "round {round}, page {at}: {result} bytes, not {:?} but {:?} from {first:?} on",
                        known[at],
                        first.map(|first| found[first])
                    );
                }
                // A write that failed may have written any part of its bytes.
                result if faulty.contains(&result) || result == neg(libc::EINVAL) => {
                    failed += 1;
                    known[at] = if writes[at] { None } else { known[at] };
                }
                result => panic!("round {round}, page {at}, writes {}: {result}", writes[at]),
            }
        }
        let synced = &results[SLOTS..];
        assert!(synced.iter().all(|result| *result == 0 || faulty.contains(result)), "{synced:?}");
        total += results.len();
    }
    faults.tell("clear");
    assert!(failed > rounds / 4, "the faults have an effect: {failed} of {total}");
    let stats = ctx.stats();
    assert_eq!((stats.submitted, stats.completed, stats.inflight), (total as u64, total as u64, 0));
    tried(total, "operations on a disk that fails, is slow and answers short at random (FUSE)");
}

fn rules(random: &mut Random) -> String {
    let mut rules = String::from("clear\n");
    for _ in 0..3 {
        let kind = ["read", "write", "fsync", "any"][random.below(4)];
        let action = ["fail EIO", "fail EINTR", "fail ENOSPC", "fail ESTALE", "short 512", "short 2048", "slow 3"];
        rules +=
            &format!("{kind} {} skip={} times={}\n", action[random.below(7)], random.below(10), 1 + random.below(4));
    }
    rules
}
