"""TORCH_PYTHON benchmarks/pytorch_network.py SPEC PRECISION MODE [DEVICE]: seconds of a training
step in PyTorch of the network that SPEC lists, as one line of JSON.

`pytorch_steps.py` writes SPEC and calls this program with a Python that has torch. PRECISION is
float32 or bfloat16 (autocast), MODE eager or compiled, DEVICE cpu or cuda. Memory is channels last,
Adam is fused.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
}


class Network(nn.Module):
    """The calls of a Keras network, each as PyTorch's own layer, from an image to logits."""

    def __init__(self, calls: list[dict]):
        super().__init__()
        self.inputs = [call["inputs"] for call in calls]
        self.parts = nn.ModuleList(part_of(call) for call in calls)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        values: list = []
        for part, inputs in zip(self.parts, self.inputs, strict=True):
            values.append(part(*(values[place] for place in inputs)) if inputs else image)
        return values[-1]


class Joined(nn.Module):
    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return torch.cat(values, dim=1)


class Sum(nn.Module):
    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first + second


class Product(nn.Module):
    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first * second


class Scaled(nn.Module):
    def __init__(self, scale: float, offset: float):
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * self.scale + self.offset


class Enlarged(nn.Module):
    def __init__(self, factor: float, mode: str):
        super().__init__()
        self.factor, self.mode = factor, mode

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        corners = {"align_corners": False} if self.mode == "bilinear" else {}
        return functional.interpolate(value, scale_factor=self.factor, mode=self.mode, **corners)


def part_of(call: dict) -> nn.Module:
    """PyTorch's layer for a call. Raises ValueError for a layer that this program does not know."""
    kind, config, channels = call["kind"], call["config"], call["channels"]
    known = {
        "InputLayer": nn.Identity,
        "Concatenate": Joined,
        "Add": Sum,
        "Multiply": Product,
    }
    if kind in known:
        return known[kind]()
    if kind in ("Conv2D", "Conv2DTranspose"):
        return convolution(kind, config, channels)
    if kind == "BatchNormalization":
        return nn.BatchNorm2d(channels, config["epsilon"], 1 - config["momentum"])
    if kind == "Activation":
        return ACTIVATIONS[config["activation"]]()
    if kind == "Dropout":
        return nn.Dropout(config["rate"])
    if kind == "MaxPooling2D":
        return nn.MaxPool2d(config["pool_size"], config["strides"], ceil_mode=True)
    if kind == "UpSampling2D":
        return Enlarged(float(config["size"][0]), config["interpolation"])
    if kind == "Rescaling":
        return Scaled(config["scale"], config["offset"])
    raise ValueError(f"{kind} has no counterpart in this program")


def convolution(kind: str, config: dict, channels: int) -> nn.Module:
    filters, kernel, strides = config["filters"], config["kernel_size"], config["strides"]
    dilation, bias = config["dilation_rate"], config["use_bias"]
    if kind == "Conv2DTranspose":
        made: nn.Module = nn.ConvTranspose2d(channels, filters, kernel, strides, bias=bias)
    else:
        padding = "same" if max(strides) == 1 else 0
        made = nn.Conv2d(channels, filters, kernel, strides, padding, dilation, bias=bias)
    return nn.Sequential(made, ACTIVATIONS[config["activation"]]())


def main() -> None:
    spec, precision, mode = json.loads(Path(sys.argv[1]).read_text()), *sys.argv[2:4]
    device = sys.argv[4] if len(sys.argv) > 4 else "cpu"
    torch.manual_seed(0)
    network = Network(spec["calls"]).to(device, memory_format=torch.channels_last)
    parameters = sum(one.numel() for one in network.parameters())
    buffers = sum(one.numel() for name, one in network.named_buffers() if "num_" not in name)
    if parameters + buffers != spec["parameters"]:
        raise SystemExit(
            f"{parameters + buffers} parameters, not the {spec['parameters']} of Keras"
        )
    optimizer = torch.optim.Adam(network.parameters(), 1e-4, fused=True)
    forward = torch.compile(network) if mode == "compiled" else network
    draw = np.random.default_rng(0)
    size, batch = spec["size"], spec["batch"]
    drawn = torch.from_numpy(draw.integers(0, 256, (batch, 3, size, size), dtype=np.uint8))
    masks = torch.from_numpy((draw.random((batch, size, size)) < 0.03).astype(np.int64))
    drawn, masks = drawn.to(device), masks.to(device)

    def step() -> None:
        images = drawn.float().contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = forward(images)
        loss = functional.cross_entropy(logits.float(), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    times = []
    for _ in range(spec["steps"] + 2):  # the first are compiled
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    print(json.dumps({"seconds": median(times[2:]), "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
