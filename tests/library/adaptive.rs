//! The adaptive softmax as a graph operation, in `f64`: losses and gradients for batches whose targets are spread over head and
//! clusters in every way, against plain loops and finite differences.

use std::sync::Arc;

use wlstm::config::Adaptive;
use wlstm::device::{CpuExecutor, Data, Executor, Inputs, PlanId};
use wlstm::graph::Graph;
use wlstm::graph::memory::Limits;
use wlstm::graph::operations::{
    AdaptiveOptions, AdaptiveParameters, Mask, Streams, Tail, adaptive_softmax, embedding, mean,
};
use wlstm::graph::plan::Plan;
use wlstm::kernels::embedding::rows::row_index;
use wlstm::kernels::optimizer::control;
use wlstm::kernels::softmax::IGNORE;
use wlstm::model::clusters::{Clusters, Sections};
use wlstm::random::{Purpose, Stream, philox4x32};
use wlstm::tensor::names;

const VOCABULARY: usize = 12;
const DEPTH: usize = 5;
/// Enough for several sections of each cluster.
const ROWS: usize = 210;

fn clusters() -> Clusters {
    let adaptive = Adaptive {
        cutoffs: vec![3, 6],
        divide: 2,
        dropout: 0.0,
    };
    Clusters::new(&adaptive, VOCABULARY, DEPTH)
}

/// Drops elements of the projections in the second third of the streams of a batch.
const MASK: Mask = Mask {
    rate: 0.3,
    number: 3,
    streams: Streams {
        first: 7,
        count: 7,
        all: 21,
    },
};

const RANDOM: [u32; 4] = [3, 0, 7, 9];

/// What the mask of cluster `k` multiplies element `j` of the projection at a position with.
fn factor(mask: Option<Mask>, k: usize, width: usize, position: usize, j: usize) -> f64 {
    let Some(Mask { rate, .. }) = mask else {
        return 1.0;
    };
    let (time, stream) = (position / 7, position % 7);
    let number = ((time * 21 + 7 + stream) * width + j) as u32;
    let purpose = 16 + 3 + k as u32;
    let [low, high, ..] = RANDOM;
    let bits = philox4x32([number / 4, purpose, low, high], [RANDOM[2], RANDOM[3]]);
    if f64::from(bits[number as usize % 4]) < rate * 2_f64.powi(32) {
        0.0
    } else {
        f64::from((1.0 / (1.0 - rate)) as f32)
    }
}

/// The losses and all gradients for rows of a table, which replaces the output of the layers.
fn plan(clusters: &Clusters, sections: &Sections, tile: usize, mask: Option<Mask>) -> Plan {
    let mut graph = Graph::new("adaptive", &Limits::HOST);
    graph.keep_gradients();
    graph.builder.publish("nll");
    let table = graph.parameter("h", ROWS, DEPTH);
    let ids = graph.builder.index_input("inputs", [ROWS]);
    let h = embedding(&mut graph, table, ids, 1.0);
    let tail = |(k, tail): (usize, &wlstm::model::clusters::Cluster)| {
        let (words, width) = (tail.ids.len(), tail.width);
        Tail {
            projection: graph.parameter(&names::tail_projection(k), DEPTH, width),
            weight: graph.parameter(&names::tail_weight(k), words, width),
            sections: sections[k].clone(),
        }
    };
    let tails = clusters.tails.iter().enumerate().map(tail).collect();
    let parameters = AdaptiveParameters {
        head: graph.parameter(names::HEAD_WEIGHT, clusters.entries(), DEPTH),
        bias: graph.parameter(names::HEAD_BIAS, clusters.entries(), 1),
        tails,
    };
    let options = AdaptiveOptions {
        tile,
        divisor: Some(ROWS as f32),
        mask,
        whole_products: false,
    };
    let nll = adaptive_softmax(&mut graph, h, &parameters, options);
    mean(&mut graph, nll);
    graph.backward();
    graph.finish()
}

fn inputs(clusters: &Clusters, sections: &Sections, targets: &[u32], mask: Option<Mask>) -> Inputs {
    let ids: Vec<u32> = (0..ROWS as u32).collect();
    let divided = clusters.divide(targets, sections);
    let mut inputs = vec![
        (names::ROWS_EMBEDDING, Data::Index(row_index(&ids))),
        ("inputs", Data::Index(ids)),
        (names::TARGETS_HEAD, Data::Index(divided.head)),
        (names::CLUSTER_SOURCES, Data::Index(divided.sources)),
        (names::CLUSTER_POSITIONS, Data::Index(divided.positions)),
        (names::CLUSTER_TARGETS, Data::Index(divided.targets)),
        ("control", Data::Real(vec![1.0; control::LEN])),
    ];
    inputs.extend(mask.map(|_| ("random", Data::Index(RANDOM.to_vec()))));
    inputs
}

/// The outputs of a run.
fn run(device: &mut CpuExecutor<f64>, plan: PlanId, inputs: &Inputs) -> (f64, Vec<f64>) {
    device.run(plan, inputs).unwrap();
    let outputs = device.fetch().unwrap();
    let output = |name: &str| {
        let found = outputs.iter().find(|(output, _)| output == name);
        found.unwrap().1.clone()
    };
    (output("loss")[0], output("nll"))
}

/// The cross-entropy of class `target` of some logits.
fn cross_entropy(logits: &[f64], target: usize) -> f64 {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    sum.ln() - logits[target]
}

