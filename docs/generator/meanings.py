"""What names mean that the code gives in comments only. The generator refuses a name that is not here.

Keys are names, or `table:name` where one table means something else by it than the others.
"""

from __future__ import annotations

COLUMNS = {
    "path": "the picture, as the input names it",
    "scores:path": "the picture, below the data root",
    "sha256": "SHA-256 of the file's bytes",
    "pairs:sha256": "SHA-256 of the photograph's file",
    "size_bytes": "bytes of the file",
    "format": "what the file is, by its content: JPEG, PNG, WEBP, ...",
    "width": "pixels, upright",
    "height": "pixels, upright",
    "logit": "pooled raw score; higher is more likely fake; comparable within one detector only",
    "prob_fake": "calibrated probability of fake at even prior odds, 0 to 1",
    "log10_lr": "weight of evidence: above 0 speaks for fake, 2 is a hundred to one; bounded",
    "verdict": "`fake`, `uncertain` or `real`",
    "windows": "how many windows were judged",
    "windows_for_fake": "how many of them, each by itself, speak for fake",
    "stability": "`2 of 3`: after how many mild re-encodings the verdict is the same; only with `--stability`",
    "true_label": "`real` or `fake` where folders or the name say so",
    "latency_ms": "decoding, and its share of the engine's time; empty for a copy of an answer",
    "error_code": "why it could not be judged ([codes](errors.md)); empty where it was",
    "error": "the same as a sentence",
    "label": "`real` or `fake`",
    "generator": "what made a fake; empty for photographs and where unknown",
    "scan:generator": "which generator it was, as `attribute` answers: a name, `unknown generator` or `photograph`; "
    "only with `--attribute` or `--gallery`",
    "generator_probability": "of that answer, 0 to 1 ([how to read it](../attribution.md))",
    "family": "gan, diffusion, ..., `proxy` for aligned fakes, `photo` for photographs",
    "source": "where the picture comes from: a collection, a folder",
    "group": "pictures of one origin share it: they are on one side of a split and resampled as one",
    "split": "train, validation, test, or any other name",
    "metrics:by": "`overall`, `generator`, `family` or `source`",
    "metrics:name": "of the slice: a generator, a family, a source, or which fakes are counted",
    "metrics:family": "of the fakes, where they have one",
    "n_real": "photographs in the slice",
    "n_fake": "fakes in the slice",
    "few": "`true` where there are too few pictures for a figure of its own",
    "metric": "which figure, see below; empty where there is none",
    "value": "the figure",
    "low": "lower end of the 95 % interval; empty where there is none",
    "high": "upper end",
    "delivery": "`as it is`, a tier or a single step",
    "fakes": "that could be judged, without aligned fakes",
    "photographs": "that could be judged",
    "failed": "files that could not be read",
    "recipe": "which generator's last stage; empty for the photograph",
    "seed": "of all that was drawn for this picture",
    "psnr": "of the fake against the crop, dB, before either is stored",
    "code": "why, see [codes](errors.md)",
}

SERVICE_CODES = {
    "same_file": "a file stands on both sides of a comparison",
    "bad_form": "the form cannot be read",
    "bad_request": "the head of the request is not HTTP/1.1 that can be read, or too long",
    "busy": "too many pictures, or bytes, wait already; ask again after `Retry-After`",
    "client_gone": "nobody listens any more; seen in the log only",
    "internal": "a fault of the service",
    "no_file": "the form has no file",
    "no_gallery": "no generators are known: the detector has no gallery",
    "no_heat": "this engine has no heat maps",
    "no_such_method": "the path takes another method",
    "no_such_path": "there is no such path",
    "not_a_form": "the body is no form with files (`multipart/form-data`)",
    "stopping": "the service is ending; ask again after `Retry-After`",
    "too_large": "too many bytes in the request, or too many pixels for a heat map or a report",
    "too_many_files": "more files than a request may have",
    "too_slow": "the body came too slowly",
    "unauthorized": "no key, or a wrong one",
    "usage": "a request that cannot be understood",
}

COMMAND_CODES = {
    "system": "the machine refuses: a folder that cannot be written, a full disk",
    "usage": "an option or argument that does not exist, or is missing",
}

EXIT_CODES = {
    "DONE": "all was read and done",
    "REFUSED": "a usage or set-up error; nothing was judged",
    "SOME_FAILED": "done, but some pictures could not be judged",
    "INTERRUPTED": "Ctrl-C; what was done so far is kept",
}

LIMITS = {
    "api_keys": "keys that may ask (`--api-key-file`); none: everybody who reaches it",
    "max_body": "bytes of a request (`--max-body`)",
    "max_files": "pictures of a request",
    "max_waiting": "pictures that wait for the engine, of all requests; then 503",
    "max_held": "bytes of all requests that are here at once; then 503",
    "max_pixels": "of a picture whose heat map or report is asked for",
    "body_wait_s": "seconds that a body may pause while it comes; then 408",
    "body_s": "seconds in which it has to be here; then 408",
    "workers": "processes that decode (`--workers`)",
    "timeout_s": "seconds in which a picture has to be decoded; then the code `timeout`",
    "batch_windows": "windows that are judged at once",
}
