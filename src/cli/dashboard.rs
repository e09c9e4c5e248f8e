//! `wlstm train --tui`: a dashboard of the run on the terminal.
//!
//! It draws on standard error, from a thread of its own, and gives the terminal back as it was whatever ends the run: the end of
//! training, an error, a panic, `q`, a signal. A second `q` or signal, a second later, ends the program at once.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::{Constraint, Direction, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{
    Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph, RenderDirection, Sparkline,
};
use ratatui::{Frame, Terminal};

use super::messages;
use super::messages::note;
use super::signals::ECHO;
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::numbers::{bytes, duration, grouped, rate};
use crate::train::watch::{Event, Stop};

/// Between two pictures.
const FRAME: Duration = Duration::from_millis(100);

/// The most points of a curve; then neighbours are joined.
const POINTS: usize = 2000;

/// Whether the terminal is the dashboard's: only then there is something to give back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back; does nothing if it was not taken.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nothing is left to be done about what fails here.
        let _ = disable_raw_mode();
        let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
    }
}

/// The dashboard of a run.
pub(super) struct Dashboard {
    events: Option<Sender<Event>>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Dashboard {
    /// Checks that there is one to take.
    ///
    /// # Errors
    ///
    /// Usage, if there is no terminal.
    pub fn check_terminal() -> Result<()> {
        if io::stderr().is_terminal() && io::stdin().is_terminal() {
            return Ok(());
        }
        Err(Error::usage("`--tui` needs a terminal").help(
            "leave it out: progress then goes to standard error as lines, one in ten seconds",
        ))
    }

    /// Takes the terminal. `q` and signals ask the run to stop.
    ///
    /// # Errors
    ///
    /// As [`Dashboard::check_terminal`]; and if the terminal cannot be used.
    pub fn open(title: String, config: &Config, stop: &Stop) -> Result<Dashboard> {
        Dashboard::check_terminal()?;
        let refused = |error: io::Error| {
            Error::new(Kind::Other, "the terminal cannot be used for the dashboard")
                .because(error)
                .help("leave --tui out")
        };
        let signals = Signals::new().map_err(refused)?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        enable_raw_mode().map_err(refused)?;
        TAKEN.store(true, Ordering::SeqCst);
        let opened = execute!(io::stderr(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())));
        let terminal = opened.inspect_err(|_| give_back()).map_err(refused)?;
        messages::hold();
        let (sender, events) = channel();
        let screen = Screen {
            state: State::new(title, config),
            terminal,
            events,
            stop: stop.clone(),
            signals,
            asked: None,
        };
        let thread = std::thread::Builder::new()
            .name("dashboard".to_owned())
            .spawn(move || screen.run())
            .inspect_err(|_| give_back())
            .map_err(refused)?;
        Ok(Dashboard {
            events: Some(sender),
            thread: Some(thread),
        })
    }

    /// Shows an event.
    pub fn show(&self, event: Event) {
        if let Some(events) = &self.events {
            // A dashboard that has failed shows nothing more.
            let _ = events.send(event);
        }
    }
}

impl Drop for Dashboard {
    /// Gives the terminal back, and says there what was said meanwhile.
    fn drop(&mut self) {
        drop(self.events.take());
        let said = self.thread.take().map(JoinHandle::join);
        give_back();
        messages::release();
        for line in said.and_then(std::result::Result::ok).unwrap_or_default() {
            note(false, &line);
        }
    }
}

/// SIGINT and SIGTERM, as numbers; a terminal that goes and SIGQUIT count as SIGTERM.
#[cfg(unix)]
struct Signals(signal_hook::iterator::Signals);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT]).map(Signals)
    }

    fn pending(&mut self) -> Vec<usize> {
        let number = |signal| match signal {
            signal_hook::consts::SIGINT => signal as usize,
            _ => Stop::TERMINATE,
        };
        self.0.pending().map(number).collect()
    }
}

/// Elsewhere keys alone.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    fn pending(&mut self) -> Vec<usize> {
        Vec::new()
    }
}