/// The loss of the target at a position with the output `h`, by definition.
fn loss(
    device: &CpuExecutor<f64>,
    clusters: &Clusters,
    mask: Option<Mask>,
    (position, h): (usize, &[f64]),
    target: usize,
) -> f64 {
    let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
    let bias = device.tensor(names::HEAD_BIAS);
    let head = device.tensor(names::HEAD_WEIGHT).chunks(DEPTH).zip(bias);
    let head: Vec<f64> = head.map(|(row, bias)| dot(row, h) + bias).collect();
    let mut tails = clusters.tails.iter().enumerate();
    let Some((k, tail)) = tails.find(|(_, tail)| tail.ids.contains(&target)) else {
        return cross_entropy(&head, target);
    };
    let projection = device.tensor(&names::tail_projection(k));
    let column = |j: usize| -> f64 {
        let rows = h.iter().zip(projection.chunks(tail.width));
        let sum: f64 = rows.map(|(h, row)| h * row[j]).sum();
        sum * factor(mask, k, tail.width, position, j)
    };
    let x: Vec<f64> = (0..tail.width).map(column).collect();
    let weight = device.tensor(&names::tail_weight(k));
    let logits: Vec<f64> = weight.chunks(tail.width).map(|row| dot(row, &x)).collect();
    cross_entropy(&head, clusters.head + k) + cross_entropy(&logits, target - tail.ids.start)
}

/// Targets in all parts, in one part alone, and padding alone.
fn spreads() -> Vec<(&'static str, Vec<u32>)> {
    let mut dice = Stream::new(7, Purpose::Initialise, 1);
    let mut below = |from: u32, to: u32| from + (dice.uniform() * f64::from(to - from)) as u32;
    let mut of = |from, to| (0..ROWS).map(|_| below(from, to)).collect::<Vec<u32>>();
    let mut mixed = of(0, 12);
    mixed[5] = IGNORE;
    mixed[ROWS - 1] = IGNORE;
    vec![
        ("all parts, padding", mixed),
        ("the head", of(0, 3)),
        ("the first cluster", of(3, 6)),
        ("the last cluster", of(6, 12)),
        ("padding", vec![IGNORE; ROWS]),
    ]
}

#[test]
fn losses_and_gradients_are_those_of_the_definition() {
    let clusters = clusters();
    let sections = clusters.sections(ROWS);
    assert!(sections.iter().all(|sections| sections.len() > 3));
    let cases = [(1 << 20, None), (3 * ROWS, None), (1 << 20, Some(MASK))];
    for (tile, mask) in cases {
        let mut device = CpuExecutor::<f64>::new();
        let id = device
            .load(Arc::new(plan(&clusters, &sections, tile, mask)))
            .unwrap();
        let tails = (0..2).flat_map(|k| [names::tail_projection(k), names::tail_weight(k)]);
        let own = ["h", names::HEAD_WEIGHT, names::HEAD_BIAS].map(str::to_owned);
        let all: Vec<String> = own.into_iter().chain(tails).collect();
        let mut dice = Stream::new(3, Purpose::Initialise, 1);
        for name in &all {
            let values = device.tensor_mut(name);
            values.fill_with(|| 2.0 * dice.uniform() - 1.0);
        }
        for (what, targets) in spreads() {
            let inputs = inputs(&clusters, &sections, &targets, mask);
            let (mean, nll) = run(&mut device, id, &inputs);
            let h = device.tensor("h").chunks(DEPTH).enumerate();
            for ((h, target), nll) in h.zip(&targets).zip(&nll) {
                let want = match *target {
                    IGNORE => 0.0,
                    target => loss(&device, &clusters, mask, h, target as usize),
                };
                assert!((nll - want).abs() < 1e-12, "{what}: {nll}, not {want}");
            }
            assert!((mean - nll.iter().sum::<f64>() / ROWS as f64).abs() < 1e-12);
            for name in &all {
                let gradient = device.tensor(&names::gradient(name)).to_vec();
                let step = (gradient.len() / 20).max(1);
                for k in (0..gradient.len()).step_by(step) {
                    let mut moved = |by: f64| {
                        device.tensor_mut(name)[k] += by;
                        run(&mut device, id, &inputs).0
                    };
                    let slope = (moved(1e-5) - moved(-2e-5)) / 2e-5;
                    moved(1e-5);
                    let found = gradient[k];
                    assert!(
                        (slope - found).abs() < 1e-8,
                        "{what}: {name}[{k}]: {found}, not {slope}"
                    );
                }
            }
        }
    }
}

/// The division of targets into sections does not change the result, up to rounding.
#[test]
fn sections_do_not_change_the_result() {
    let clusters = clusters();
    let mut results = Vec::new();
    let divisions: [Sections; 3] = [
        clusters.sections(ROWS),
        clusters.fixed_sections(ROWS),
        vec![vec![ROWS]; 2],
    ];
    for sections in divisions {
        let mut device = CpuExecutor::<f32>::new();
        let id = device.load(Arc::new(plan(&clusters, &sections, 1 << 20, None)));
        let id = id.unwrap();
        let mut dice = Stream::new(3, Purpose::Initialise, 1);
        let tails = (0..2).flat_map(|k| [names::tail_projection(k), names::tail_weight(k)]);
        let own = ["h", names::HEAD_WEIGHT, names::HEAD_BIAS].map(str::to_owned);
        for name in own.into_iter().chain(tails) {
            let values = device.tensor_mut(&name);
            values.fill_with(|| 2.0 * dice.uniform() as f32 - 1.0);
        }
        let (_, targets) = spreads().remove(3);
        let inputs = inputs(&clusters, &sections, &targets, None);
        device.run(id, &inputs).unwrap();
        device.fetch().unwrap();
        let gradient = device.tensor(&names::gradient(&names::tail_weight(1)));
        results.push(gradient.to_vec());
    }
    for other in &results[1..] {
        for (x, y) in results[0].iter().zip(other) {
            assert!((x - y).abs() < 1e-6, "{x} {y}");
        }
    }
}
