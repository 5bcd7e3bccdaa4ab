"""The service: requests in, answers out, by FastAPI. Nothing of a request is kept."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import ganfingerprint
from ganfingerprint.attribution import Gallery, attribute, compare
from ganfingerprint.detector import Detector, Prepared
from ganfingerprint.errors import GanFingerprintError, MissingExtraError, SameFileError
from ganfingerprint.types import Answer, Failure, Prediction

try:
    from fastapi import FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import HTMLResponse, JSONResponse
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
except ModuleNotFoundError as absent:
    raise MissingExtraError("fastapi", "serve", "a service") from absent

from ganfingerprint.service import answers, attributed, looks, pages, shapes
from ganfingerprint.service.answers import ServiceError, answer_content, detector_content, error_response, failed, gone
from ganfingerprint.service.batching import Batcher, BusyError, StoppedError
from ganfingerprint.service.decoding import DecodingPool
from ganfingerprint.service.limits import Gate
from ganfingerprint.service.metrics import Metrics
from ganfingerprint.service.settings import ServiceSettings
from ganfingerprint.service.uploads import FILE_BODY, FILES_BODY, SIDES_BODY, Upload, read_sides, read_uploads

Found = TypeVar("Found")


class Judging:
    """What all requests share: processes that decode, and the thread with the engine."""

    def __init__(self, detector: Detector, settings: ServiceSettings) -> None:
        self.detector, self.settings = detector, settings
        self.waiting = 0  # pictures that somebody waits for
        self.pool = DecodingPool(detector.window, workers=settings.workers, timeout_s=settings.timeout_s)
        self.decoding = asyncio.Semaphore(settings.workers)  # who waits here can still go away
        self.reading = asyncio.Semaphore(settings.workers)  # of manifests
        self.batcher = Batcher(detector, windows=settings.batch_windows, most=2 * settings.max_waiting)

    def close(self) -> None:
        """Finish what waits, then end the processes."""
        self.batcher.close()
        self.pool.close()

    async def judge(self, request: Request, uploads: list[Upload]) -> list[Answer]:
        """The answers, in their order.

        Raises:
            BusyError: too many pictures wait.
            StoppedError: the service is ending.
            ServiceError: the client has gone.
        """
        async with self._waiting(len(uploads)):
            turn = asyncio.Semaphore(self.settings.workers)  # who sends many pictures stands in line with few
            tasks = [asyncio.ensure_future(self._one(request, upload, turn)) for upload in uploads]
            try:
                return list(await asyncio.gather(*tasks))
            finally:  # after an error the others are nobody's
                for task in tasks:
                    task.cancel()

    async def one(self, request: Request, upload: Upload) -> Prediction:
        """The answer for the one picture of a request.

        Raises:
            ServiceError: it cannot be judged.
        """
        (answer,) = await self.judge(request, [upload])
        if isinstance(answer, Failure):
            raise failed(answer)
        return answer

    async def look(self, function: Callable[[], Found]) -> Found:
        """What a function gives that needs the engine's thread; counted as a picture that waits."""
        async with self._waiting(1):
            return await asyncio.wrap_future(self.batcher.call(function))

    @asynccontextmanager
    async def _waiting(self, number: int) -> AsyncIterator[None]:
        if self.waiting + number > self.settings.max_waiting:
            raise BusyError("too many pictures wait already")
        self.waiting += number
        try:
            yield
        finally:
            self.waiting -= number

    async def prepared(self, request: Request, upload: Upload) -> Prepared:
        """The windows of the one picture of a request, which no engine looks at.

        Raises:
            ServiceError: it cannot be judged.
        """
        async with self._waiting(1):
            found = await self._prepare(request, upload)
        if isinstance(found, Failure):
            raise failed(found)
        return found

    async def _prepare(self, request: Request, upload: Upload) -> Prepared | Failure:
        async with self.decoding:
            if await request.is_disconnected():
                raise gone()
            return await run_in_threadpool(self.pool.prepare, upload.data, upload.name)

    async def _one(self, request: Request, upload: Upload, turn: asyncio.Semaphore) -> Answer:
        async with turn:
            prepared = await self._prepare(request, upload)
        if isinstance(prepared, Failure):
            return prepared
        return await asyncio.wrap_future(self.batcher.judge(prepared))


