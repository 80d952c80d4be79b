"""The embedded recipe with another scheme of quantization."""

from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "models"


def write_recipe(folder: Path, kind: str, *, options: str = "", target: bool = False) -> Path:
    """Write <kind>.toml into the folder; options: lines of its scheme; target: for a Zynq-7000, as the embedded one."""
    text = (MODELS / "ghostnet_mnist.toml").read_text().replace('kind = "int8"', f'kind = "{kind}"\n{options}')
    text = text.replace('"../calibration', f'"{MODELS.parent}/calibration').replace('"weights/', f'"{MODELS}/weights/')
    path = folder / f"{kind}.toml"
    path.write_text(text if target else text.replace("target =", "# target ="))
    return path
