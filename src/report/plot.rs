//! Plots of lines as SVG, for pages and for files of their own.

use std::fmt::Write as _;

use super::escaped;

/// A line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// Rising in x. Those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Whether the points are marked.
    pub marked: bool,
}

/// How the numbers of an axis are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As they are, with k, M, G.
    Number,
    /// Seconds, as time.
    Seconds,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows.
    pub label: String,
    /// How.
    pub unit: Unit,
    /// Whether equal distances are equal ratios.
    pub is_log: bool,
    /// Whether it begins at zero.
    pub from_zero: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: &str, unit: Unit) -> Axis {
        Axis {
            label: label.to_owned(),
            unit,
            is_log: false,
            from_zero: false,
        }
    }

    /// The same from zero on.
    pub fn from_zero(self) -> Axis {
        Axis {
            from_zero: true,
            ..self
        }
    }

    /// A logarithmic axis.
    pub fn log(label: &str) -> Axis {
        Axis {
            is_log: true,
            ..Axis::linear(label, Unit::Number)
        }
    }
}

/// A plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// The name of its file, without ending.
    pub name: &'static str,
    /// Above it.
    pub title: String,
    /// Across.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// Colours that people with any colour vision tell apart (Okabe and Ito 2008), on white.
const LIGHT: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#4f94c4", "#555555",
];

/// The same on black.
const DARK: [&str; 7] = [
    "#56b4e9", "#ff8c42", "#2fc79c", "#e6a0c8", "#e8c84a", "#9ccbea", "#bbbbbb",
];

/// Dashes that tell lines apart on paper.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// Width, height and margins of a plot, in its own units, which are pixels at its natural size.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 30.0;
/// A row of the legend, which is between title and frame.
const ROW: f64 = 17.0;
/// The width of a letter, about.
const LETTER: f64 = 6.6;
const BOTTOM: f64 = 44.0;

/// The most points of a line: more are averaged, neighbours together.
const POINTS: usize = 400;

/// The rules of style that plots in a page share, in the light and in the dark.
pub fn style() -> String {
    let colours = |colours: [&str; 7]| -> String {
        let colour = |(k, colour): (usize, &&str)| format!("--c{k}:{colour};");
        colours.iter().enumerate().map(colour).collect()
    };
    let mut style = format!(
        ":root{{--ink:#1b1f24;--faint:#d9dde2;--paper:#ffffff;{}}}\n\
         @media (prefers-color-scheme:dark){{:root{{--ink:#e6e8eb;--faint:#3a4048;--paper:#15181c;{}}}}}\n\
         @media print{{:root{{--ink:#000000;--faint:#cccccc;--paper:#ffffff;{}}}}}\n",
        colours(LIGHT),
        colours(DARK),
        colours(LIGHT)
    );
    for k in 0..LIGHT.len() {
        let _ = writeln!(
            style,
            ".s{k}{{stroke:var(--c{k})}}.f{k}{{fill:var(--c{k})}}"
        );
    }
    style
}

impl Plot {
    /// Whether there is anything to see.
    pub fn is_empty(&self) -> bool {
        self.series
            .iter()
            .all(|series| self.visible(series).is_empty())
    }

    /// The points that can be drawn, in the units of the data.
    fn visible(&self, series: &Series) -> Vec<(f64, f64)> {
        let drawn = |value: f64, axis: &Axis| value.is_finite() && (!axis.is_log || value > 0.0);
        let points = series.points.iter().copied();
        points
            .filter(|(x, y)| drawn(*x, &self.x) && drawn(*y, &self.y))
            .collect()
    }

    /// An `<svg>` for a page, in the page's colours.
    pub fn inline(&self) -> String {
        self.svg("", false)
    }

