"""Versions of the packages that decide what comes out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import metadata

from ghost_edge.core.errors import MissingPackageError

PACKAGES = (
    *("tensorflow", "keras", "litert-quantizer", "ai-edge-litert", "tf2onnx", "onnx", "onnxruntime"),
    *("numpy", "Pillow"),
)


def tool_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Package name to installed version; raises MissingPackageError with the pip command where one is missing."""
    return {package: _version(package) for package in packages}


def optional_version(package: str) -> str:
    """Its installed version, empty where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise MissingPackageError(
            f'{package} is not installed; python -m pip install "ghost-edge[host]" brings it'
        ) from error