def create_app(detector: Detector, settings: ServiceSettings | None = None, gallery: Gallery | None = None) -> Any:
    """The ASGI application that judges with `detector`; its processes live from start to shutdown.

    Args:
        detector: judges.
        settings: limits, and who may ask; None for the defaults.
        gallery: of the detector, for those who ask which generator it was; None answers them with `no_gallery`.

    Raises:
        GalleryError: the gallery is of another detector, or of an engine that says more or less of a picture.
    """
    settings = ServiceSettings() if settings is None else settings
    if gallery is not None:
        gallery.require_as_seen_by([detector.trial()])
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        judging = Judging(detector, settings)
        app.state.judging = judging
        metrics.watch("pictures_waiting", "Pictures that somebody waits for.", lambda: judging.waiting)
        metrics.watch("engine_batches", "Calls of the engine.", lambda: judging.batcher.batches)
        metrics.watch("engine_windows", "Windows judged.", lambda: judging.batcher.judged)
        try:
            yield
        finally:
            await run_in_threadpool(judging.close)

    app = FastAPI(
        title="ganfingerprint", version=ganfingerprint.__version__, docs_url=None, redoc_url=None, lifespan=lifespan,
        description="Tells photographs from images that a generator made. Nothing of a request is kept.",
        redirect_slashes=False,
    )  # fmt: skip
    app.state.settings, app.state.metrics, app.state.gallery = settings, metrics, gallery
    _handle_errors(app)
    _add_judging(app, detector)
    _add_attribution(app)
    _add_comparison(app)
    _add_looks(app)
    _add_report(app)
    _add_state(app, detector)
    _add_pages(app)
    shapes.describe(app, keys=bool(settings.api_keys))
    return Gate(app, settings, metrics)


def _judging(request: Request) -> Judging:
    judging: Judging = request.app.state.judging
    return judging


def _refuse_large(answer: Answer, settings: ServiceSettings) -> None:
    """A look decodes in this process, where nothing may take gigabytes."""
    if isinstance(answer, Prediction) and answer.width * answer.height > settings.max_pixels:
        said = f"{answer.source}: a heat map or a report is of at most {settings.max_pixels:,} pixels"
        raise ServiceError(413, "too_large", said)


def _add_judging(app: FastAPI, detector: Detector) -> None:
    @app.post(
        "/v1/predict",
        openapi_extra=FILES_BODY,
        responses=shapes.good(shapes.Answers, shapes.OF_FORM),
        summary="Judge one picture or several",
    )
    async def predict(request: Request) -> JSONResponse:
        """A row for each file, in their order. Of a single file that cannot be judged the error is the answer."""
        uploads = await read_uploads(request, most=request.app.state.settings.max_files)
        found = await _judging(request).judge(request, uploads)
        for answer in found:
            said = answer.code if isinstance(answer, Failure) else answer.verdict.value
            request.app.state.metrics.verdicts.labels(said).inc()
        if len(found) == 1 and isinstance(found[0], Failure):
            raise failed(found[0])
        rows = [answer_content(answer, detector.calibration) for answer in found]
        return JSONResponse({"schema_version": answers.SCHEMA_VERSION, "answers": rows})

    @app.post(
        "/v1/fingerprint",
        openapi_extra=FILE_BODY,
        responses=shapes.good(shapes.FingerprintAnswer, shapes.OF_FORM),
        summary="The 512 numbers that the network makes of a picture",
    )
    async def fingerprint(request: Request) -> JSONResponse:
        """The mean over its windows; comparable within one detector only."""
        (upload,) = await read_uploads(request, most=1)
        answer = await _judging(request).one(request, upload)
        numbers = [float(number) for number in answer.embedding]
        return JSONResponse(
            {"schema_version": answers.SCHEMA_VERSION, "detector_id": answer.detector_id, "fingerprint": numbers}
        )


