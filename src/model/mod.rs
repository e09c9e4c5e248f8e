//! Builds the graphs of the language models of the paper from a configuration. This module uses no device, corpus or
//! file.
//!
//! | module | contents |
//! |---|---|
//! | [`parameters`] | the table of parameters: name, shape, initialiser, group, layout |
//! | [`language_model`] | the graphs of training, evaluation and generation |
//! | [`division`] | how the batch of a step is divided |
//! | [`tables`] | tables on the host: which tensors, and how many of their rows a device keeps |
//! | [`clusters`] | the clusters of an adaptive softmax |
//! | [`limits`] | the sizes that a model, its batch and its vocabulary may have |
//! | [`cost`] | parameters, FLOPs and bytes, without building anything |
//!
//! # What is computed
//!
//! The models and the recipe are those of O. Kuchaiev and B. Ginsburg, *Factorization tricks for LSTM networks* (2017, arXiv
//! 1703.10722); where the paper and its code (`okuchaiev/f-lm`) differ, this crate follows the code. Letters: `B` streams of
//! a batch, `T` steps of an unroll, `V` words of the vocabulary, `E` embedding size, `H` memory cells, `P` projection size,
//! `I` input size of a layer (`E` for the first, then `P`), `r` factor size, `G` groups, `S` sampled candidates. Activations
//! are row vectors; a weight `W [in, out]` multiplies them from the right.
//!
//! Embedding `[V, E]` → dropout → layer 1 → dropout → ... → layer L → dropout → softmax weights `[V, P]` and bias `[V]`.
//! Dropout is inverted, with a new mask for every position. It is never applied to the recurrent `h` or `c`. With
//! `model.residual`, the output of a layer with `I = P` is `x + h'`; the recurrence carries `h'`. Embedding and softmax
//! weights are separate tables, or one shared table with `model.tied`. Back-propagation is truncated: `h` and `c` are
//! carried from one unroll to the next, gradients are not.
//!
//! ## Cells
//!
//! Every cell maps `x [B, I]`, `h [B, P]`, `c [B, H]` to new `h`, `c`. [`cell`](mod@crate::cell) states what all cells compute
//! in the same way, and each of its types how a cell computes its gates and how many parameters it has. Cells, factors and
//! groups may differ by layer.
//!
//! ## Initialisation
//!
//! Matrices: Glorot uniform, `U(±sqrt(6 / (fan_in + fan_out)))` (Glorot and Bengio 2010); for a grouped cell, the
//! fans are those of the matrix of one group. Biases and states: zero. Embedding and weights of words in a softmax:
//! `U(±sqrt(3 / rows))`, where `rows` is the number of rows of one of eight shards, as in the paper's code. If
//! `train.init_range` is above 0: `U(±init_range)` for all parameters, including biases.
//!
//! ## Softmax
//!
//! *Full*: cross-entropy over the vocabulary. Evaluation of a sampled softmax uses it too. The vocabulary is divided into tiles
//! with a running log-sum-exp, so that the logits `[T*B, V]` are never in memory at once.
//!
//! *Adaptive* (Grave et al. 2016): a softmax over the most frequent words and one entry for each cluster of the others, and for
//! each cluster a softmax over its words with narrower weights, computed only at the positions whose targets it contains:
//! see [`clusters`]. Training and evaluation compute the same distribution. With `softmax.dropout`, training drops elements of
//! the projections of the clusters, as fairseq does.
//!
//! *Sampled* (Jean et al. 2015): `S` distinct candidates for each step, and with the recipe `paper` for each
//! device, shared by all positions, drawn with `P(k) = ln((k+2)/(k+1)) / ln(V+1)`, rejecting repetitions. After
//! `tries` draws, the expected count of word `k` is `Q(k) = -expm1(tries * log1p(-P(k)))`, and logits are
//! `h·w_k + b_k - ln Q(k)`, for the target too. A candidate that equals the target of a position is masked there.
//! The loss is the cross-entropy over the target and the candidates; it is not a perplexity. Word ids must be in
//! order of descending frequency.
//!
//! ## Gradients and optimizers
//!
//! `l` is the loss of one token.
//!
//! | parameters | recipe `paper` | recipe `plain` |
//! |---|---|---|
//! | recurrent | gradient of `T * mean(l)`, clipped by their joint norm to `clip_norm` on each device, then the mean over devices | gradient of `mean(l)` over all tokens of all devices, clipped by one norm over all parameters |
//! | embedding | `B` times the gradient of `T * mean(l)`, not clipped; the sum over devices | the same |
//! | softmax weights and bias, a tied table | gradient of `T * mean(l)`, not clipped; the sum over devices | the same |
//!
//! Each module of [`optimizer`](crate::kernels::optimizer) states the rule of an optimizer; `train.table_optimizer` is that of
//! the tables. Rows of a table that a step
//! does not use keep their values and their optimizer state. If a row occurs several times in a step, its gradients are
//! added and the row is updated once. In mixed precision the loss is multiplied by a dynamic loss scale; clipping and
//! update divide by it.
//!
//! With `train.ema` the moving average `a = ema * a + (1 - ema) * w` of the recurrent parameters is updated after every step,
//! without bias correction. Evaluation and generation use `a` instead of `w` once the initial parameters have a weight
//! `ema^steps` of at most 0.1 in it; see [`ParameterSet`](parameter_set::ParameterSet).
//!
//! ## Batches
//!
//! A batch has `B` streams (its rows) of `T` time steps, one unroll. Each stream continues where it stopped in the previous
//! batch, with the state that it had there.
//!
//! *Sentences*: each line is a sentence. A sentence of `n` words gives `n + 1` pairs of input and target, `[<S> w1 .. wn]` and
//! `[w1 .. wn <S>]`. All streams take their sentences from one queue: row 0 takes as many as its `T` pairs need, then row 1,
//! and so on; the rest of a row's last sentence waits for the next batch of that row. Training has no padding, and the state is
//! not reset between sentences. Blank lines are skipped. With `data.shuffle` the order of the files, and of the lines in each
//! file, changes with every epoch; without it, files are read in the order of their names, and lines in their order in the
//! file.
//!
//! *Contiguous*: the text is one sequence of tokens with `<eos>` after each line. It is cut into `B` columns of
//! equal length, one per stream. The state is zero at the start of every epoch. The last unroll of an epoch may be
//! shorter than `T`; means are then taken over the tokens that it has.
//!
//! ## Perplexity
//!
//! `exp(total negative log-likelihood / targets)`, over every target of the text exactly once, with the full
//! softmax and carried states; padding is not counted. The text is read as `B` streams that start from zero
//! states, so the perplexity of a text with few words per stream is higher than with `train.batch = 1`.
//! Targets that are not in the vocabulary count as `<UNK>`.
//!
//! A validation can cover part of the text ([`Batches::spread`](crate::corpus::Batches::spread)): `n` targets, sampled evenly
//! from the whole text. *Sentences*: in the order of the text, a sentence is chosen if the sentences chosen before it have
//! fewer than `n` times the fraction of targets seen so far. *Contiguous*: evenly spaced windows of about 256 targets, or
//! shorter so that there are at least 32. The state is zero before a window, and the 64 tokens before it are inputs without
//! targets.
//!
//! The baseline is the perplexity of the unigram model ([`Unigram`](crate::corpus::Unigram)) on the same targets: a word with
//! the count `c` has the probability `(c + 1) / (N + V)`, where `N` is the sum of all counts.

pub mod clusters;
pub mod cost;
pub mod division;
pub mod language_model;
pub mod limits;
pub mod parameter_set;
pub mod parameters;
pub mod tables;
