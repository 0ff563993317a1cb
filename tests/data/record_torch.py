"""Record what the optimizers of PyTorch do; needs torch: python tests/data/record_torch.py.

Every rule sees the same 16 gradients from the same start; the points after each step go to
torch_trajectories.json beside this file.
"""

import json
import re
from pathlib import Path

import torch

START = [1.0, -2.0, 0.5]
GRADIENTS = [[((7 * k + 3 * i) % 11 - 5) / (1 + 9 * i) for i in range(3)] for k in range(16)]
RULES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.03, "momentum": 0.83}),
    ("SGD", {"lr": 0.03, "momentum": 0.83, "nesterov": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.2, "eps": 0.05}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.04, "alpha": 0.7, "eps": 0.01}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": [0.6, 0.85], "eps": 0.02}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "betas": [0.6, 0.85], "eps": 0.02, "weight_decay": 0.4}),
]


def trajectory(name, options, max_norm=None):
    """Return the points after each step."""
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer, points = getattr(torch.optim, name)([x], **options), []
    for g in GRADIENTS:
        x.grad = torch.tensor(g, dtype=torch.float64)
        if max_norm:
            torch.nn.utils.clip_grad_norm_([x], max_norm)
        optimizer.step()
        points.append(x.tolist())
    return points


if __name__ == "__main__":
    record = {
        "torch": torch.__version__.partition("+")[0],
        "start": START,
        "gradients": "((7 k + 3 i) mod 11 - 5) / (1 + 9 i) for step k = 0 ... 15, i = 0, 1, 2",
        "rules": [
            {"name": name, "options": options, "points": trajectory(name, options)}
            for name, options in RULES
        ],
        "clipped SGD": {"lr": 0.1, "max_norm": 2.0, "points": trajectory("SGD", {"lr": 0.1}, 2.0)},
    }
    path = Path(__file__).with_name("torch_trajectories.json")
    text = re.sub(r"\s+(?=[-\d]|\])", " ", json.dumps(record, indent=1))  # a point on a line
    path.write_text(text + "\n")