def _gallery(request: Request) -> Gallery:
    gallery: Gallery | None = request.app.state.gallery
    if gallery is None:
        raise attributed.no_gallery()
    return gallery


def _add_attribution(app: FastAPI) -> None:
    @app.post(
        "/v1/attribute",
        openapi_extra=FILES_BODY,
        responses=shapes.good(shapes.Attributions, shapes.OF_GALLERY),
        summary="Which generator made one picture or several",
    )
    async def attribution(request: Request) -> JSONResponse:
        """An enrolled generator, an unknown one, or none as it is a photograph: a lead and no proof.

        Rows as of `/v1/predict`.
        """
        gallery = _gallery(request)
        uploads = await read_uploads(request, most=request.app.state.settings.max_files)
        judged = await _judging(request).judge(request, uploads)
        if len(judged) == 1 and isinstance(judged[0], Failure):
            raise failed(judged[0])
        known = [answer for answer in judged if isinstance(answer, Prediction)]
        found = iter(await run_in_threadpool(attribute, known, gallery))
        rows = [
            attributed.attributed_content(answer, None if isinstance(answer, Failure) else next(found))
            for answer in judged
        ]
        return JSONResponse({"schema_version": answers.SCHEMA_VERSION, "answers": rows})


def _add_comparison(app: FastAPI) -> None:
    @app.post(
        "/v1/compare",
        openapi_extra=SIDES_BODY,
        responses=shapes.good(shapes.ComparisonAnswer, shapes.OF_GALLERY),
        summary="Whether generated pictures of two origins are of one generator",
    )
    async def comparison(request: Request) -> JSONResponse:
        """The generator need not be enrolled. Of photographs the answer means nothing: their verdicts are told, too.

        Where a picture of either side cannot be judged, the error is the answer.
        """
        gallery = _gallery(request)
        first, second = await read_sides(request, most=request.app.state.settings.max_files)
        judged = await _judging(request).judge(request, [*first, *second])
        known = [attributed.judged_or_raise(answer) for answer in judged]
        sides = known[: len(first)], known[len(first) :]
        try:
            found = await run_in_threadpool(compare, *sides, gallery)
        except SameFileError as problem:
            raise answers.ServiceError(422, "same_file", str(problem)) from problem
        return JSONResponse(attributed.comparison_content(found, sides, gallery))


def _add_looks(app: FastAPI) -> None:
    @app.post(
        "/v1/explain",
        openapi_extra=FILE_BODY,
        response_class=Response,
        responses=shapes.HEAT_MAP,
        summary="The picture under its heat map, as PNG",
    )
    async def explain(request: Request) -> Response:
        """Where the evidence seems to lie; the header X-Heat-Speaks-For says for which class."""
        (upload,) = await read_uploads(request, most=1)
        judging = _judging(request)
        answer = await judging.one(request, upload)  # decoded where it can do no harm, before it is decoded here
        _refuse_large(answer, judging.settings)
        png, label = await judging.look(lambda: looks.heat_png(judging.detector, upload, answer))
        return Response(png, media_type="image/png", headers={"X-Heat-Speaks-For": label})

    @app.post(
        "/v1/spectrum",
        openapi_extra=FILE_BODY,
        response_class=Response,
        responses=shapes.other("image/png", shapes.OF_FORM),
        summary="The spectrum of a picture's fine detail, as PNG",
    )
    async def spectrum(request: Request) -> Response:
        """Frequency 0 in the middle; regular bright dots may come from up-sampling, of a generator or any program."""
        (upload,) = await read_uploads(request, most=1)
        found = await _judging(request).prepared(request, upload)
        return Response(await run_in_threadpool(looks.spectrum_png, found), media_type="image/png")


