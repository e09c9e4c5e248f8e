//! The keys of the cells: which cell each layer has, and the size that a cell may need.

use crate::cell::{self, CELLS, Cell, CellKind, SizeKey, size_keys};
use crate::config::document::Document;
use crate::config::entry::Entry;
use crate::config::key::{Key, Resume};
use crate::config::named::{Named, NamedValue};
use crate::config::section::keys;
use crate::config::setting::{KeyValue, Setting};
use crate::error::Result;

impl Named for &'static dyn CellKind {
    fn all() -> Vec<NamedValue<Self>> {
        let all = CELLS.iter().map(|kind| NamedValue {
            name: kind.name(),
            value: *kind,
            doc: kind.doc(),
        });
        all.collect()
    }

    fn name(self) -> &'static str {
        CellKind::name(self)
    }
}

keys! {
    Vec<Cell>: "model" {
        /// Number of layers.
        layers: usize = Setting { default: 2, rule: 1..=100, resume: Resume::MustStay },
            known as ["num_layers", "n_layers", "nlayers", "depth", "n_layer", "num_hidden_layers"],
            of |cells| Some(cells.len());
    }
}

/// The entries of `cell` and `layers`.
pub fn cell_entries() -> Vec<Entry<Vec<Cell>>> {
    let cell = Key {
        section: "model",
        name: "cell",
        default: format!("{:?}", cell::DEFAULT.name()),
        doc: "Recurrent cell of the layers: one name, or a list with one for each layer."
            .to_owned(),
        allowed: <&dyn CellKind>::allowed(&()),
        values: <&dyn CellKind>::values(),
        resume: Resume::MustStay,
        known_as: &[
            "cell_type",
            "rnn_type",
            "rnn",
            "type",
            "model",
            "architecture",
            "arch",
        ],
    };
    let names = |cells: &Vec<Cell>| {
        let names = cells.iter().map(|cell| cell.kind().to_toml());
        Some(per_layer(names.collect::<Option<Vec<_>>>()?))
    };
    let mut all = vec![Entry::new(cell, names)];
    all.extend(entries());
    all
}

/// The entries of the sizes of cells. For a layer whose cell does not have the size, the value of the first layer
/// that has it is written; reading ignores it.
pub fn size_entries() -> Vec<Entry<Vec<Cell>>> {
    let entry = |of: &'static SizeKey| {
        let key = Key {
            section: "model",
            name: of.name(),
            default: of.default.to_owned(),
            doc: of.doc.to_owned(),
            allowed: usize::allowed(&(1..=SizeKey::MAX)),
            values: Vec::new(),
            resume: Resume::MustStay,
            known_as: &[],
        };
        Entry::new(key, |cells: &Vec<Cell>| {
            let first = cells.iter().find_map(|cell| cell.size_of(of))?;
            let sizes = cells.iter().map(|cell| cell.size_of(of).unwrap_or(first));
            Some(per_layer(sizes.map(|size| size.to_string()).collect()))
        })
    };
    size_keys().map(entry).collect()
}

/// Reads the cells of all layers. A size is read for the layers whose cell has one.
pub fn read(document: &Document) -> Result<Vec<Cell>> {
    let layers = layers(document)?;
    let mut cells = Vec::new();
    for field in document.field("model.cell").per_layer(layers)? {
        cells.push(Cell::new(<&dyn CellKind>::read(&field, &())?, 0));
    }
    for key in size_keys() {
        if cells.iter().all(|cell| cell.size_of(key).is_none()) {
            continue;
        }
        let field = document.field(key.key);
        for (cell, field) in cells.iter_mut().zip(field.per_layer(layers)?) {
            if cell.size_of(key).is_some() {
                *cell = Cell::new(cell.kind(), usize::read(&field, &(1..=SizeKey::MAX))?);
            }
        }
    }
    Ok(cells)
}

/// One value if all layers agree, else a list.
fn per_layer(values: Vec<String>) -> String {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        values.into_iter().next().unwrap_or_default()
    } else {
        format!("[{}]", values.join(", "))
    }
}
