//! Draws a plot as SVG.

use std::fmt::Write as _;

use super::axis::{Axis, Series};
use super::band;
use super::cut;
use super::points::{MAX_POINTS, largest, thinned};
use super::scale::{Scale, short};
use super::style::{COLOURS, DISTINCT, LIGHT, dashes};
use crate::report::text::escaped;

/// A line plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Name of its file, without extension.
    pub name: &'static str,
    /// Title above the plot.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// Size and margins of a plot in user units, which are pixels at its natural size.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 30.0;
/// Height of a row of the legend, which is between title and frame.
const LEGEND_ROW: f64 = 17.0;
/// Average width of a letter.
const LETTER: f64 = 6.6;
const BOTTOM: f64 = 44.0;

impl Plot {
    /// Whether no point can be drawn.
    pub fn is_empty(&self) -> bool {
        self.series
            .iter()
            .all(|series| self.visible(series).is_empty())
    }

    /// The points that can be drawn.
    fn visible(&self, series: &Series) -> Vec<(f64, f64)> {
        let drawn = |value: f64, axis: &Axis| value.is_finite() && (!axis.is_log || value > 0.0);
        let points = series.points.iter().copied();
        points
            .filter(|(x, y)| drawn(*x, &self.x) && drawn(*y, &self.y))
            .collect()
    }

    /// The points of the band that can be drawn.
    fn visible_band(&self, series: &Series) -> Vec<(f64, f64, f64)> {
        let drawn = |value: f64, axis: &Axis| value.is_finite() && (!axis.is_log || value > 0.0);
        let points = series.band.iter().copied();
        points
            .filter(|(x, low, high)| {
                drawn(*x, &self.x) && drawn(*low, &self.y) && drawn(*high, &self.y)
            })
            .collect()
    }

    /// An `<svg>` element for a page, in the colours of its style sheet.
    pub fn inline(&self) -> String {
        self.svg("", false)
    }

    /// A complete SVG file, on white, with fixed colours and size, for viewers and converters.
    pub fn file(&self) -> String {
        let mut style = String::from("<style>");
        for (k, colour) in LIGHT.iter().enumerate() {
            let _ = write!(style, ".s{k}{{stroke:{colour}}}.f{k}{{fill:{colour}}}");
        }
        style += "</style>";
        let svg = self.svg(&style, true);
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{svg}")
    }

    fn svg(&self, style: &str, is_file: bool) -> String {
        let (ink, faint) = if is_file {
            ("#1b1f24", "#d9dde2")
        } else {
            ("var(--ink)", "var(--faint)")
        };
        let lines: Vec<Vec<(f64, f64)>> = self
            .series
            .iter()
            .map(|series| thinned(&self.visible(series)))
            .collect();
        let bands: Vec<Vec<(f64, f64, f64)>> = self
            .series
            .iter()
            .map(|series| band::thinned(&self.visible_band(series), MAX_POINTS))
            .collect();
        let range = |of: fn(&(f64, f64)) -> f64| {
            let edges = bands.iter().flatten();
            let edges = edges.flat_map(|&(x, low, high)| [(x, low), (x, high)]);
            let values = lines.iter().flatten().copied().chain(edges);
            let values = values.map(|point| of(&point));
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let legend = self.legend_entries();
        let rows = legend.last().map_or(0.0, |entry| entry.row + 1.0);
        let (top, height) = (TOP + LEGEND_ROW * rows, HEIGHT + LEGEND_ROW * rows);
        let (low, high) = range(|(x, _)| *x);
        let x = Scale::new(&self.x, low, high, LEFT, WIDTH - RIGHT);
        let (low, high) = range(|(_, y)| *y);
        let end = match cut::top(&self.y, &lines) {
            cut if cut < largest(&lines) => cut,
            _ => high,
        };
        let y = Scale::new(&self.y, low, end, height - BOTTOM, top);
        let size = if is_file {
            format!(" width=\"{}\" height=\"{}\"", 2.0 * WIDTH, 2.0 * height)
        } else {
            String::new()
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\"{size} viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{ink}\"><title>{}</title>{style}\n",
            escaped(&self.title)
        );
        if is_file {
            let _ = writeln!(
                svg,
                "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>"
            );
        }
        let scales = Scales { x, y };
        self.add_frame(&mut svg, &scales, faint, end < high);
        let numbered = self.series.len() > DISTINCT;
        for (k, band) in bands.iter().enumerate() {
            let points = band.iter().map(|&(px, low, high)| {
                let (x, y) = (&scales.x, &scales.y);
                (x.coordinate(px), y.coordinate(low), y.coordinate(high))
            });
            svg += &band::area(k % COLOURS, &points.collect::<Vec<_>>());
        }
        for (k, (series, points)) in self.series.iter().zip(&lines).enumerate() {
            add_line(&mut svg, k, points, &scales, series);
            // At different positions along the lines, so that the numbers of similar lines do not overlap.
            let at = (k + 1) * points.len() / (self.series.len() + 1);
            if numbered && let Some((x, y)) = points.get(at) {
                let (x, y) = (scales.x.coordinate(*x), scales.y.coordinate(*y));
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" text-anchor=\"middle\">{}</text>",
                    x,
                    y.max(scales.y.to) - 3.0,
                    k + 1
                );
            }
        }
        self.add_legend(&mut svg, &legend);
        svg + "</svg>\n"
    }

