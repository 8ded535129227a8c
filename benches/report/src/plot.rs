//! Plots against depth, as SVG.

use std::error::Error;
use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::data::{Measure, Turn};

/// The engines that are drawn, with their colours: libcaio's warm and thick, the peers' cold.
pub const ENGINES: [(&str, RGBColor, u32); 14] = [
    ("auto-st", RGBColor(200, 16, 46), 3),
    ("auto", RGBColor(255, 120, 90), 3),
    ("uring", RGBColor(245, 170, 0), 2),
    ("linux", RGBColor(170, 110, 40), 2),
    ("thread", RGBColor(190, 60, 160), 2),
    ("uring-noinline", RGBColor(240, 190, 130), 2),
    ("liburing", RGBColor(20, 70, 160), 2),
    ("liburing-polled", RGBColor(40, 100, 180), 2),
    ("liburing-quiet", RGBColor(70, 130, 220), 2),
    ("liburing-defer", RGBColor(0, 160, 190), 2),
    ("libaio", RGBColor(30, 140, 70), 2),
    ("libuv", RGBColor(120, 120, 120), 2),
    ("sync-batch", RGBColor(180, 180, 180), 1),
    ("sync-thread", RGBColor(150, 150, 170), 1),
];

const SIZE: (u32, u32) = (560, 380);

type Points = Vec<(f64, f64)>;

fn points(measure: &Measure, row: &str, engine: &str, of: fn(&Turn) -> f64) -> Points {
    let point = |depth: &u32| measure.median(row, *depth, engine, of).map(|value| (f64::from(*depth), value));
    measure.depths.iter().filter_map(point).filter(|(_, value)| *value > 0.0).collect()
}

/// 1, 2 and 5 of every power of ten from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let values = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)));
    values.filter(|value| (low..=high).contains(value)).collect()
}

/// A logarithmic axis that is labelled at chosen places only.
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        let part = (value / self.range.start).ln() / (self.range.end / self.range.start).ln();
        pixels.0 + (f64::from(pixels.1 - pixels.0) * part).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        match *value {
            value if value >= 1000.0 => format!("{}k", value / 1000.0),
            value => format!("{value}"),
        }
    }
}

/// One panel: `of` against depth for every engine, both axes logarithmic.
pub fn panel(measure: &Measure, row: &str, what: &str, of: fn(&Turn) -> f64) -> Result<String, Box<dyn Error>> {
    let lines: Vec<(Points, RGBColor, u32)> =
        ENGINES.iter().map(|(engine, colour, width)| (points(measure, row, engine, of), *colour, *width)).collect();
    let plain = measure.median(row, 1, "sync", of);
    let values = || lines.iter().flat_map(|(points, ..)| points.iter().map(|point| point.1)).chain(plain);
    let (low, high) = (values().fold(f64::INFINITY, f64::min) / 1.3, values().fold(0.0, f64::max) * 1.3);
    let depths: Vec<f64> = measure.depths.iter().map(|depth| f64::from(*depth)).collect();
    let (left, right) = (depths[0] / 1.2, depths[depths.len() - 1] * 1.2);
    let across = Axis { range: left..right, ticks: depths };
    let up = Axis { range: low..high, ticks: ticks(low, high) };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("{row}: {what}"), ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(34)
            .y_label_area_size(46)
            .build_cartesian_2d(across, up)?;
        chart
            .configure_mesh()
            .x_desc("depth")
            .label_style(("sans-serif", 12).into_font().color(&BLACK.mix(0.7)))
            .bold_line_style(BLACK.mix(0.1))
            .light_line_style(TRANSPARENT)
            .draw()?;
        if let Some(plain) = plain {
            chart.draw_series([PathElement::new([(left, plain), (right, plain)], BLACK.mix(0.5).stroke_width(1))])?;
            let anchor = Pos::new(HPos::Right, VPos::Bottom);
            let label = ("sans-serif", 11).into_font().color(&BLACK.mix(0.6)).pos(anchor);
            chart.draw_series([Text::new("sync", (right, plain), label)])?;
        }
        // The peers first, so that nothing hides libcaio.
        for (points, colour, width) in lines.into_iter().rev() {
            chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(width)))?;
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, width + 1, colour.filled())))?;
        }
        area.present()?;
    }
    Ok(svg)
}