def _add_report(app: FastAPI) -> None:
    @app.post(
        "/v1/report",
        openapi_extra=FILES_BODY,
        response_class=Response,
        responses=shapes.other("text/html", shapes.OF_FORM),
        summary="A report, as HTML",
    )
    async def report(request: Request) -> HTMLResponse:
        """What `ganfingerprint report` writes, of the files of this request."""
        uploads = await read_uploads(request, most=request.app.state.settings.max_files)
        judging = _judging(request)
        safe = await judging.judge(request, uploads)  # as above
        found = []
        for upload, answer in zip(uploads, safe, strict=True):  # one by one: others have their turn between them
            _refuse_large(answer, judging.settings)
            seen = await judging.look(
                functools.partial(looks.examined, judging.detector, request.app.state.gallery, upload, answer)
            )
            async with judging.reading:  # manifests are read in processes of their own; the engine does not wait
                found.append(await run_in_threadpool(looks.shown, judging.detector, seen, upload.data))
        return HTMLResponse(await run_in_threadpool(looks.report, judging.detector, found))


def _add_state(app: FastAPI, detector: Detector) -> None:
    @app.get("/v1/detector", responses=shapes.good(shapes.DetectorAnswer, shapes.OF_GET), summary="What judges here")
    async def identity(request: Request) -> JSONResponse:
        """Its identity, calibration and measured figures, what its verdicts mean, and what a request may hold."""
        known = {"gallery": attributed.gallery_content(request.app.state.gallery)}
        return JSONResponse(detector_content(detector, request.app.state.settings) | known)

    @app.get("/healthz", responses=shapes.good(shapes.Alive, shapes.OF_GET), summary="Whether the process lives")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok", "version": ganfingerprint.__version__})

    @app.get("/readyz", responses=shapes.good(shapes.Ready, shapes.OF_GET), summary="Whether it takes pictures")
    async def readyz(request: Request) -> JSONResponse:
        if not _judging(request).batcher.is_alive:
            raise ServiceError(503, "stopping", "the service is ending")
        return JSONResponse({"status": "ready", "detector_id": detector.detector_id})

    @app.get(
        "/metrics",
        response_class=Response,
        responses=shapes.other("text/plain", shapes.OF_GET),
        summary="Counters, as Prometheus reads them",
    )
    async def metrics(request: Request) -> Response:
        return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_pages(app: FastAPI) -> None:
    """The page for people, its files, and the description for programs; nothing comes from another host."""
    for path, (content, kind) in pages.read_pages().items():
        app.add_api_route(path, _page(content, kind), include_in_schema=False)


def _page(content: bytes, kind: str) -> Callable[[], Awaitable[Response]]:
    async def page() -> Response:
        return Response(content, media_type=kind)

    return page


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(ServiceError)
    async def service_error(request: Request, problem: ServiceError) -> JSONResponse:
        return error_response(request.state.request_id, problem.status, problem.code, problem.message)

    @app.exception_handler(GanFingerprintError)
    async def own_error(request: Request, problem: GanFingerprintError) -> JSONResponse:
        status = 503 if isinstance(problem, BusyError | StoppedError) else 500
        return error_response(request.state.request_id, status, problem.code, str(problem))

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, problem: RequestValidationError) -> JSONResponse:
        return error_response(
            request.state.request_id, 422, "usage", "; ".join(str(entry["msg"]) for entry in problem.errors())
        )

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, problem: HTTPException) -> JSONResponse:
        code = {404: "no_such_path", 405: "no_such_method"}.get(problem.status_code, "usage")
        answer = error_response(request.state.request_id, problem.status_code, code, str(problem.detail))
        answer.headers.update(problem.headers or {})  # which methods a path has
        return answer

    @app.exception_handler(Exception)
    async def unexpected(request: Request, problem: Exception) -> JSONResponse:
        return error_response(
            request.state.request_id, 500, "internal", "something went wrong here; it was not your picture's fault"
        )
