#!/usr/bin/env python3
"""Prints what TensorBoard's own reader finds in the event files of a run, as JSON.

    python3 tests/interchange/board.py RUN/tensorboard

Needs tensorboard.
"""
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

board = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0, "histograms": 0})
board.Reload()
tags = board.Tags()
found = {"scalars": {}, "texts": {}, "histograms": {}}
for tag in tags["scalars"]:
    found["scalars"][tag] = [[event.step, event.value] for event in board.Scalars(tag)]
for tag in tags["tensors"]:
    texts = [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in board.Tensors(tag)]
    found["texts"][tag] = [[step, text.item().decode()] for step, text in texts]
for tag in tags["histograms"]:
    found["histograms"][tag] = [
        [event.step, value.num, value.min, value.max, value.sum, list(value.bucket_limit), list(value.bucket)]
        for event in board.Histograms(tag)
        for value in [event.histogram_value]
    ]
json.dump(found, sys.stdout)
