//! What was measured: one sample for each turn of an engine.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

/// What a turn was: its row, its depth and its engine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub row: String,
    pub depth: u32,
    pub engine: String,
}

/// One turn. Times are microseconds.
#[derive(Clone, Copy)]
pub struct Turn {
    pub round: u32,
    pub kops: f64,
    pub cpu: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub submit_p50: f64,
    pub submit_p99: f64,
    pub submit_p999: f64,
    pub submit_max: f64,
}

/// The turns of one measure, and its rows, depths and engines in the order in which they came.
#[derive(Default)]
pub struct Measure {
    turns: BTreeMap<Key, Vec<Turn>>,
    pub rows: Vec<String>,
    pub depths: Vec<u32>,
    pub engines: Vec<String>,
}

pub struct Run {
    /// Machine, disk, date: one line each.
    pub about: String,
    pub closed_loop: Measure,
    pub lockstep: Measure,
    /// Tables that a program printed itself: a title line, a line of column names, lines of values.
    pub plain: Vec<Vec<Vec<String>>>,
}

fn add<T: PartialEq + Clone>(list: &mut Vec<T>, item: &T) {
    if !list.contains(item) {
        list.push(item.clone());
    }
}

pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(values, 0.5)
}

pub fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = part * values.len().checked_sub(1)? as f64;
    let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

impl Measure {
    pub fn turns(&self, row: &str, depth: u32, engine: &str) -> &[Turn] {
        let key = Key { row: row.into(), depth, engine: engine.into() };
        self.turns.get(&key).map_or(&[], Vec::as_slice)
    }

    pub fn median(&self, row: &str, depth: u32, engine: &str, of: fn(&Turn) -> f64) -> Option<f64> {
        median(self.turns(row, depth, engine).iter().map(of))
    }

    /// The most turns that an engine took.
    pub fn rounds(&self) -> usize {
        self.turns.values().map(Vec::len).max().unwrap_or(0)
    }

    fn parse(text: &str) -> Result<Self, Box<dyn Error>> {
        let mut measure = Self::default();
        for line in text.lines() {
            let (key, turn) = parse_line(line).ok_or_else(|| format!("not a line of the bench: {line}"))?;
            add(&mut measure.rows, &key.row);
            add(&mut measure.depths, &key.depth);
            add(&mut measure.engines, &key.engine);
            measure.turns.entry(key).or_default().push(turn);
        }
        measure.depths.sort_unstable();
        Ok(measure)
    }
}

fn parse_line(line: &str) -> Option<(Key, Turn)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [_, row, depth, engine, round, _, _, numbers @ ..] = fields.as_slice() else {
        return None;
    };
    let numbers: Vec<f64> = numbers.iter().map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [kops, cpu, p50, p99, p999, submit_p50, submit_p99, submit_p999, submit_max] = numbers[..] else {
        return None;
    };
    let key = Key { row: (*row).into(), depth: depth.parse().ok()?, engine: (*engine).into() };
    let round = round.parse().ok()?;
    Some((key, Turn { round, kops, cpu, p50, p99, p999, submit_p50, submit_p99, submit_p999, submit_max }))
}

/// A file that was not written stands for a part that was not measured.
fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_default()
}

fn plain_tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let tables = text.split("\n\n").map(|table| {
        table.lines().filter(|line| !line.is_empty()).map(|line| line.split('\t').map(Into::into).collect()).collect()
    });
    tables.filter(|table: &Vec<Vec<String>>| table.len() > 2).collect()
}

impl Run {
    pub fn load(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let plain = ["scaling.tsv", "instructions.tsv", "small-files.tsv", "tree-copy.tsv"]
            .map(|name| plain_tables(&read(folder, name)));
        Ok(Self {
            about: read(folder, "about.txt").trim().into(),
            closed_loop: Measure::parse(&read(folder, "loop.tsv"))?,
            lockstep: Measure::parse(&read(folder, "lockstep.tsv"))?,
            plain: plain.concat(),
        })
    }
}