/// The number of SIGINT.
const INTERRUPT: usize = 2;

/// What the thread of the dashboard has.
struct Screen {
    state: State,
    terminal: Terminal<CrosstermBackend<Stderr>>,
    events: Receiver<Event>,
    stop: Stop,
    signals: Signals,
    /// When it was first asked to stop.
    asked: Option<Instant>,
}

impl Screen {
    /// Draws until the run has ended; gives what was said meanwhile.
    fn run(mut self) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let is_over = self.hear();
            let new = messages::take_held();
            said.extend(new.iter().cloned());
            self.state.lines.extend(new);
            if is_over {
                said.append(&mut messages::take_held());
                return said;
            }
            self.state.stopping = self.asked.is_some();
            // What cannot be drawn now may be drawn the next time.
            let state = &self.state;
            let _ = self.terminal.draw(|frame| state.draw(frame));
            for signal in self.signals.pending() {
                self.ask(signal);
            }
            if event::poll(FRAME).unwrap_or(false) {
                self.read_keys();
            }
        }
    }

    /// Takes the events that have come; says whether these were the last.
    fn hear(&mut self) -> bool {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.state.take(event),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
    }

    fn read_keys(&mut self) {
        while let Ok(true) = event::poll(Duration::ZERO) {
            let Ok(Input::Key(key)) = event::read() else {
                continue;
            };
            let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
            let stops = match key.code {
                KeyCode::Char('q') | KeyCode::Esc => true,
                KeyCode::Char('c') => is_control,
                _ => false,
            };
            if stops && key.kind == KeyEventKind::Press {
                self.ask(INTERRUPT);
            }
        }
    }

    /// Asks the run to save and stop; once more, later than [`ECHO`], ends the program.
    fn ask(&mut self, signal: usize) {
        match self.asked {
            Some(first) if first.elapsed() > ECHO => {
                give_back();
                std::process::exit(Kind::Other.exit_code().into());
            }
            Some(_) => {}
            None => {
                self.asked = Some(Instant::now());
                self.stop.0.store(signal, Ordering::SeqCst);
            }
        }
    }
}

/// A curve that stays short.
#[derive(Clone, Debug, Default)]
struct Curve {
    points: Vec<(f64, f64)>,
    /// Steps of a point.
    width: usize,
    /// Those of the last point.
    held: Vec<(f64, f64)>,
}

impl Curve {
    fn push(&mut self, point: (f64, f64)) {
        self.width = self.width.max(1);
        self.held.push(point);
        if self.held.len() < self.width {
            return;
        }
        self.points.push(mean(&self.held));
        self.held.clear();
        if self.points.len() == POINTS {
            self.points = self.points.chunks(2).map(mean).collect();
            self.width *= 2;
        }
    }
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let sum = points
        .iter()
        .fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
    (sum.0 / points.len() as f64, sum.1 / points.len() as f64)
}

/// What is shown.
struct State {
    title: String,
    unit: &'static str,
    epochs: u64,
    devices: String,
    memory: u64,
    parameters: u64,
    step: u64,
    epoch: u64,
    loss: f64,
    words_per_second: f64,
    learning_rate: f64,
    done: f64,
    /// Seconds to go, and when that was said.
    left: (f64, Instant),
    losses: Curve,
    speeds: VecDeque<u64>,
    /// The last validation and the best.
    perplexities: Option<(f64, f64)>,
    doing: String,
    lines: Vec<String>,
    stopping: bool,
}

