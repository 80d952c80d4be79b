"""The chain: a literal list of stages, in an order that has a reason."""

from __future__ import annotations

from ghost_edge.device.environment import PACKAGES
from ghost_edge.host.chain.stage import Stage
from ghost_edge.host.chain.stages import build, calibrate, export, judge, prove, quantize, report

_IMAGES = ("ai-edge-litert", "numpy", "Pillow")  # packages that run a model on images

STAGES: tuple[Stage, ...] = (
    # one trace: the .tflite, and by it everything else, is made of this frozen graph
    Stage("build", build.build, ("tensorflow", "keras"), version=4),
    Stage("float", build.convert_float, tools=("tensorflow",)),
    # before calibrate: ranges of unfit images would be worth nothing
    Stage("doctor", calibrate.doctor, _IMAGES),
    # before quantize: its ranges are what scales are made of
    Stage("calibrate", calibrate.calibrate, _IMAGES, version=4),
    Stage("quantize", quantize.quantize, ("litert-quantizer", "onnx", *_IMAGES), version=4),
    # before verify and gate: whoever reads FAIL wants to know which layer
    Stage("layers", quantize.layers, _IMAGES, version=2),
    Stage("export", export.export, ("tf2onnx", "onnx"), version=4),
    # before evaluate: thousands of images through a wrong file would only waste time
    Stage("verify", prove.verify, ("ai-edge-litert", "onnxruntime")),
    Stage("parity", prove.parity, ("onnx", "onnxruntime", "tensorflow", *_IMAGES), version=3),
    Stage("micro", export.micro, _IMAGES),
    Stage("evaluate", judge.evaluate, ("onnxruntime", *_IMAGES), version=3),
    # writes its verdict and lets the chain go on: the report of a model that failed is the one people need
    Stage("gate", judge.gate, version=2),
    Stage("bench", judge.bench, ("ai-edge-litert", "onnxruntime"), version=3, own_settings=judge.this_machine),
    Stage("report", report.report, PACKAGES, version=3),
    Stage("page", report.page, tools=("matplotlib", "Jinja2", "numpy")),
    # last: an operation that does not run alone must not cost the rest
    Stage("nodes", report.nodes, ("ai-edge-litert",), own_settings=judge.this_machine),
)
