"""Errors: one class and one exit code for each kind of failure.

GhostEdgeError 1
├── RecipeError 2
├── DataError 3
├── ArtifactError 4
├── MissingPackageError 5
├── ConversionError 6
├── GateError 7
└── DeviceError 8
"""

from __future__ import annotations


class GhostEdgeError(Exception):
    """Failure that the user can act on; str() is one line: what was found, what was expected, what to do next."""

    exit_code = 1


class RecipeError(GhostEdgeError):
    """A recipe, a command's option or a key in them is missing, unknown or out of range."""

    exit_code = 2


class DataError(GhostEdgeError):
    """Images, labels or lists are missing, damaged, or unfit for what they are to be used for."""

    exit_code = 3


class ArtifactError(GhostEdgeError):
    """A model file, a weights file or a manifest is missing, damaged, or not the file that was promised."""

    exit_code = 4


class MissingPackageError(GhostEdgeError):
    """An optional package is not installed; the message says the pip command."""

    exit_code = 5


class ConversionError(GhostEdgeError):
    """A tool we stand on refused the model, or wrote something other than what was asked for."""

    exit_code = 6


class GateError(GhostEdgeError):
    """The numbers are worse than the limits allow, or the images too few to compare."""

    exit_code = 7


class DeviceError(GhostEdgeError):
    """A model did not run here: a signal, a time-out, an interpreter that refuses it."""

    exit_code = 8
