"""Writes early_stopping.json: when Keras' own EarlyStopping ends a run, and which epoch's weights it leaves.

    pip install keras==3.15.1 scipy jax && KERAS_BACKEND=numpy python3 make_early_stopping.py > early_stopping.json

Each case is a list of a monitored figure's values. A model that only remembers its epoch stands in for the network, so that what
on_train_end() restores is that epoch's number. Values have two digits and min_delta three, so that no comparison is a tie that
float32, in which Keras compares, would decide otherwise. None is NaN: Keras 3 keeps a first NaN as the best value for ever; a
training of xbench ends with an error there.
"""

import json
import random

from keras.callbacks import EarlyStopping


class Model:
    stop_training = False
    epoch = 0

    def get_weights(self):
        return self.epoch

    def set_weights(self, weights):
        self.epoch = weights


def run(case):
    model = Model()
    callback = EarlyStopping(
        monitor=case["monitor"],
        mode="min" if case["monitor"] == "val_loss" else "max",
        patience=case["patience"],
        min_delta=case["min_delta"],
        baseline=case["baseline"],
        start_from_epoch=case["start_from_epoch"],
        restore_best_weights=True,
    )
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(case["values"]):
        model.epoch = epoch + 1
        callback.on_epoch_end(epoch, {case["monitor"]: value})
        if model.stop_training:
            break
    ran = model.epoch
    callback.on_train_end()
    return {**case, "epochs": ran, "stopped": model.stop_training, "restored": model.epoch, "wait": callback.wait}


def case(values, monitor="val_loss", patience=2, min_delta=0.0, baseline=None, start_from_epoch=0):
    return {"values": values, "monitor": monitor, "patience": patience, "min_delta": min_delta, "baseline": baseline,
            "start_from_epoch": start_from_epoch}


def cases():
    yield case([3, 2, 2, 2.5, 1])  # a tie is no improvement
    yield case([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4], baseline=0.65)  # improves, but on the baseline only later: goes on
    yield case([0.9, 0.8, 0.95, 0.95, 0.5], baseline=0.7, patience=3)  # the wait of epochs above the baseline counts
    yield case([0.5, 0.6, 0.7, 0.8], baseline=0.4, patience=1)  # the first epoch is the best so far, and no improvement on it
    yield case([5, 4, 3, 9, 8, 7], start_from_epoch=3)  # what came before is forgotten
    yield case([5, 4, 3], start_from_epoch=9)  # none counts: the last weights stay
    yield case([1, 5, 4, 4, 4, 4], start_from_epoch=1)
    yield case([0.5, 0.6, 0.7, 0.65, 0.66], monitor="val_accuracy", baseline=0.9, patience=4)
    yield case([0.5, 0.6, 0.61, 0.62, 0.63, 0.64], monitor="val_accuracy", min_delta=0.025, patience=3)
    draw = random.Random(15)
    for _ in range(60):
        level, values = 1.0, []
        for _ in range(draw.randint(4, 14)):
            level = max(0.05, level + draw.choice([-0.15, -0.05, -0.02, 0, 0.03, 0.1]))
            values.append(round(level, 2))
        accuracy = draw.random() < 0.5
        yield case([round(1.2 - v, 2) for v in values] if accuracy else values,
                   "val_accuracy" if accuracy else "val_loss", draw.randint(1, 4), draw.choice([0.0, 0.0, 0.025, 0.055]),
                   draw.choice([None, None, 0.405, 0.605, 0.805]), draw.choice([0, 0, 0, 1, 3, 5]))


print("[")
print(",\n".join(json.dumps(run(one)) for one in cases()))
print("]")
