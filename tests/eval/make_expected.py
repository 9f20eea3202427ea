#!/usr/bin/env python3
"""Writes expected.json: what scikit-learn says about a few sets of predictions. Run by hand; needs scikit-learn.

    python3 make_expected.py > expected.json

metrics_test.cpp and curves_test.cpp compare eval/ with it."""
import json
import warnings

import numpy as np
from sklearn import metrics as sk

warnings.filterwarnings("ignore")


def scores(rows):
    return {name: {"precision": row["precision"], "recall": row["recall"], "f1": row["f1-score"],
                   "support": int(row["support"])} for name, row in rows.items()}


def areas(truth, probabilities, names):
    result = {}
    for c, name in enumerate(names):
        t, p = truth[:, c], probabilities[:, c]
        one = {"roc_auc": None if t.min() == t.max() else sk.roc_auc_score(t, p),
               "average_precision": None if t.max() == 0 else sk.average_precision_score(t, p)}
        result[name] = one
    return result


def single_label(rng, n, names, weights, missing=()):
    k = len(names)
    labels = rng.choice(k, size=n, p=weights)
    logits = rng.normal(size=(n, k)) + 1.2 * np.eye(k)[labels]
    logits[:, list(missing)] = -20  # never predicted
    p = np.exp(logits)
    p = np.round(p / p.sum(1, keepdims=True), 3).astype(np.float32)  # 3 digits, so that scores are tied
    predicted = p.argmax(1)
    common = dict(labels=range(k), target_names=names, zero_division=0)
    report = sk.classification_report(labels, predicted, output_dict=True, **common)
    return {"classes": names, "labels": labels.tolist(), "probabilities": [float(str(x)) for x in p.ravel()],
            "accuracy": sk.accuracy_score(labels, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
            "per_class": scores({n: report[n] for n in names}), "macro": scores({"x": report["macro avg"]})["x"],
            "weighted": scores({"x": report["weighted avg"]})["x"],
            "confusion": sk.confusion_matrix(labels, predicted, labels=range(k)).tolist(),
            "report": sk.classification_report(labels, predicted, **common),
            "areas": areas(np.eye(k)[labels], p, names)}


def multi_label(rng, n, names, rates):
    k = len(names)
    targets = (rng.uniform(size=(n, k)) < rates).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=(n, k)) + 1.5 * targets - 0.5)))
    p = np.round(p, 2).astype(np.float32)
    predicted = (p >= 0.5).astype(int)
    common = dict(target_names=names, zero_division=0)
    report = sk.classification_report(targets, predicted, output_dict=True, **common)
    mixed = [c for c in range(k) if 0 < targets[:, c].sum() < n]
    balanced = float(np.mean([sk.balanced_accuracy_score(targets[:, c], predicted[:, c]) for c in mixed]))
    average = lambda name: scores({"x": report[name]})["x"]
    return {"classes": names, "targets": targets.ravel().tolist(), "probabilities": [float(str(x)) for x in p.ravel()],
            "accuracy": sk.accuracy_score(targets, predicted), "balanced_accuracy": balanced,
            "per_class": scores({n: report[n] for n in names}), "macro": average("macro avg"),
            "weighted": average("weighted avg"), "micro": average("micro avg"), "samples": average("samples avg"),
            "report": sk.classification_report(targets, predicted, **common), "areas": areas(targets, p, names)}


rng = np.random.default_rng(3)
cases = {
    "two_classes": single_label(rng, 80, ["normal", "pneumonia"], [0.27, 0.73]),
    "five_classes": single_label(rng, 90, ["a", "b", "a class with a long name", "d", "e"], [0.4, 0.3, 0.2, 0.1, 0.0], missing=[1]),
    "four_labels": multi_label(rng, 70, ["Edema", "Mass", "Hernia", "Nodule"], np.array([0.3, 0.1, 0.0, 0.6])),
}
print(json.dumps(cases, indent=None, separators=(",", ":")).replace('"},"', '"},\n"'))