impl State {
    fn new(title: String, config: &Config) -> State {
        State {
            title,
            unit: config.data.tokens.unit(),
            epochs: config.train.epochs,
            devices: String::new(),
            memory: 0,
            parameters: 0,
            step: 0,
            epoch: 0,
            loss: f64::NAN,
            words_per_second: f64::NAN,
            learning_rate: f64::NAN,
            done: 0.0,
            left: (f64::INFINITY, Instant::now()),
            losses: Curve::default(),
            speeds: VecDeque::new(),
            perplexities: None,
            doing: "preparing".to_owned(),
            lines: Vec::new(),
            stopping: false,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Start {
                devices,
                parameters,
                resumed,
                memory,
                ..
            } => {
                self.devices = devices.join(" + ");
                self.memory = memory.iter().sum();
                self.parameters = parameters;
                if resumed > 0 {
                    self.lines.push(format!("going on after step {resumed}"));
                }
            }
            Event::Step {
                step,
                epoch,
                loss,
                words_per_second,
                learning_rate,
                done,
                left,
            } => {
                (self.step, self.epoch, self.loss) = (step, epoch, loss);
                (self.words_per_second, self.learning_rate) = (words_per_second, learning_rate);
                (self.done, self.left) = (done, (left, Instant::now()));
                self.doing = "training".to_owned();
                if loss > 0.0 {
                    // On a scale of ratios.
                    self.losses.push((step as f64, loss.ln()));
                }
                if self.speeds.len() == POINTS {
                    self.speeds.pop_front();
                }
                self.speeds.push_back(words_per_second as u64);
            }
            Event::Validating { done, total } => self.doing = format!("validating {done}/{total}"),
            Event::Valid {
                step, perplexity, ..
            } => {
                let best = self.perplexities.map_or(perplexity, |(_, best)| best.min(perplexity));
                self.perplexities = Some((perplexity, best));
                self.lines
                    .push(format!("step {step}  validation perplexity {perplexity:.2}"));
            }
            Event::Checkpoint { path } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                self.lines.push(format!("saved {name}"));
            }
            Event::Skipped { step, loss_scale } => self.lines.push(format!(
                "step {step} was skipped: gradients too large for f16 at a loss scale of {loss_scale}"
            )),
        }
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let is_wide = area.width >= 72;
        let facts = self.facts();
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
                format!(" {} ", self.title),
                Style::new().add_modifier(Modifier::BOLD),
            ),
            Span::raw(format!(" {}", self.devices)),
        ]);
        frame.render_widget(title, rows[0]);
        let (direction, parts) = match is_wide {
            true => (
                Direction::Horizontal,
                [Constraint::Min(20), Constraint::Length(38)],
            ),
            false => (
                Direction::Vertical,
                [
                    Constraint::Min(6),
                    Constraint::Length(facts.len() as u16 + 4),
                ],
            ),
        };
        let middle = Layout::new(direction, parts).split(rows[1]);
        self.draw_losses(frame, middle[0]);
        self.draw_facts(frame, middle[1], facts);
        let left = duration(self.left.0 - self.left.1.elapsed().as_secs_f64());
        let gauge = Gauge::default()
            .ratio(self.done.clamp(0.0, 1.0))
            .gauge_style(Style::new().fg(Color::Cyan))
            .label(format!("{:.0} %  ETA {left}", 100.0 * self.done));
        frame.render_widget(gauge, rows[2]);
        self.draw_lines(frame, rows[3]);
        let help = match self.stopping {
            true => " saving, then stopping; q again: ends at once, unsaved",
            false => " q: save and stop",
        };
        frame.render_widget(Line::from(help), rows[4]);
    }

    fn draw_losses(&self, frame: &mut Frame<'_>, area: Rect) {
        let points = &self.losses.points;
        let values = points.iter().map(|(_, y)| *y);
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
            (low.min(y), high.max(y))
        });
        let (low, high) = match low < high {
            true => (low, high),
            false => (0.0, 1.0),
        };
        let end = points.last().map_or(1.0, |(x, _)| *x).max(1.0);
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
                    .bounds([0.0, end])
                    .labels(["0".to_owned(), grouped(end as u64)]),
            )
            .y_axis(Axis::default().bounds([low, high]).labels([
                text(low),
                text((low + high) / 2.0),
                text(high),
            ]));
        frame.render_widget(chart, area);
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let of = match self.epochs {
            0 => String::new(),
            epochs => format!(" of {epochs}"),
        };
        let number = |value: f64, digits: usize| match value.is_finite() {
            true => format!("{value:.digits$}"),
            false => "-".to_owned(),
        };
        let perplexity = match self.perplexities {
            Some((last, best)) => format!("{last:.2}, best {best:.2}"),
            None => "-".to_owned(),
        };
        let speed = match self.words_per_second.is_finite() {
            true => format!("{} {}", rate(self.words_per_second), self.unit),
            false => "-".to_owned(),
        };
        vec![
            ("step", grouped(self.step)),
            ("epoch", format!("{}{of}", self.epoch)),
            ("loss", number(self.loss, 4)),
            ("perplexity", perplexity),
            ("rate", number(self.learning_rate, 6)),
            ("speed", speed),
            ("parameters", grouped(self.parameters)),
            ("memory", bytes(self.memory)),
            ("now", self.doing.clone()),
        ]
    }

    fn draw_facts(&self, frame: &mut Frame<'_>, area: Rect, facts: Vec<(&'static str, String)>) {
        let block = Block::bordered().title(" run ");
        let inside = block.inner(area);
        frame.render_widget(block, area);
        let parts = Layout::vertical([Constraint::Length(facts.len() as u16), Constraint::Min(0)])
            .split(inside);
        let lines = facts.into_iter().map(|(name, value)| {
            let name = Span::styled(format!("{name:<11}"), Style::new().fg(Color::DarkGray));
            Line::from(vec![name, Span::raw(value)])
        });
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), parts[0]);
        let width = usize::from(parts[1].width);
        let speeds: Vec<u64> = self.speeds.iter().rev().take(width).copied().collect();
        let speeds = Sparkline::default()
            .data(&speeds)
            .direction(RenderDirection::RightToLeft)
            .style(Style::new().fg(Color::Green));
        frame.render_widget(speeds, parts[1]);
    }

    fn draw_lines(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = Block::bordered().title(" log ");
        let room = usize::from(block.inner(area).height);
        let from = self.lines.len().saturating_sub(room);
        let lines: Vec<Line<'_>> = self.lines[from..]
            .iter()
            .map(|line| Line::from(line.as_str()))
            .collect();
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;

    fn state() -> State {
        let toml = "[model]\ncell = \"lstmp\"\n[data]\ntrain = [\"x\"]\n[train]\nepochs = 3\n";
        let config = Config::parse(toml, "x", std::path::Path::new("/"), &[]).unwrap();
        let mut state = State::new("shakespeare".to_owned(), &config);
        state.take(Event::Start {
            devices: vec!["cpu (2 threads)".to_owned()],
            parameters: 1_200_706,
            resumed: 0,
            epoch_steps: 500,
            memory: vec![70_900_000],
        });
        for step in 1..=5000 {
            state.take(Event::Step {
                step,
                epoch: 1 + step / 500,
                loss: 5.0 / (step as f64).powf(0.2),
                words_per_second: 30_000.0 + step as f64,
                learning_rate: 0.2,
                done: step as f64 / 10_000.0,
                left: 61.0,
            });
        }
        state.take(Event::Valid {
            step: 5000,
            epoch: 10,
            seconds: 9.0,
            perplexity: 5.25,
            unknown: 0.0,
            unlearned: false,
            best: true,
        });
        state
    }

    fn drawn(width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let state = state();
        terminal.draw(|frame| state.draw(frame)).unwrap();
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
            ] {
                assert!(text.contains(part), "{part} at {width}x{height}:\n{text}");
            }
        }
    }

    #[test]
    fn the_smallest_terminals_do_no_harm() {
        for (width, height) in [(1, 1), (5, 3), (20, 10), (300, 2)] {
            drawn(width, height);
        }
    }

    #[test]
    fn curves_stay_short_and_keep_their_ends() {
        let mut curve = Curve::default();
        for k in 0..100_000 {
            curve.push((f64::from(k), 1.0));
        }
        assert!((POINTS / 2..=POINTS).contains(&curve.points.len()));
        assert!(curve.points[0].0 < 200.0 && curve.points.last().unwrap().0 > 99_800.0);
        assert!(curve.points.is_sorted_by(|x, y| x.0 < y.0));
    }
}
