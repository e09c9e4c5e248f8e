//! From a configuration to graphs: the language models of the paper. Nothing here knows a device, a corpus or a file.
//!
//! | module | contents |
//! |---|---|
//! | [`parameters`] | the table of parameters: name, shape, initialiser, group, layout |
//! | [`language_model`] | the graphs of training, evaluation and generation |
//! | [`division`] | how the batch of a step is divided |
//! | [`tables`] | tables on the host: which tensors, and how many of their rows a device keeps |
//! | [`limits`] | the sizes that a model, its batch and its vocabulary may have |
//! | [`cost`] | parameters, FLOPs and bytes, without building anything |
//!
//! # What is computed
//!
//! The models and the recipe are those of O. Kuchaiev and B. Ginsburg, *Factorization tricks for LSTM networks* (2017, arXiv
//! 1703.10722); where the paper and its code (`okuchaiev/f-lm`) differ, those of the code. Letters: `B` streams of a batch,
//! `T` steps of an unroll, `V` words of the vocabulary, `E` embedding size, `H` memory cells, `P` projection size, `I` input
//! size of a layer (`E` for the first, then `P`), `r` factor size, `G` groups, `S` sampled candidates. Row vectors; a weight
//! `W [in, out]` multiplies from the right.
//!
//! Embedding `[V, E]` → dropout → layer 1 → dropout → ... → layer L → dropout → softmax weights `[V, P]` and bias `[V]`.
//! Dropout is inverted, with a new mask for every position, never on the recurrent `h` or `c`. With `model.residual`, the
//! output of a layer with `I = P` is `x + h'`; the recurrence carries `h'`. Embedding and softmax are separate tables, or one
//! with `model.tied`. Back-propagation is truncated: `h` and `c` are carried from one unroll to the next, gradients are not.
//!
//! ## Cells
//!
//! Every cell maps `x [B, I]`, `h [B, P]`, `c [B, H]` to new `h`, `c`. [`cell`](mod@crate::cell) states what all cells compute
//! in the same way, and each of its types how a cell computes its gates and how many parameters it has. Cells, factors and
//! groups may differ by layer.
//!
//! ## Initialisation
//!
//! Matrices: Glorot uniform, `U(±sqrt(6 / (fan_in + fan_out)))` (Glorot and Bengio 2010), of one group's matrix for a grouped
//! cell. Biases and states: zero. Embedding and softmax weights: `U(±sqrt(3 / rows))`, with the rows of one of eight shards,
//! as in the paper's code. With `train.init_range` above 0: `U(±init_range)` for all, including biases.
//!
//! ## Softmax
//!
//! *Full*: cross-entropy over the vocabulary; always for evaluation. The vocabulary is divided into tiles with a running
//! log-sum-exp, so that the logits `[T*B, V]` are never in memory at once.
//!
//! *Sampled* (Jean et al. 2015): `S` distinct candidates for each step, and with the recipe `paper` for each
//! device, shared by all positions, drawn with `P(k) = ln((k+2)/(k+1)) / ln(V+1)`, repeats rejected. After
//! `tries` draws, the expected count of word `k` is `Q(k) = -expm1(tries * log1p(-P(k)))`, and logits are
//! `h·w_k + b_k - ln Q(k)`, for the target too. A candidate that equals the target of a position is masked
//! there. The loss is the cross-entropy over the target and the candidates; it is not a perplexity. Word ids
//! must be in order of falling frequency.
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
//! Each module of [`optimizer`](crate::kernels::optimizer) states the rule of an optimizer. A table's rows that a step does
//! not use keep their values and their optimizer state. The gradients of a row that occurs several times are added first, then
//! the row is updated once. In mixed precision a dynamic loss scale multiplies the loss; clipping and update divide it out.
//!
//! With `train.ema` the moving average `a = ema * a + (1 - ema) * w` of the recurrent parameters is updated after every step,
//! without debiasing; evaluation and generation use it in place of them.
//!
//! ## Batches
//!
//! A batch has `B` streams (its rows) of `T` time steps, one unroll. Each stream reads on where it stopped in the batch before,
//! with the state that it had there.
//!
//! *Sentences*: each line is a sentence. One of `n` words gives `n + 1` pairs of input and target, `[<S> w1
//! .. wn]` and `[w1 .. wn <S>]`. All streams take their sentences from one queue: row 0 takes as many as its
//! `T` pairs need, then row 1, and so on; the rest of a row's last sentence waits for the next batch of that
//! row. Training has no padding, and the state is not reset between sentences. Blank lines are skipped. With
//! `data.shuffle` the order of the files, and of the lines in each file, changes with every epoch; without
//! it, files come in the order of their names and lines in that of the file.
//!
//! *Contiguous*: the text is one sequence of tokens with `<eos>` after each line. It is cut into `B` columns
//! of equal length, one per stream. The state is zero at the start of every epoch. The last unroll of an
//! epoch is as short as what is left of the columns, and means are over the tokens that it has.
//!
//! ## Perplexity
//!
//! `exp(total negative log-likelihood / targets)`, over every target of the text exactly once, with the full
//! softmax and carried states; padding is not counted. The text is read as `B` streams that start from zero
//! states, so the perplexity of a text with few words per stream is higher than with `train.batch = 1`.
//! Targets that are not in the vocabulary count as `<UNK>`.

pub mod cost;
pub mod division;
pub mod language_model;
pub mod limits;
pub mod parameters;
pub mod tables;
