// The sum of the sampled softmax, one workgroup of 256 threads for each row.

// l_t of a row.
fn true_logit_of(row: u32) -> f32 {
    return target_logits[starts.target_logits + row] - log_q[starts.log_q + params.samples + params.first + row];
}

// l_k of a row whose logits begin at `base`.
fn logit_of(base: u32, k: u32) -> f32 {
    return f32(logits[base + k]) - log_q[starts.log_q + k];
}

// ln(exp(l_t) + sum of exp(l_k)) of a row with the target `wanted`, for all threads. The sum omits k where candidates[k] is the
// target. All threads must call it.
fn normaliser_of(row: u32, local: u32, wanted: u32, true_logit: f32) -> f32 {
    let base = starts.logits + row * params.samples;
    var largest = true_logit;
    var k = local;
    // Four at a time, so that their loads are in flight together. Afterwards the row is in the cache.
    for (; k + 768u < params.samples; k += 1024u) {
        #for n in 0..4
        let x{n} = logit_of(base, k + {256*n}u);
        let is_other{n} = candidates[starts.candidates + k + {256*n}u] != wanted;
        #end
        #for n in 0..4
        largest = select(largest, max(largest, x{n}), is_other{n});
        #end
    }
    for (; k < params.samples; k += 256u) {
        if (candidates[starts.candidates + k] != wanted) {
            largest = max(largest, logit_of(base, k));
        }
    }
    let maximum = largest_of_group(local, largest);

    var sum = 0.0;
    for (k = local; k < params.samples; k += 256u) {
        if (candidates[starts.candidates + k] != wanted) {
            sum += exp_of(logit_of(base, k) - maximum);
        }
    }
    let others = sum_of_group(local, sum);
    return maximum + ln_of(others + exp_of(true_logit - maximum));
}
