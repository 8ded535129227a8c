//! What libcaio is measured by: which peers count, and the figure that is to be reached.

/// `liburing-quiet`, whose eventfd is signalled only while the loop sleeps, is shown beside them.
const PEERS: [&str; 4] = ["liburing", "liburing-defer", "libuv", "libaio"];

/// Kernel AIO does buffered writes inside its submit, so it is no peer of an event loop there.
pub fn peers(row: &str) -> &'static [&'static str] {
    if writes_buffered(row) { &PEERS[..3] } else { &PEERS }
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
        "cached-read-4k" => [1.35, 1.10, 1.05],
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

/// io_uring without inline attempts against the raw ring.
pub fn no_inline(depth: u32) -> Option<f64> {
    at_depth([0.90, 0.97, 0.97], depth)
}