    /// Adds title, grid lines, and the numbers and labels of the axes.
    fn add_frame(&self, svg: &mut String, Scales { x, y }: &Scales, faint: &str, is_cut: bool) {
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"17\" font-weight=\"600\">{}</text>",
            escaped(&self.title)
        );
        let (bottom, top, right) = (y.from, y.to, WIDTH - RIGHT);
        for tick in x.ticks() {
            let (at, text) = (x.coordinate(tick), x.text(tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"{faint}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 15.0
            );
        }
        for tick in y.ticks() {
            let (at, text) = (y.coordinate(tick), y.text(tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"{faint}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        let scale = if self.y.is_log { ", log scale" } else { "" };
        let above = if is_cut { ", top cut off" } else { "" };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}{scale}{above}</text>",
            (LEFT + right) / 2.0,
            bottom + BOTTOM - 8.0,
            escaped(&self.x.label),
            (top + bottom) / 2.0,
            escaped(&self.y.label)
        );
    }

    /// Positions of the legend entries, if there are several lines.
    fn legend_entries(&self) -> Vec<LegendEntry> {
        if self.series.len() < 2 {
            return Vec::new();
        }
        let (mut left, mut row) = (LEFT, 0.0);
        let mut entries = Vec::new();
        for _ in &self.series {
            let width = 46.0 + LETTER * self.legend_text(entries.len()).chars().count() as f64;
            if left > LEFT && left + width > WIDTH {
                (left, row) = (LEFT, row + 1.0);
            }
            entries.push(LegendEntry { left, row });
            left += width;
        }
        entries
    }

    /// The name of line `k` in the legend.
    fn legend_text(&self, k: usize) -> String {
        let name = shortened(&self.series[k].name);
        if self.series.len() > DISTINCT {
            format!("{}: {name}", k + 1)
        } else {
            name
        }
    }

    fn add_legend(&self, svg: &mut String, entries: &[LegendEntry]) {
        for (k, entry) in entries.iter().enumerate() {
            let LegendEntry { left, row } = entry;
            let at = TOP + LEGEND_ROW * row;
            let _ = writeln!(
                svg,
                "<path class=\"s{}\" d=\"M{left:.1} {at:.1}h24\" stroke-width=\"2\" stroke-dasharray=\"{}\" fill=\"none\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                k % COLOURS,
                dashes(k),
                left + 29.0,
                at + 4.0,
                escaped(&self.legend_text(k))
            );
        }
    }
}

/// Position of a legend entry: its left edge, and its row.
struct LegendEntry {
    left: f64,
    row: f64,
}

/// The scales of both axes.
struct Scales {
    x: Scale,
    y: Scale,
}

/// A name as the legend shows it.
fn shortened(name: &str) -> String {
    const MAX_CHARACTERS: usize = 48;
    if name.chars().count() > MAX_CHARACTERS {
        name.chars()
            .take(MAX_CHARACTERS - 1)
            .chain(['\u{2026}'])
            .collect()
    } else {
        name.to_owned()
    }
}

/// Adds line number `k`.
fn add_line(
    svg: &mut String,
    k: usize,
    points: &[(f64, f64)],
    Scales { x, y }: &Scales,
    series: &Series,
) {
    let colour = k % COLOURS;
    let coordinates = points
        .iter()
        .map(|(px, py)| (x.coordinate(*px), y.coordinate(*py)));
    let mut path = String::new();
    for part in cut::within(&coordinates.collect::<Vec<_>>(), y.to) {
        for (n, (px, py)) in part.iter().enumerate() {
            let letter = if n == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{px:.1} {py:.1}");
        }
    }
    let _ = writeln!(
        svg,
        "<path class=\"s{colour}\" d=\"{path}\" fill=\"none\" stroke-width=\"1.6\" stroke-linejoin=\"round\" stroke-dasharray=\"{}\"/>",
        dashes(k)
    );
    // A single point makes no line.
    if series.marked || points.len() == 1 {
        for (px, py) in points.iter().filter(|(_, py)| y.coordinate(*py) >= y.to) {
            let _ = writeln!(
                svg,
                "<circle class=\"f{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.4\"><title>{}: {} at {}</title></circle>",
                x.coordinate(*px),
                y.coordinate(*py),
                escaped(&series.name),
                short(*py),
                x.text(*px)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plot::axis::Unit;

    fn plot(points: Vec<(f64, f64)>, y: Axis) -> Plot {
        let series = |name: &str| Series {
            name: name.to_owned(),
            points: points.clone(),
            band: Vec::new(),
            marked: false,
        };
        Plot {
            name: "loss",
            title: "Loss <b>".to_owned(),
            x: Axis::linear("steps", Unit::Number),
            y,
            series: vec![series("one"), series("two & three")],
        }
    }

    #[test]
    fn points_lie_within_the_frame() {
        let points: Vec<(f64, f64)> = (1..5000).map(|k| (k as f64, 10.0 / k as f64)).collect();
        for y in [Axis::log("loss"), Axis::linear("loss", Unit::Number)] {
            let svg = plot(points.clone(), y).inline();
            let path = svg.split("class=\"s0\" d=\"").nth(1).unwrap();
            let path = path.split('"').next().unwrap();
            let places: Vec<&str> = path.split(['M', 'L']).skip(1).collect();
            assert!((300..=MAX_POINTS).contains(&places.len()));
            for place in places {
                let (x, y) = place.split_once(' ').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{x}");
                assert!(
                    (TOP + LEGEND_ROW..=HEIGHT + LEGEND_ROW - BOTTOM).contains(&y),
                    "{y}"
                );
            }
            assert!(svg.contains("Loss &lt;b&gt;") && svg.contains("two &amp; three"));
        }
    }

    #[test]
    fn more_lines_than_can_be_told_apart_have_numbers() {
        for (count, numbered) in [(12, false), (13, true)] {
            let points: Vec<(f64, f64)> = (1..40).map(|k| (k as f64, 10.0 / k as f64)).collect();
            let one = plot(points, Axis::log("loss"));
            let series = vec![one.series[0].clone(); count];
            let svg = Plot { series, ..one }.inline();
            assert_eq!(svg.contains(&format!(">{count}: one</text>")), numbered);
            assert_eq!(svg.contains(&format!(">{count}</text>")), numbered);
        }
    }

    #[test]
    fn first_steps_do_not_squeeze_a_curve() {
        let points: Vec<(f64, f64)> = (0..100)
            .map(|k| {
                (
                    f64::from(k),
                    if k < 2 {
                        1e5
                    } else {
                        9.0 - f64::from(k) / 50.0
                    },
                )
            })
            .collect();
        let svg = plot(points.clone(), Axis::log("perplexity").may_cut()).inline();
        assert!(
            svg.contains("top cut off") && !svg.contains("100k"),
            "{svg}"
        );
        let svg = plot(points, Axis::log("perplexity")).inline();
        assert!(!svg.contains("cut off") && svg.contains("100k"), "{svg}");
    }

    #[test]
    fn no_points_and_invalid_numbers_still_make_a_plot() {
        for points in [
            vec![],
            vec![(1.0, 2.0)],
            vec![
                (0.0, 0.0),
                (1.0, f64::NAN),
                (2.0, f64::INFINITY),
                (3.0, -1.0),
            ],
            vec![(5.0, 7.0), (5.0, 7.0)],
            vec![(0.0, 400.0), (1.0, 1e294), (2.0, 1e298)],
            vec![(0.0, -f64::MAX), (1.0, f64::MAX), (f64::MAX, 5e-324)],
            (0..1000).map(|k| (k as f64, f64::MAX)).collect(),
        ] {
            for y in [Axis::log("y"), Axis::linear("y", Unit::Number).from_zero()] {
                let svg = plot(points.clone(), y).file();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }
}
