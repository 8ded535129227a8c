//! Ratios of two engines, made round by round, so that the drift of the machine cancels.

use crate::data::{Measure, Turn, median, quantile};

/// The median of the rounds' ratios, and the quartiles around it.
#[derive(Clone, Copy)]
pub struct Ratio {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Ratio {
    pub fn text(&self) -> String {
        format!("{:.2} ({:.2}..{:.2})", self.median, self.low, self.high)
    }
}

pub fn ratio(
    measure: &Measure,
    row: &str,
    depth: u32,
    ours: &str,
    theirs: &str,
    of: fn(&Turn) -> f64,
) -> Option<Ratio> {
    let theirs = measure.turns(row, depth, theirs);
    let pair = |turn: &Turn| theirs.iter().find(|other| other.round == turn.round).map(|other| of(turn) / of(other));
    let ratios: Vec<f64> =
        measure.turns(row, depth, ours).iter().filter_map(pair).filter(|ratio| ratio.is_finite()).collect();
    Some(Ratio {
        median: median(ratios.iter().copied())?,
        low: quantile(ratios.iter().copied(), 0.25)?,
        high: quantile(ratios, 0.75)?,
    })
}

/// The fastest of `peers`, by its median.
pub fn best<'a>(measure: &Measure, row: &str, depth: u32, peers: &[&'a str]) -> Option<&'a str> {
    let speed = |peer: &str| measure.median(row, depth, peer, |turn| turn.kops);
    peers.iter().filter_map(|peer| Some((*peer, speed(peer)?))).max_by(|a, b| a.1.total_cmp(&b.1)).map(|best| best.0)
}
