//! The tables, as text and as Markdown.

use crate::data::{Measure, Run, Turn};
use crate::ratio::{Ratio, best, ratio};
use crate::targets;

pub struct Table {
    pub title: String,
    pub note: String,
    pub head: Vec<String>,
    pub lines: Vec<Vec<String>>,
}

impl Table {
    fn new(title: &str, note: &str, head: &[&str]) -> Self {
        let head = head.iter().map(|name| (*name).into()).collect();
        Self { title: title.into(), note: note.into(), head, lines: Vec::new() }
    }

    pub fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.lines.iter().chain([&self.head]).filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = format!("\n{}\n", self.title);
        for line in [&self.head].into_iter().chain(&self.lines) {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---".to_string(); self.head.len()];
        let lines: String = self.lines.iter().map(|cells| line(cells)).collect();
        format!("### {}\n\n{}\n\n{}{}{lines}\n", self.title, self.note, line(&self.head), line(&rule))
    }
}

pub fn number(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), number)
}

/// A quick look says nothing about targets.
const JUDGED_ROUNDS: usize = 3;
const MET: &str = "ok";
const MISSED: &str = "MISSED";

fn unjudged(cell: &mut String) {
    if cell == MET || cell == MISSED {
        cell.clear();
    }
}

fn verdict(met: Option<bool>) -> String {
    met.map_or("", |met| if met { MET } else { MISSED }).into()
}

fn ratio_cell(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(|| "-".into(), |ratio| ratio.text())
}

/// Everything that was measured.
pub fn details(run: &Run) -> Vec<Table> {
    let mut tables: Vec<Table> = run.closed_loop.rows.iter().map(|row| figures(&run.closed_loop, row)).collect();
    tables.push(lockstep_figures(&run.lockstep));
    tables.retain(|table| !table.lines.is_empty());
    tables
}

/// The tables that stand alone: throughput, and each comparison that has a target.
pub fn summary(run: &Run) -> Vec<Table> {
    let mut tables = Vec::new();
    tables.extend([
        throughput(&run.closed_loop),
        auto_against_best(&run.closed_loop),
        auto_against_blocking(&run.closed_loop),
        no_inline(&run.closed_loop),
        linux_against_libaio(&run.closed_loop),
        threads(&run.closed_loop),
        cpu(&run.closed_loop),
        submit_times(&run.lockstep),
    ]);
    tables.extend(run.plain.iter().map(|lines| plain(lines)));
    tables.retain(|table| !table.lines.is_empty());
    if run.closed_loop.rounds().max(run.lockstep.rounds()) < JUDGED_ROUNDS {
        tables.iter_mut().flat_map(|table| table.lines.iter_mut().flatten()).for_each(unjudged);
    }
    tables
}

/// Every row, depth and engine that has turns.
fn cells(measure: &Measure) -> impl Iterator<Item = (&str, u32)> {
    measure.rows.iter().flat_map(|row| measure.depths.iter().map(move |depth| (row.as_str(), *depth)))
}

fn throughput(measure: &Measure) -> Table {
    let note = "Medians, thousand operations per second.";
    let mut table = Table::new("throughput", note, &["row", "depth"]);
    table.head.extend(measure.engines.iter().cloned());
    for (row, depth) in cells(measure) {
        let medians = measure.engines.iter().map(|engine| cell(measure.median(row, depth, engine, |turn| turn.kops)));
        table.lines.push([row.to_string(), depth.to_string()].into_iter().chain(medians).collect());
    }
    table
}

const FIGURES: [&str; 10] =
    ["depth", "engine", "kops/s", "min..max", "CPU us", "p50", "p99", "p99.9", "submit p50, p99.9", "longest submit"];

fn figure_line(measure: &Measure, row: &str, depth: u32, engine: &str) -> Option<Vec<String>> {
    let of = |of: fn(&Turn) -> f64| cell(measure.median(row, depth, engine, of));
    let turns = measure.turns(row, depth, engine);
    let least = turns.iter().map(|turn| turn.kops).reduce(f64::min)?;
    let most = turns.iter().map(|turn| turn.kops).reduce(f64::max)?;
    let longest = turns.iter().map(|turn| turn.submit_max).reduce(f64::max);
    Some(vec![
        depth.to_string(),
        engine.into(),
        of(|turn| turn.kops),
        format!("{}..{}", number(least), number(most)),
        of(|turn| turn.cpu),
        of(|turn| turn.p50),
        of(|turn| turn.p99),
        of(|turn| turn.p999),
        format!("{}, {}", of(|turn| turn.submit_p50), of(|turn| turn.submit_p999)),
        cell(longest),
    ])
}

