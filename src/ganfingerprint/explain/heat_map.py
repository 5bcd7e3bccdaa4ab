"""Heat maps: which parts of a picture raise the evidence for the class that is named.

Grad-CAM (Selvaraju et al., ICCV 2017) at the last stage of the network that still has places: the output of the
fingerprint block, or of a network of statistics the backbone's maps. Every engine that runs a network has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganfingerprint.detector import Detector
from ganfingerprint.explain.stitch import lay_on_picture
from ganfingerprint.types import BoolArray, Float32Array, Image, Label, Prediction, Verdict
from ganfingerprint.windows import cut_windows

FLOOR = 0.05  # quantile of a relative map that is shown as nothing: one extreme cell would flatten all others


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Where in one picture the evidence for one class lies, on the picture's own pixels."""

    values: Float32Array  # [height, width] 0..1, relative to the hottest place of this picture; 0 outside `coverage`
    coverage: BoolArray  # [height, width] true where a window looked
    label: Label  # the class that the evidence speaks for
    peak: float  # the Grad-CAM value that 1.0 stands for (above the lowest one where `relative`); 0: the map is flat
    prediction: Prediction
    relative: bool = False  # no place speaks for the class by itself; 0 is where most speaks against it, 1 least

    def __post_init__(self) -> None:
        if self.values.dtype != np.float32 or self.values.ndim != 2:
            raise ValueError(
                f"HeatMap.values must be float32 [height, width], got {self.values.dtype} {self.values.shape}"
            )
        if self.coverage.dtype != np.bool_ or self.coverage.shape != self.values.shape:
            raise ValueError(f"HeatMap.coverage must be bool {self.values.shape}, got {self.coverage.shape}")


def generate_gradcam(
    detector: Detector, image: Image, label: Label | None = None, *, prediction: Prediction | None = None
) -> HeatMap:
    """The heat map of one picture, from every window that its detector judges, on the picture's own pixels.

    Args:
        detector: whose engine has heat maps.
        image: any picture that the detector can judge.
        label: the class to explain; left out, the class that the verdict names, and the side to which the evidence
            leans where the verdict is `uncertain`.
        prediction: the detector's answer for this picture where it is known already; saves a run.

    Raises:
        UsageError: the engine has none.
        InputError: the picture cannot be judged.
    """
    prediction = detector.predict_image(image) if prediction is None else prediction
    label = named_class(prediction) if label is None else label
    windows = cut_windows(image, detector.window)
    signed = detector.engine.heat(windows.pixels)  # [n, h, w], for fakes
    signed = signed if label is Label.FAKE else -signed
    # Where the class is named by the network's constant part alone, no place speaks for it and the paper's map is
    # empty. Which places speak least against it is still worth seeing, and is said to be just that.
    relative = bool(signed.max() <= 0)
    floor = np.quantile(signed, FLOOR).astype(np.float32) if relative else np.float32(0)
    heat = np.maximum(signed - floor, 0)
    values, coverage = lay_on_picture(heat, windows.boxes, height=image.height, width=image.width)
    peak = float(values.max())
    if peak > 0:
        values /= peak
    return HeatMap(
        values=values, coverage=coverage, label=label, peak=peak, prediction=prediction, relative=relative and peak > 0
    )


def named_class(prediction: Prediction) -> Label:
    """The class that a verdict names; for `uncertain` the one to which the evidence leans (`real` at exactly 0)."""
    if prediction.verdict is Verdict.UNCERTAIN:
        return Label.FAKE if prediction.log10_lr > 0 else Label.REAL
    return Label(prediction.verdict.value)
