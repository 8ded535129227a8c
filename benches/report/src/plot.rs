//! Plots against depth, as SVG.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::data::{Measure, Turn};

/// The engines that are drawn, with their colours: libcaio's warm and thick, the peers' cold.
pub const ENGINES: [(&str, RGBColor, u32); 12] = [
    ("auto-st", RGBColor(200, 16, 46), 3),
    ("auto", RGBColor(255, 120, 90), 3),
    ("uring", RGBColor(245, 170, 0), 2),
    ("linux", RGBColor(170, 110, 40), 2),
    ("thread", RGBColor(190, 60, 160), 2),
    ("uring-noinline", RGBColor(240, 190, 130), 2),
    ("liburing", RGBColor(20, 70, 160), 2),
    ("liburing-quiet", RGBColor(70, 130, 220), 2),
    ("liburing-defer", RGBColor(0, 160, 190), 2),
    ("libaio", RGBColor(30, 140, 70), 2),
    ("libuv", RGBColor(120, 120, 120), 2),
    ("sync-batch", RGBColor(180, 180, 180), 1),
];

const SIZE: (u32, u32) = (560, 320);

type Points = Vec<(f64, f64)>;

fn points(measure: &Measure, row: &str, engine: &str, of: fn(&Turn) -> f64) -> Points {
    let point = |depth: &u32| measure.median(row, *depth, engine, of).map(|value| (f64::from(*depth), value));
    measure.depths.iter().filter_map(point).filter(|(_, value)| *value > 0.0).collect()
}

fn tick(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0}k", value / 1000.0),
        value if value >= 1000.0 => format!("{:.1}k", value / 1000.0),
        value if value >= 1.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}

/// One panel: `of` against depth for every engine, both axes logarithmic.
pub fn panel(measure: &Measure, row: &str, what: &str, of: fn(&Turn) -> f64) -> Result<String, Box<dyn Error>> {
    let lines: Vec<(Points, RGBColor, u32)> =
        ENGINES.iter().map(|(engine, colour, width)| (points(measure, row, engine, of), *colour, *width)).collect();
    let values = || lines.iter().flat_map(|(points, ..)| points.iter().map(|point| point.1));
    let low = values().fold(f64::INFINITY, f64::min) / 1.4;
    let high = values().fold(0.0, f64::max) * 1.4;
    let deepest = f64::from(measure.depths.last().copied().unwrap_or(1)).max(2.0);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("{row}: {what}"), ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(34)
            .y_label_area_size(52)
            .build_cartesian_2d((0.9..deepest * 1.1).log_scale(), (low..high).log_scale())?;
        let label = ("sans-serif", 12).into_font().color(&BLACK.mix(0.7));
        chart
            .configure_mesh()
            .x_desc("depth")
            .label_style(label)
            .x_label_formatter(&|depth| format!("{depth:.0}"))
            .y_label_formatter(&|value| tick(*value))
            .bold_line_style(BLACK.mix(0.12))
            .light_line_style(BLACK.mix(0.05))
            .draw()?;
        for (points, colour, width) in lines {
            chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(width)))?;
            chart.draw_series(points.into_iter().map(|point| Circle::new(point, width + 1, colour.filled())))?;
        }
        if let Some(plain) = measure.median(row, 1, "sync", of) {
            chart.draw_series([PathElement::new(
                [(0.9, plain), (deepest * 1.1, plain)],
                BLACK.mix(0.5).stroke_width(1),
            )])?;
            let anchor = ("sans-serif", 11).into_font().color(&BLACK.mix(0.6)).pos(Pos::new(HPos::Right, VPos::Bottom));
            chart.draw_series([Text::new("sync", (deepest * 1.05, plain), anchor)])?;
        }
        area.present()?;
    }
    Ok(svg)
}