fn figures(measure: &Measure, row: &str) -> Table {
    let note =
        "Medians of all turns; `min..max` of their throughput, the longest submit of all. Times in microseconds.";
    let mut table = Table::new(row, note, &FIGURES);
    for depth in &measure.depths {
        let lines = measure.engines.iter().filter_map(|engine| figure_line(measure, row, *depth, engine));
        table.lines.extend(lines);
    }
    table
}

fn lockstep_figures(measure: &Measure) -> Table {
    let note = "Submit 16, wait for all 16, again. Medians of all turns, the longest submit of all; microseconds.";
    let head = ["row", "engine", "submit p50", "p99", "p99.9", "longest"];
    let mut table = Table::new("time inside submit, batches of 16", note, &head);
    for (row, depth) in cells(measure) {
        for engine in &measure.engines {
            let of = |of: fn(&Turn) -> f64| cell(measure.median(row, depth, engine, of));
            let longest = measure.turns(row, depth, engine).iter().map(|turn| turn.submit_max).reduce(f64::max);
            if longest.is_some() {
                let [p50, p99, p999] =
                    [of(|turn| turn.submit_p50), of(|turn| turn.submit_p99), of(|turn| turn.submit_p999)];
                table.lines.push(vec![row.into(), engine.clone(), p50, p99, p999, cell(longest)]);
            }
        }
    }
    table
}

fn at_least(target: Option<f64>) -> String {
    target.map_or_else(String::new, |target| format!(">= {target:.2}"))
}

fn reaches(ratio: Option<Ratio>, target: Option<f64>) -> String {
    verdict(ratio.zip(target).map(|(ratio, target)| ratio.median >= target))
}

fn auto_against_best(measure: &Measure) -> Table {
    let note = "Throughput against the best peer; ratios are made round by round: median (quartiles).";
    let head = ["row", "depth", "best peer", "kops/s", "AUTO, SINGLE_THREAD", "target", "", "AUTO", "target", ""];
    let mut table = Table::new("AUTO against the best peer", note, &head);
    for (row, depth) in cells(measure) {
        let Some(peer) = best(measure, row, depth, targets::peers(row)) else { continue };
        let against = |engine| ratio(measure, row, depth, engine, peer, |turn| turn.kops);
        let (single, auto) = (against("auto-st"), against("auto"));
        let (single_target, auto_target) = (targets::auto_st(row, depth), targets::auto(row, depth, peer));
        table.lines.push(vec![
            row.into(),
            depth.to_string(),
            peer.into(),
            cell(measure.median(row, depth, peer, |turn| turn.kops)),
            ratio_cell(single),
            at_least(single_target),
            reaches(single, single_target),
            ratio_cell(auto),
            at_least(auto_target),
            reaches(auto, auto_target),
        ]);
    }
    table
}

fn auto_against_blocking(measure: &Measure) -> Table {
    let note = "Throughput against the same system calls in a loop that blocks.";
    let head = ["row", "depth", "loop", "kops/s", "AUTO, SINGLE_THREAD", "", "AUTO", "", "target"];
    let mut table = Table::new("AUTO against blocking calls", note, &head);
    for (row, depth) in cells(measure) {
        let Some((calls, target)) = targets::blocking(row, depth) else { continue };
        let against = |engine| ratio(measure, row, depth, engine, calls, |turn| turn.kops);
        let (single, auto, target) = (against("auto-st"), against("auto"), Some(target));
        table.lines.push(vec![
            row.into(),
            depth.to_string(),
            calls.into(),
            cell(measure.median(row, depth, calls, |turn| turn.kops)),
            ratio_cell(single),
            reaches(single, target),
            ratio_cell(auto),
            reaches(auto, target),
            at_least(target),
        ]);
    }
    table
}

fn no_inline(measure: &Measure) -> Table {
    let note = "What libcaio adds to a raw ring: `uring` with `CAIO_CTX_NO_INLINE` against liburing.";
    let mut table = Table::new("cost of the abstraction", note, &["row", "depth", "ratio", "target", ""]);
    for (row, depth) in cells(measure) {
        let ratio = ratio(measure, row, depth, "uring-noinline", "liburing", |turn| turn.kops);
        let target = targets::no_inline(depth);
        if ratio.is_some() {
            let line = [row.into(), depth.to_string(), ratio_cell(ratio), at_least(target), reaches(ratio, target)];
            table.lines.push(line.into());
        }
    }
    table
}

