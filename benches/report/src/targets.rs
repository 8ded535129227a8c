//! What libcaio is measured by: which peers count, and the figure that is to be reached.

const PEERS: [&str; 6] = ["liburing", "liburing-polled", "liburing-quiet", "liburing-defer", "libuv", "libaio"];

/// Kernel AIO does buffered writes inside its submit, so it is no peer of an event loop there.
pub fn peers(row: &str) -> &'static [&'static str] {
    if writes_buffered(row) { &PEERS[..5] } else { &PEERS }
}

pub fn writes_buffered(row: &str) -> bool {
    row.starts_with("overwrite") || row.starts_with("append")
}

pub fn reads(row: &str) -> bool {
    row.contains("read")
}

/// AUTO with SINGLE_THREAD against the best peer, at depths 1, 16 and 128.
fn auto_single(row: &str) -> [f64; 3] {
    match row {
        "overwrite-4k" => [1.0, 1.3, 1.3],
        "overwrite-sync-4k" => [0.97, 1.8, 2.4],
        "append-sync-512" => [0.97, 3.0, 4.5],
        _ => [0.97; 3],
    }
}

fn at_depth(targets: [f64; 3], depth: u32) -> Option<f64> {
    [1, 16, 128].iter().position(|known| *known == depth).map(|place| targets[place])
}

pub fn auto_st(row: &str, depth: u32) -> Option<f64> {
    at_depth(auto_single(row), depth)
}

/// AUTO without the promise of one thread may lose a tenth, and more against a ring that has the promise.
pub fn auto(row: &str, depth: u32, best_peer: &str) -> Option<f64> {
    let part = if best_peer == "liburing-defer" { 0.85 } else { 0.9 };
    auto_st(row, depth).map(|target| target * part)
}

/// The blocking engine that makes the same system calls, and the part of its speed that AUTO is to reach.
pub fn blocking(row: &str, depth: u32) -> Option<(&'static str, f64)> {
    match (row, depth) {
        ("cached-read-4k", 1) => Some(("sync", 0.85)),
        ("overwrite-sync-4k" | "append-sync-512", 16 | 128) => Some(("sync-batch", 0.85)),
        _ => None,
    }
}

/// io_uring without inline attempts against the raw ring.
pub fn no_inline(depth: u32) -> Option<f64> {
    at_depth([0.90, 0.97, 0.97], depth)
}