    /// A file of its own, on white, in fixed colours and sizes: converters make a PNG of it.
    pub fn file(&self) -> String {
        let mut style = String::from("<style>");
        for (k, colour) in LIGHT.iter().enumerate() {
            let _ = write!(style, ".s{k}{{stroke:{colour}}}.f{k}{{fill:{colour}}}");
        }
        style += "</style>";
        let svg = self.svg(&style, true);
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{svg}")
    }

    fn svg(&self, style: &str, alone: bool) -> String {
        let (ink, faint) = match alone {
            true => ("#1b1f24", "#d9dde2"),
            false => ("var(--ink)", "var(--faint)"),
        };
        let lines: Vec<Vec<(f64, f64)>> = self
            .series
            .iter()
            .map(|series| thinned(&self.visible(series)))
            .collect();
        let range = |of: fn(&(f64, f64)) -> f64| {
            let values = lines.iter().flatten().map(of);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let places = self.legend_places();
        let rows = places.last().map_or(0.0, |(_, row)| row + 1.0);
        let (top, height) = (TOP + ROW * rows, HEIGHT + ROW * rows);
        let x = Scale::new(&self.x, range(|(x, _)| *x), (LEFT, WIDTH - RIGHT));
        let y = Scale::new(&self.y, range(|(_, y)| *y), (height - BOTTOM, top));
        let size = match alone {
            true => format!(" width=\"{}\" height=\"{}\"", 2.0 * WIDTH, 2.0 * height),
            false => String::new(),
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\"{size} viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{ink}\"><title>{}</title>{style}\n",
            escaped(&self.title)
        );
        if alone {
            let _ = writeln!(
                svg,
                "<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>"
            );
        }
        self.frame(&mut svg, (&x, &y), faint);
        for (k, (series, points)) in self.series.iter().zip(&lines).enumerate() {
            line(&mut svg, k, points, (&x, &y), series);
        }
        self.legend(&mut svg, &places);
        svg + "</svg>\n"
    }

    /// Title, grid, numbers and names of the axes.
    fn frame(&self, svg: &mut String, (x, y): (&Scale, &Scale), faint: &str) {
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"17\" font-weight=\"600\">{}</text>",
            escaped(&self.title)
        );
        let (bottom, top, right) = (y.from, y.to, WIDTH - RIGHT);
        for tick in x.ticks() {
            let (at, text) = (x.place(tick), x.text(tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"{faint}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 15.0
            );
        }
        for tick in y.ticks() {
            let (at, text) = (y.place(tick), y.text(tick));
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"{faint}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        let scale = if self.y.is_log { ", log scale" } else { "" };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}{scale}</text>",
            (LEFT + right) / 2.0,
            bottom + BOTTOM - 8.0,
            escaped(&self.x.label),
            (top + bottom) / 2.0,
            escaped(&self.y.label)
        );
    }

    /// Where the names of the lines are, if there are several: from the left, and in which row.
    fn legend_places(&self) -> Vec<(f64, f64)> {
        if self.series.len() < 2 {
            return Vec::new();
        }
        let (mut left, mut row) = (LEFT, 0.0);
        let mut places = Vec::new();
        for series in &self.series {
            let width = 46.0 + LETTER * shown(&series.name).chars().count() as f64;
            if left > LEFT && left + width > WIDTH {
                (left, row) = (LEFT, row + 1.0);
            }
            places.push((left, row));
            left += width;
        }
        places
    }

    fn legend(&self, svg: &mut String, places: &[(f64, f64)]) {
        for (k, (series, (left, row))) in self.series.iter().zip(places).enumerate() {
            let at = TOP + ROW * row;
            let _ = writeln!(
                svg,
                "<path class=\"s{}\" d=\"M{left:.1} {at:.1}h24\" stroke-width=\"2\" stroke-dasharray=\"{}\" fill=\"none\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                k % LIGHT.len(),
                dashes(k),
                left + 29.0,
                at + 4.0,
                escaped(&shown(&series.name))
            );
        }
    }
}

/// A name in the legend.
fn shown(name: &str) -> String {
    const MOST: usize = 48;
    match name.chars().count() > MOST {
        true => name.chars().take(MOST - 1).chain(['\u{2026}']).collect(),
        false => name.to_owned(),
    }
}

/// Dashes change where the colours come again, and within them, so that they tell lines apart without colours.
fn dashes(k: usize) -> &'static str {
    DASHES[(k + k / LIGHT.len()) % DASHES.len()]
}

