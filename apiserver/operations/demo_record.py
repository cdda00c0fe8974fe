"""For `tidemark demo`: what a real training has besides metrics: code with uncommitted changes, packages, a configuration, a model, files."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from tidemark_events import Client, Run

CONFIGURATION = """\
# Digits: what the training reads
data:
  source: digits, 8 x 8, ten classes
  train: 1437
  test: 360
  augment: {augment}
model:
  layers: [64, 64, 10]
  activation: relu
  dropout: {dropout}
training:
  lr: {lr}
  batch_size: {batch_size}
  optimizer: {optimizer}
  schedule: {{warm_up: 200, then: cosine}}
"""
CHANGES = """\
diff --git a/train.py b/train.py
index 6f1c2ab..91d04ce 100644
--- a/train.py
+++ b/train.py
@@ -41,7 +41,8 @@ def main(options):
     model = Net(layers=options.layers)
-    optimizer = make_optimizer(model, "sgd", lr=0.1)
+    optimizer = make_optimizer(model, "{optimizer}", lr={lr})
+    schedule = WarmUp(200, then=Cosine(options.steps))
     for step, (digits, labels) in enumerate(batches(options.batch_size)):
         loss = cross_entropy(model(digits), labels)
"""
PACKAGES = "numpy==2.2.1\npillow==11.1.0\nscikit-learn==1.6.1\ntidemark-events\n"


def describe(client: Client, run: Run, params: dict[str, Any]) -> None:
    """Report the run's repository, changes, packages and configuration."""
    values = {
        "lr": params["lr"],
        "batch_size": params["batch_size"],
        "optimizer": params["optimizer"]["name"],
        "augment": "shift, noise" if params["optimizer"]["name"] == "adam" else "none",
        "dropout": 0.1 if params["batch_size"] > 32 else 0.0,
    }
    commit = hashlib.sha1(f"{values['dropout']}".encode(), usedforsecurity=False).hexdigest()
    script = {
        "repository": "https://git.example.org/digits.git",
        "branch": "main",
        "version_num": commit,
        "entry_point": "train.py",
        "working_dir": ".",
        "binary": "python3",
        "diff": CHANGES.format(**values),
        "requirements": {"pip": PACKAGES},
    }
    client.call("tasks.edit", task=run.id, script=script, force=True)
    configuration = [{"name": "digits.yaml", "type": "yaml", "value": CONFIGURATION.format(**values)}]
    client.call("tasks.edit_configuration", task=run.id, configuration=configuration, force=True)


def leave_files(client: Client, run: Run, step: int, confusion: list[list[int]], accuracy: float) -> None:
    """Upload the results of a successful training: a report, a table of predictions, weights, and register the model."""
    right = [row[digit] for digit, row in enumerate(confusion)]
    report = {
        "test accuracy": round(accuracy, 4),
        "recall": {str(digit): round(right[digit] / max(1, sum(row)), 3) for digit, row in enumerate(confusion)},
        "parameters": 4_810,
    }
    run.log_artifact("report", report)
    lines = [f"{is_},{guessed},{count}" for is_, row in enumerate(confusion) for guessed, count in enumerate(row) if count]
    run.log_artifact("predictions.csv", "digit,guessed,count\n" + "\n".join(lines) + "\n")
    weights = np.random.default_rng(len(lines)).normal(0, 0.2, 4_810).astype(np.float32).tobytes()
    uri = run.log_artifact("weights.bin", weights)
    model = client.call("models.create", name=f"{run.name}, network", uri=uri, framework="numpy", task=run.id, tags=["demo"])["id"]
    client.call("tasks.add_or_update_model", task=run.id, name="network", model=model, type="output", iteration=step)