fn linux_against_libaio(measure: &Measure) -> Table {
    let note = "The `linux` backend on a cold buffered file at depth 128.";
    let mut table = Table::new("kernel AIO that does not block", note, &["what", "ratio", "target", ""]);
    let speed = ratio(measure, "cold-read-4k", 128, "linux", "libaio", |turn| turn.kops);
    let stall = ratio(measure, "cold-read-4k", 128, "linux", "liburing", |turn| turn.submit_max);
    if speed.is_some() {
        let line = ["kops/s against libaio".into(), ratio_cell(speed), ">= 4".into(), reaches(speed, Some(4.0))];
        table.lines.push(line.into());
    }
    if let Some(stall) = stall {
        let met = verdict(Some(stall.median <= 2.0));
        table.lines.push(vec!["a turn's longest submit against liburing".into(), stall.text(), "<= 2".into(), met]);
    }
    table
}

/// At depth 1 the plain loop is the measure, deeper the best peer.
fn thread_rival(measure: &Measure, row: &str, depth: u32) -> Option<&'static str> {
    if depth == 1 { Some("sync") } else { best(measure, row, depth, targets::peers(row)) }
}

fn threads(measure: &Measure) -> Table {
    let note = "The `thread` backend: at least 1.3 times libuv or 0.9 of the other, whichever is lower, with no more \
                CPU time per operation than libuv.";
    let head = ["row", "depth", "against libuv", "other", "against it", "", "CPU against libuv", ""];
    let mut table = Table::new("worker threads", note, &head);
    for (row, depth) in cells(measure) {
        let Some(rival) = thread_rival(measure, row, depth) else { continue };
        let against = |engine, of| ratio(measure, row, depth, "thread", engine, of);
        let (libuv, other) = (against("libuv", |turn| turn.kops), against(rival, |turn| turn.kops));
        let cpu = against("libuv", |turn| turn.cpu);
        let speed_met = libuv.zip(other).map(|(libuv, other)| libuv.median >= 1.3 || other.median >= 0.9);
        if libuv.is_some() || other.is_some() {
            table.lines.push(vec![
                row.into(),
                depth.to_string(),
                ratio_cell(libuv),
                rival.into(),
                ratio_cell(other),
                verdict(speed_met),
                ratio_cell(cpu),
                verdict(cpu.map(|cpu| cpu.median <= 1.0)),
            ]);
        }
    }
    table
}

fn cpu(measure: &Measure) -> Table {
    let note = "CPU time of all threads per operation, AUTO with SINGLE_THREAD against the fastest peer; at most 1.";
    let head = ["row", "depth", "best peer", "its CPU us", "AUTO, SINGLE_THREAD", "", "AUTO"];
    let mut table = Table::new("CPU time per read", note, &head);
    for (row, depth) in cells(measure).filter(|(row, _)| targets::reads(row)) {
        let Some(peer) = best(measure, row, depth, targets::peers(row)) else { continue };
        let against = |engine| ratio(measure, row, depth, engine, peer, |turn| turn.cpu);
        let single = against("auto-st");
        table.lines.push(vec![
            row.into(),
            depth.to_string(),
            peer.into(),
            cell(measure.median(row, depth, peer, |turn| turn.cpu)),
            ratio_cell(single),
            verdict(single.map(|single| single.median <= 1.0)),
            ratio_cell(against("auto")),
        ]);
    }
    table
}

fn submit_times(measure: &Measure) -> Table {
    let note = "99.9th percentile of the time inside submit: below 100 us, or at most 1.2 times raw liburing's.";
    let head = ["row", "engine", "p99.9 us", "liburing's", "ratio", ""];
    let mut table = Table::new("submit, batches of 16", note, &head);
    for (row, depth) in cells(measure) {
        for engine in ["auto-st", "auto", "uring", "linux", "thread", "uring-noinline"] {
            let own = measure.median(row, depth, engine, |turn| turn.submit_p999);
            let raw = measure.median(row, depth, "liburing", |turn| turn.submit_p999);
            let ratio = ratio(measure, row, depth, engine, "liburing", |turn| turn.submit_p999);
            if let Some(own_us) = own {
                let met = ratio.map(|ratio| own_us < 100.0 || ratio.median <= 1.2);
                table.lines.push(vec![
                    row.into(),
                    engine.into(),
                    cell(own),
                    cell(raw),
                    ratio_cell(ratio),
                    verdict(met),
                ]);
            }
        }
    }
    table
}

fn plain(lines: &[Vec<String>]) -> Table {
    let head: Vec<&str> = lines[1].iter().map(String::as_str).collect();
    let note = lines[0].get(1).map_or("", String::as_str);
    Table { lines: lines[2..].to_vec(), ..Table::new(&lines[0][0], note, &head) }
}