fn line(
    svg: &mut String,
    k: usize,
    points: &[(f64, f64)],
    (x, y): (&Scale, &Scale),
    series: &Series,
) {
    let colour = k % LIGHT.len();
    let mut path = String::new();
    for (n, (px, py)) in points.iter().enumerate() {
        let letter = if n == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{:.1} {:.1}", x.place(*px), y.place(*py));
    }
    let _ = writeln!(
        svg,
        "<path class=\"s{colour}\" d=\"{path}\" fill=\"none\" stroke-width=\"1.6\" stroke-linejoin=\"round\" stroke-dasharray=\"{}\"/>",
        dashes(k)
    );
    // A line of one point is none.
    if series.marked || points.len() == 1 {
        for (px, py) in points {
            let _ = writeln!(
                svg,
                "<circle class=\"f{colour}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.4\"><title>{}: {} at {}</title></circle>",
                x.place(*px),
                y.place(*py),
                escaped(&series.name),
                short(*py),
                x.text(*px)
            );
        }
    }
}

/// At most [`POINTS`] points, each the mean of neighbours.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let bin = points.len().div_ceil(POINTS);
    let mean = |part: &[(f64, f64)]| {
        let (x, y) = part
            .iter()
            .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (x / part.len() as f64, y / part.len() as f64)
    };
    points.chunks(bin).map(mean).collect()
}

/// From numbers to places.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_log: bool,
    unit: Unit,
}

impl Scale {
    fn new(axis: &Axis, (low, high): (f64, f64), (from, to): (f64, f64)) -> Scale {
        // Of nothing there is still a frame.
        let (mut low, mut high) = match low <= high {
            true => (low, high),
            false if axis.is_log => (1.0, 10.0),
            false => (0.0, 1.0),
        };
        if axis.from_zero {
            low = low.min(0.0);
        }
        if axis.is_log {
            let room = (high / low).powf(0.04).max(1.02);
            (low, high) = (low / room, high * room);
        } else {
            let room = match high > low {
                true => 0.03 * (high - low),
                false => high.abs().max(1.0) * 0.1,
            };
            high += room;
            if !axis.from_zero {
                low -= room;
            }
        }
        Scale {
            low,
            high,
            from,
            to,
            is_log: axis.is_log,
            unit: axis.unit,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let part = match self.is_log {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + part * (self.to - self.from)
    }

    fn holds(&self, value: &f64) -> bool {
        (self.low..=self.high).contains(value)
    }

    /// Round numbers, some four to eight.
    fn ticks(&self) -> Vec<f64> {
        if self.is_log {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            for digits in [
                &[1.0][..],
                &[1.0, 3.0],
                &[1.0, 2.0, 5.0],
                &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            ] {
                let of = |decade: i32| digits.iter().map(move |d| d * 10f64.powi(decade));
                let ticks: Vec<f64> = decades.clone().flat_map(of).collect();
                let ticks: Vec<f64> = ticks.into_iter().filter(|tick| self.holds(tick)).collect();
                if ticks.len() >= 4 {
                    let every = ticks.len().div_ceil(8);
                    return ticks.into_iter().step_by(every).collect();
                }
            }
        }
        let steps: &[f64] = match self.unit {
            Unit::Number => &[1.0, 2.0, 5.0, 10.0],
            Unit::Seconds => &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0],
        };
        // Seconds go by sixties from a minute on.
        let (span, mut unit) = (self.high - self.low, 1.0);
        let base = match self.unit {
            Unit::Seconds if span > 120.0 => 60.0,
            _ => 10.0,
        };
        while span / unit > 6.0 * base {
            unit *= base;
        }
        while span / unit < 6.0 && base == 10.0 {
            unit /= base;
        }
        let steps = steps.iter().map(|step| step * unit);
        let step = steps.into_iter().find(|step| span / step <= 7.0);
        let step = step.unwrap_or(span / 5.0);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }

    fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Seconds => {
                let span = self.high - self.low;
                match value {
                    0.0 => "0".to_owned(),
                    value if span < 120.0 => format!("{} s", short(value)),
                    value if span < 7200.0 => format!("{} min", short(value / 60.0)),
                    value => format!("{} h", short(value / 3600.0)),
                }
            }
            Unit::Number => short(value),
        }
    }
}

