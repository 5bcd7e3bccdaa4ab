"""The loop: forward, backward, step, judge, save. It reads as one page; what varies is passed in."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganfingerprint.calibrate import fake_scores
from ganfingerprint.config import TrainConfig, to_mapping
from ganfingerprint.errors import TrainingError
from ganfingerprint.evaluation.metrics import compute_metrics, selection_score
from ganfingerprint.network.fingerprint_net import FingerprintNet
from ganfingerprint.network.loss import class_loss, contrastive_loss, detection_loss
from ganfingerprint.training.averaging import WeightAverage
from ganfingerprint.training.batches import BatchSource, LabelledBatch
from ganfingerprint.training.checkpoint import Progress, load_checkpoint, prune_checkpoints, save_checkpoint
from ganfingerprint.training.distributed import ALONE, Group
from ganfingerprint.training.precision import Compute
from ganfingerprint.training.reproducibility import get_random_state, set_random_state
from ganfingerprint.training.schedule import TimeBudget, get_lr_scheduler
from ganfingerprint.training.tracker import ExperimentTracker

SAVE_EVERY_S = 300.0  # a checkpoint in the middle of an epoch when the last one is older than this
Report = Callable[[str, int, int, float, float], None]  # stage, done, total, loss, pictures/s


class Trainer:
    """One run: the model with everything that a checkpoint holds. All processes of a group do the same with it."""

    def __init__(
        self,
        model: FingerprintNet,
        source: BatchSource,
        config: TrainConfig,
        compute: Compute,
        tracker: ExperimentTracker,
        targets: Tensor | None = None,
        kinds: Tensor | None = None,
        group: Group = ALONE,
    ) -> None:
        self.model, self.source, self.config, self.compute, self.tracker = model, source, config, compute, tracker
        self.targets = targets  # int64 [n], the class of each training picture; None: photograph or fake
        self.kinds = kinds  # int64 [n], whose embeddings are pulled together; None where optim.contrastive is 0
        self.group = group
        self.learning_outputs = group.learning(model, self.outputs)
        self.progress = Progress()
        group.gather(None)  # from here time counts
        self.budget = TimeBudget(config.optim.max_minutes, clock=group.clock)
        self.optimizer = torch.optim.AdamW(_parameter_groups(model, config), lr=config.optim.lr)
        self.scheduler = get_lr_scheduler(
            self.optimizer,
            round(config.optim.warmup_epochs * source.steps),
            config.optim.epochs * source.steps,
            budget=self.budget,
        )
        self.scaler = compute.scaler()
        self.average = WeightAverage(model, config.optim.ema_decay) if config.optim.ema_decay > 0 else None
        self._asked = False  # to stop, by a signal to this process
        self._saved_at = group.clock()

    def run(self, report: Report) -> None:
        """Train until the epochs, the patience or the budget end, or the user asks to stop (Ctrl-C)."""
        if self.progress.steps_done == 0:
            self.save("last")  # from here on the run can be resumed
        with self._interruptible():
            while not self.progress.finished and not self._stopping():
                if not self._train_epoch(report):
                    break
                self._judge_epoch(report)
        self.save("last")

    def _train_epoch(self, report: Report) -> bool:
        """Train to the end of the epoch under way; False when it was interrupted before its end."""
        progress, started = self.progress, time.monotonic()
        self.model.train()
        seen_before = progress.pictures_seen
        for batch in self.source.epoch(progress.epoch, skip=progress.step):
            loss = self._step(batch)
            count = len(batch.is_fake) * self.group.size
            progress.step += 1
            progress.steps_done += 1
            progress.pictures_seen += count
            progress.loss_sum += loss * count
            progress.loss_count += count
            rate = (progress.pictures_seen - seen_before) / (time.monotonic() - started)
            report(f"epoch {progress.epoch + 1}", progress.step, self.source.steps, loss, rate)
            if progress.steps_done % 50 == 0:
                self._log_step(loss, rate)
            if self._stopping():
                return False
            if self.group.clock() - self._saved_at > SAVE_EVERY_S:
                self.save("last")
            if self.budget.is_spent:
                break
        return True

    def _stopping(self) -> bool:
        """Whether any process was asked to stop: then all do, after the same step."""
        return any(self.group.gather(self._asked))

    def _step(self, batch: LabelledBatch) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        value = fmean(self.group.gather(float(loss.detach())))  # shares are alike: the mean over the whole batch
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.grad_clip or math.inf)
        # With fp16 the scaler leaves out a step whose gradients overflow; anywhere else, and for a loss that is no
        # number, the running statistics are spoilt for good.
        if not math.isfinite(value) or not (self.scaler.is_enabled() or math.isfinite(float(norm))):
            raise TrainingError(
                f"step {self.progress.steps_done + 1}: the loss is {value} and its gradient {float(norm)}; "
                "what was saved before is whole. Lower optim.lr, or take optim.precision=fp32"
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        if self.average is not None:
            self.average.update(self.model)
        return value

    def _loss(self, batch: LabelledBatch) -> Tensor:
        smoothing = self.config.optim.label_smoothing
        with self.compute.autocast():
            found, embeddings = self.learning_outputs(batch)
        if self.targets is not None:
            loss = class_loss(found, self.targets[batch.rows], smoothing=smoothing)
        else:
            loss = detection_loss(self.model.decide(found), batch.is_fake, smoothing=smoothing)
        if self.kinds is not None:  # of several processes each compares the windows of its own share
            pulled = contrastive_loss(embeddings, self.kinds[batch.rows].to(embeddings.device))
            loss = loss + self.config.optim.contrastive * pulled
        return loss

    def outputs(self, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
        """Logits of the classes [B, classes] and embeddings of a batch, from its cached maps where it has them."""
        x = self.model.normalise(batch.pixels.to(self.compute.device))
        if batch.maps is None:
            maps = self.model.feature_maps(x)
        else:
            maps = batch.maps.apply(lambda part: part.to(self.compute.device, self.model.mean.dtype))
        embeddings = self.model.embeddings(maps, x)
        return self.model.class_logits(embeddings), embeddings

    @torch.no_grad()
    def validation_logits(self) -> tuple[Tensor, Tensor]:
        """Network logits [n], of the averaged weights where there are any, and is_fake [n]: one window a picture."""
        self.model.eval()
        with self.average.applied(self.model) if self.average is not None else nullcontext():
            own = []
            for batch in self.source.validation():
                with self.compute.autocast():
                    found, _ = self.outputs(batch)
                own.append((self.model.decide(found).float().cpu(), batch.is_fake))
        self.model.train()
        logits, labels = zip(*(pair for pairs in self.group.gather(own) for pair in pairs), strict=True)
        return torch.cat(logits), torch.cat(labels)

    def validate(self) -> dict[str, float]:
        """Loss, metrics and the selection score on the validation split."""
        logit, fake = self.validation_logits()
        scores, truth = fake_scores(logit.numpy()), fake.numpy()
        metrics = compute_metrics(truth, 1 / (1 + np.exp(-np.clip(scores, -60, 60))))
        return {
            "loss": float(detection_loss(logit, fake)),
            "score": selection_score(truth, scores, self.config.score, self.config.calibration.selection_rate),
            "auc": metrics.auc,
            "accuracy": metrics.accuracy,
            "balanced_accuracy": metrics.balanced_accuracy,
            "recall": metrics.recall,
            "precision": metrics.precision,
            "f1": metrics.f1,
            "tpr_at_fpr_5": metrics.tpr_at_fpr_5,
        }

    def _judge_epoch(self, report: Report) -> None:
        progress = self.progress
        report("validation", 0, 1, float("nan"), 0.0)
        found = self.group.gather(self.validate())[0]  # one process's rounding decides for all
        loss = progress.loss_sum / max(1, progress.loss_count)
        progress.spent_s = self.budget.spent_s
        row = {
            "epoch": float(progress.epoch + 1),
            "pictures": float(progress.pictures_seen),
            "minutes": progress.spent_s / 60,
            "lr": float(self.scheduler.get_last_lr()[-1]),
            "train_loss": loss,
            **{f"val_{name}": value for name, value in found.items()},
        }
        progress.history.append(row)
        self.tracker.save_epochs(progress.history)
        self.tracker.scalars(progress.steps_done, {f"epoch/{name}": value for name, value in row.items()})
        better = (found["score"], -found["loss"]) > (progress.best_score, -progress.best_loss)
        self._log_epoch(row, better)
        progress.epoch, progress.step, progress.loss_sum, progress.loss_count = progress.epoch + 1, 0, 0.0, 0
        progress.stale_epochs = 0 if better else progress.stale_epochs + 1
        progress.finished = self._is_over()
        if better:
            progress.best_score, progress.best_loss, progress.best_epoch = found["score"], found["loss"], progress.epoch
            self.save("best")
        if progress.epoch % self.config.output.checkpoint_every == 0:
            self.save(f"epoch-{progress.epoch:04d}")
            if self.group.is_first:
                prune_checkpoints(self.tracker.folder / "checkpoints", self.config.output.keep_checkpoints)
        self.save("last")

    def save(self, name: str) -> None:
        """Write checkpoint `name` of this run; of several processes the first does, with the random states of all."""
        self.progress.spent_s = self.budget.spent_s
        if name == "last":
            self._saved_at = self.group.clock()
        states = self.group.collect(get_random_state())
        if not self.group.is_first:
            return
        save_checkpoint(
            self.checkpoint(name),
            {
                "model": _trained_state(self.model),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "scaler": self.scaler.state_dict(),
                "average": self.average.state_dict() if self.average is not None else None,
                "progress": asdict(self.progress),
                "random_state": states[0],
                "other_random_states": states[1:],
                "config": to_mapping(self.config),
            },
        )

    def load(self, name: str) -> None:
        """Restore checkpoint `name`: afterwards the run goes on as if it had never stopped.

        Raises:
            TrainingError: it cannot be read, or is that of another number of processes.
        """
        state = self.load_weights(name)
        states = [state["random_state"], *state.get("other_random_states", ())]  # version 0.1.0 has no others
        if len(states) != self.group.size:
            raise TrainingError(
                f"{self.tracker.folder}: the run began with {len(states)} processes, and is resumed with as many; "
                f"here are {self.group.size}"
            )
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        self.progress = Progress(**state["progress"])
        self.budget.resume(self.progress.spent_s)
        set_random_state(states[self.group.rank])

    def load_weights(self, name: str) -> dict[str, Any]:
        """Take the weights and their mean from checkpoint `name`, and nothing else; returns the whole checkpoint."""
        state = load_checkpoint(self.checkpoint(name))
        missing = self.model.load_state_dict(state["model"], strict=False).missing_keys
        if any(key in _trained_state(self.model) for key in missing):
            raise RuntimeError(f"the checkpoint lacks {missing[:3]}")  # a defect of ours, not of the user's
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        return state

    def reopen(self) -> None:
        """Let a finished run go on when its epochs, its patience or its budget were raised since."""
        self.progress.finished = self._is_over()

    def _is_over(self) -> bool:
        optim, progress = self.config.optim, self.progress
        tired = 0 < optim.patience <= progress.stale_epochs
        return progress.epoch >= optim.epochs or tired or self.budget.is_spent

    def checkpoint(self, name: str) -> Path:
        """Where checkpoint `name` of this run is."""
        return self.tracker.folder / "checkpoints" / f"{name}.pt"

    def _log_step(self, loss: float, rate: float) -> None:
        progress = self.progress
        self.tracker.scalars(progress.steps_done, {"train/loss": loss, "train/pictures_per_s": rate})
        self.tracker.log(
            f"epoch {progress.epoch + 1} step {progress.step}/{self.source.steps} loss {loss:.4f} {rate:.1f} pictures/s"
        )

    def _log_epoch(self, row: dict[str, float], better: bool) -> None:
        self.tracker.log(
            f"epoch {row['epoch']:.0f} after {row['minutes']:.1f} min and {row['pictures']:.0f} pictures: "
            f"train loss {row['train_loss']:.4f}, validation loss {row['val_loss']:.4f} AUC {row['val_auc']:.4f} "
            f"score {row['val_score']:.4f}{' (best so far)' if better else ''}"
        )

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the run after the step under way; a second Ctrl-C ends it at once."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self._asked:
                raise KeyboardInterrupt
            self._asked = True
            self.tracker.log("asked to stop; saving")

        before: dict[signal.Signals, Any] = {}
        try:
            for each in (signal.SIGINT, signal.SIGTERM):
                before[each] = signal.signal(each, stop)
        except ValueError:  # not the main thread: signals belong to whoever runs us
            pass
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def _parameter_groups(model: FingerprintNet, config: TrainConfig) -> list[dict[str, Any]]:
    """Weight decay only where a parameter is a matrix or a kernel; the backbone at its own rate."""
    optim = config.optim
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("backbone."), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": optim.lr * (optim.backbone_lr_factor if of_backbone else 1.0),
            "weight_decay": optim.weight_decay if decayed else 0.0,
        }
        for (of_backbone, decayed), parameters in groups.items()
    ]


def _trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The state without parameters that never change: a frozen backbone is not written every few minutes."""
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}
