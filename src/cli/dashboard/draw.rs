//! One frame of the dashboard.

use ratatui::Frame;
use ratatui::layout::{Constraint, Direction, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Axis, Block, Borders, Chart, Dataset, Gauge, GraphType, Paragraph, RenderDirection, Sparkline,
};

use super::state::State;
use crate::numbers::{bytes, decimal, grouped, rate};

/// The minimum width in columns at which the panels are shown side by side.
const WIDE: u16 = 72;

/// Draws: title; losses and numbers; progress; log; keys.
pub(super) fn draw(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    let numbers = numbers(state);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(6),
        Constraint::Length(1),
        Constraint::Length((area.height / 4).clamp(3, 12)),
        Constraint::Length(1),
    ])
    .split(area);
    let title = Line::from(vec![
        Span::styled(
            format!(" {} ", state.title),
            Style::new().add_modifier(Modifier::BOLD),
        ),
        Span::raw(format!(" {}", state.devices)),
    ]);
    frame.render_widget(title, rows[0]);
    let (direction, parts) = if area.width >= WIDE {
        let columns = [Constraint::Min(20), Constraint::Length(38)];
        (Direction::Horizontal, columns)
    } else {
        let height = numbers.len() as u16 + 4;
        (
            Direction::Vertical,
            [Constraint::Min(6), Constraint::Length(height)],
        )
    };
    let middle = Layout::new(direction, parts).split(rows[1]);
    draw_losses(state, frame, middle[0]);
    draw_numbers(state, frame, middle[1], numbers);
    let gauge = Gauge::default()
        .ratio(state.done.clamp(0.0, 1.0))
        .gauge_style(Style::new().fg(Color::Cyan))
        .label(format!("{:.0} %  ETA {}", 100.0 * state.done, state.eta()));
    frame.render_widget(gauge, rows[2]);
    draw_log(state, frame, rows[3]);
    let keys = if state.is_stopping {
        " saving, then stopping; q again: stop at once without saving"
    } else {
        " q: save and stop"
    };
    frame.render_widget(Line::from(keys), rows[4]);
}

fn draw_losses(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let points = state.losses.points();
    let values = points.iter().map(|(_, y)| *y);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    // The last points may not be averaged yet.
    let end = points.last().map_or(1.0, |(x, _)| *x);
    let end = end.max(state.step as f64).max(1.0);
    let text = |y: f64| format!("{:.2}", y.exp());
    let dataset = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(Style::new().fg(Color::Cyan))
        .data(points);
    let chart = Chart::new(vec![dataset])
        .block(Block::bordered().title(" training loss, log scale "))
        .x_axis(
            Axis::default()
                .title("steps")
                .bounds([0.0, end])
                .labels([0.0, end / 2.0, end].map(|step| grouped(step as u64))),
        )
        .y_axis(Axis::default().title("loss").bounds([low, high]).labels([
            text(low),
            text((low + high) / 2.0),
            text(high),
        ]));
    frame.render_widget(chart, area);
}

/// The names and values of the panel of numbers.
fn numbers(state: &State) -> Vec<(&'static str, String)> {
    let of = match state.epochs {
        0 => String::new(),
        epochs => format!(" of {epochs}"),
    };
    let known = |value: f64, text: String| {
        if value.is_finite() {
            text
        } else {
            "-".to_owned()
        }
    };
    let perplexity = match state.perplexities {
        Some((last, best)) => format!("{}, best {}", decimal(last), decimal(best)),
        None => "-".to_owned(),
    };
    let speed = format!("{} {}", rate(state.words_per_second), state.unit);
    vec![
        ("elapsed", state.elapsed()),
        ("step", grouped(state.step)),
        ("epoch", format!("{}{of}", state.epoch)),
        ("loss", known(state.loss, format!("{:.4}", state.loss))),
        ("perplexity", perplexity),
        (
            "rate",
            known(state.learning_rate, format!("{:.6}", state.learning_rate)),
        ),
        ("speed", known(state.words_per_second, speed)),
        ("parameters", grouped(state.parameters)),
        ("memory", bytes(state.memory)),
        ("now", state.activity.clone()),
    ]
}

