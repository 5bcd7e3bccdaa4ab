"""Where the network looks in some of the pictures that it judged, where it has attention to show."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from pathlib import Path

from ganfingerprint.decode import decode
from ganfingerprint.detector import Detector
from ganfingerprint.errors import InputError, UsageError
from ganfingerprint.evaluation.outputs import choose_samples
from ganfingerprint.evaluation.protocol import ScoreTable

PICTURES = 4


def draw_attention(judge: Detector, table: ScoreTable, root: Path, folder: Path) -> list[Path]:
    """Draw `attention-1.png` to at most `attention-4.png` in `folder`; those of an earlier evaluation go.

    None where the engine has no layers to look into, the network no attention, or torch is not installed.
    """
    for old in folder.glob("attention-*.png"):
        old.unlink()
    network = judge.card.network_config
    if judge.card.exported or not (network.attention or network.fingerprint_block) or find_spec("torch") is None:
        return []
    from ganfingerprint.explain.attention import visualize_attention_maps  # brings torch
    from ganfingerprint.explain.overlay import save_result

    drawn: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for row in choose_samples(table, PICTURES):
        # the network has no attention; or the file, which was read a while ago, has gone
        with contextlib.suppress(UsageError, InputError):
            figure = visualize_attention_maps(judge, decode(root / str(table.path[row])))
            path = folder / f"attention-{len(drawn) + 1}.png"
            save_result(path, figure)
            drawn.append(path)
    return drawn