/// With three digits, and k, M, G.
fn short(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        v if v >= 999.5e6 => (value / 1e9, "G"),
        v if v >= 999.5e3 => (value / 1e6, "M"),
        v if v >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 || v == 0.0 => 2,
        _ => return format!("{scaled:.2e}{letter}"),
    };
    let text = format!("{scaled:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>, y: Axis) -> Plot {
        let series = |name: &str| Series {
            name: name.to_owned(),
            points: points.clone(),
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
    fn points_are_drawn_within_the_frame() {
        let points: Vec<(f64, f64)> = (1..5000).map(|k| (k as f64, 10.0 / k as f64)).collect();
        for y in [Axis::log("loss"), Axis::linear("loss", Unit::Number)] {
            let svg = plot(points.clone(), y).inline();
            let path = svg.split("class=\"s0\" d=\"").nth(1).unwrap();
            let path = path.split('"').next().unwrap();
            let places: Vec<&str> = path.split(['M', 'L']).skip(1).collect();
            assert!((300..=POINTS).contains(&places.len()));
            for place in places {
                let (x, y) = place.split_once(' ').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{x}");
                assert!((TOP + ROW..=HEIGHT + ROW - BOTTOM).contains(&y), "{y}");
            }
            assert!(svg.contains("Loss &lt;b&gt;") && svg.contains("two &amp; three"));
        }
    }

    #[test]
    fn nothing_and_odd_numbers_still_make_a_plot() {
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
        ] {
            for y in [Axis::log("y"), Axis::linear("y", Unit::Number).from_zero()] {
                let svg = plot(points.clone(), y).file();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        for (range, unit, is_log) in [
            ((0.0, 100.0), Unit::Number, false),
            ((0.0, 1.7e6), Unit::Number, false),
            ((0.0, 477.0), Unit::Number, false),
            ((0.0, 61_000.0), Unit::Number, false),
            ((1.2, 1.9), Unit::Number, true),
            ((1.5, 700.0), Unit::Number, true),
            ((0.0, 61.0), Unit::Seconds, false),
            ((0.0, 600.0), Unit::Seconds, false),
            ((0.0, 90_000.0), Unit::Seconds, false),
        ] {
            let axis = Axis {
                is_log,
                ..Axis::linear("", unit)
            };
            let scale = Scale::new(&axis, range, (0.0, 1.0));
            let ticks = scale.ticks();
            let texts: Vec<String> = ticks.iter().map(|tick| scale.text(*tick)).collect();
            assert!((3..=8).contains(&ticks.len()), "{range:?}: {texts:?}");
            assert!(
                is_log || texts.iter().all(|text| text.len() <= 7),
                "{texts:?}"
            );
            let mut distinct = texts.clone();
            distinct.dedup();
            assert_eq!(distinct, texts);
        }
    }

    #[test]
    fn numbers_are_short() {
        let found = [0.0, 0.5, 1.0, 12.34, 999.0, 12_000.0, 3.4e6, 2e9, 1e-4].map(short);
        let expected = [
            "0", "0.5", "1", "12.3", "999", "12k", "3.4M", "2G", "1.00e-4",
        ];
        assert_eq!(found, expected);
    }
}