fn draw_numbers(
    state: &State,
    frame: &mut Frame<'_>,
    area: Rect,
    numbers: Vec<(&'static str, String)>,
) {
    let block = Block::bordered().title(" run ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let parts = Layout::vertical([Constraint::Length(numbers.len() as u16), Constraint::Min(0)])
        .split(inside);
    let lines = numbers.into_iter().map(|(name, value)| {
        let name = Span::styled(format!("{name:<11}"), Style::new().fg(Color::DarkGray));
        Line::from(vec![name, Span::raw(value)])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), parts[0]);
    let width = usize::from(parts[1].width);
    let speeds: Vec<u64> = state.speeds.iter().rev().take(width).copied().collect();
    let most = speeds.iter().copied().max().unwrap_or(0).max(1);
    let title = format!(
        " {} of the last steps, 0 to {} ",
        state.unit,
        rate(most as f64)
    );
    let speeds = Sparkline::default()
        .block(Block::new().borders(Borders::TOP).title(title))
        .data(&speeds)
        .max(most)
        .direction(RenderDirection::RightToLeft)
        .style(Style::new().fg(Color::Green));
    frame.render_widget(speeds, parts[1]);
}

fn draw_log(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::bordered().title(" log ");
    let room = usize::from(block.inner(area).height);
    let from = state.log.len().saturating_sub(room);
    let lines: Vec<Line<'_>> = state.log[from..]
        .iter()
        .map(|line| Line::from(line.as_str()))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::config::Config;
    use crate::metrics::{Line as Metric, Step};
    use crate::train::watch::Event;

    fn state(earlier: Vec<Metric>, resumed: u64) -> State {
        let toml = "[model]\ncell = \"lstmp\"\n[data]\ntrain = [\"x\"]\n[train]\nepochs = 3\n";
        let config = Config::parse(toml, "x", std::path::Path::new("/"), &[]).unwrap();
        let mut state = State::new("shakespeare".to_owned(), &config, earlier);
        state.update(Event::Start {
            devices: vec!["cpu (2 threads)".to_owned()],
            parameters: 1_200_706,
            resumed,
            epoch_steps: 500,
            memory: vec![70_900_000],
        });
        for step in resumed + 1..=5000 {
            state.update(Event::Step {
                step,
                epoch: 1 + step / 500,
                loss: 5.0 / (step as f64).powf(0.2),
                words_per_second: 30_000.0 + step as f64,
                learning_rate: 0.2,
                done: step as f64 / 10_000.0,
                left: 61.0,
            });
        }
        state.update(Event::Valid {
            step: 5000,
            epoch: 10,
            seconds: 9.0,
            perplexity: 5.25,
            bits_per_byte: None,
            unigram: None,
            on_all: None,
            took: 0.5,
            unknown: 0.0,
            unlearned: false,
            best: true,
        });
        state
    }

    fn drawn(width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let state = state(Vec::new(), 0);
        terminal.draw(|frame| draw(&state, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = buffer.content.chunks(usize::from(width));
        let row = |cells: &[ratatui::buffer::Cell]| -> String {
            cells.iter().map(ratatui::buffer::Cell::symbol).collect()
        };
        rows.map(row).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn all_is_there_on_narrow_and_on_wide_terminals() {
        for (width, height) in [(60, 40), (80, 24), (200, 50)] {
            let text = drawn(width, height);
            for part in [
                "shakespeare",
                "training loss",
                "5,000",
                "5.25, best 5.25",
                "35.0 k words/s",
                "67.6 MiB",
                "50 %  ETA 1:0",
                "validation perplexity 5.25",
                "q: save and stop",
                "steps",
                "2,500",
                "loss",
                "elapsed    0:0",
            ] {
                assert!(text.contains(part), "{part} at {width}x{height}:\n{text}");
            }
        }
    }

    #[test]
    fn a_resumed_run_shows_its_earlier_curve_and_time() {
        let step = |step: u64| {
            Metric::Step(Step {
                step,
                epoch: 1,
                loss: 4.0,
                words_per_second: 1e4,
                learning_rate: 0.2,
                grad_norm: 1.0,
                seconds: step as f64 / 10.0,
                words: 10 * step,
            })
        };
        // The steps after the checkpoint are trained again.
        let state = state((1..=4200).map(step).collect(), 4000);
        let points = state.losses.points();
        assert!(points[0].0 < 10.0 && points.is_sorted_by(|x, y| x.0 < y.0));
        assert!(state.elapsed().starts_with("6:4"), "{}", state.elapsed());
    }

    #[test]
    fn the_smallest_terminals_do_no_harm() {
        for (width, height) in [(1, 1), (5, 3), (20, 10), (300, 2)] {
            drawn(width, height);
        }
    }
}
