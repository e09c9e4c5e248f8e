//! The tokenizer of a vocabulary of subwords, and its ids.

use std::sync::Arc;

use crate::corpus::bpe::Bpe;

/// A tokenizer, and the map from its ids to those of the vocabulary, which are in descending order of frequency.
#[derive(Clone, Debug)]
pub(in crate::corpus) struct Subwords {
    tokenizer: Arc<Bpe>,
    /// The id in the vocabulary of each id of the tokenizer.
    ids: Vec<u32>,
}

impl Subwords {
    /// A tokenizer whose token `token` has the id `id_of(token)` in the vocabulary. `Err` with the token without an id.
    pub(super) fn new(
        tokenizer: Arc<Bpe>,
        id_of: impl Fn(&str) -> Option<u32>,
    ) -> Result<Subwords, String> {
        let mut ids = Vec::new();
        for (own, token) in tokenizer.tokens() {
            let own = own as usize;
            if ids.len() <= own {
                ids.resize(own + 1, 0);
            }
            ids[own] = id_of(&token).ok_or(token)?;
        }
        Ok(Subwords { tokenizer, ids })
    }

    pub(super) fn tokenizer(&self) -> &Arc<Bpe> {
        &self.tokenizer
    }

    /// Appends the ids of the tokens of a segment.
    pub(in crate::corpus) fn encode(&self, segment: &str, ids: &mut Vec<u32>) {
        let start = ids.len();
        self.tokenizer.encode(segment, ids);
        for id in &mut ids[start..] {
            *id = self.ids.get(*id as usize).copied().unwrap_or(0);
        }
    }
}
