"""A cohort scored over processes of this machine, or over any Dask scheduler."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed
from distributed.client import FutureCancelledError
from distributed.comm import connect
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.security import Security

from ..bundles.catalogue import available_bundles, find_bundle
from ..errors import BundleError, InputError, ReportError
from ..estimators.built_in import built_in_bundle
from ..estimators.loading import check_device
from ..estimators.registry import FAMILIES
from ..estimators.selection import load_bundle
from .case_result import CaseResult, request_of
from .manifest import CohortCase
from .page import write_page
from .results import CohortFolder, Judged
from .scoring import Scored, ScoringOptions, score_case

# So many cases are under way for each thread of the workers: none is idle, and the memory is the same for any cohort.
_AHEAD = 2
_THREADS = 2  # of a worker: one reads while the networks run for the other
_TABLES_EVERY_S = 60.0
_KILLS_ALLOWED = 3
_PATIENCE_S = 4.0  # for a scheduler to answer
_NONE_YET = Judged(0, 0)
_THREADS_ASKED_EVERY_S = 1.0
_SETTINGS = {
    "distributed.scheduler.allowed-failures": _KILLS_ALLOWED,
    # A killed worker is started again by its nanny. By default Dask lets go of one that is not there 15 seconds later,
    # for good: where starting takes longer, or it was killed once more by then, the run would wait for ever.
    "distributed.deploy.lost-worker-timeout": "1000 days",
    # Dask watches itself up to a hundred times a second; on two cores that was an eighth of the processor time.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "60s",
    "distributed.worker.memory.monitor-interval": "500ms",
}


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done: Cases done, with those of earlier runs.
        total: Cases in all.
        failed: Cases among those done that cannot be scored.
        rate: Cases a second of this run; 0 before the first.
        seconds_left: Estimated; ``None`` before the first case.
        judged: Segments in all tables; known at the end.
    """

    done: int
    total: int
    failed: int
    rate: float
    seconds_left: float | None
    judged: Judged = _NONE_YET


def run_cohort(
    cases: Sequence[CohortCase],
    folder: str | Path,
    *,
    options: ScoringOptions = ScoringOptions(),  # noqa: B008 - it is frozen
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    unused: Mapping[Path, str] | None = None,
    threshold: float = 0.7,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Score the cases and write results as they come; the tables at the end, every minute, and when interrupted.

    Args:
        cases: The cases.
        folder: Where the results go.
        options: Model and device.
        workers: Processes on this machine; by default one for each core that is ours.
        scheduler: Address of a Dask scheduler to use instead; its workers must see the files under the same paths.
        resume: Do only what is missing, has failed, or was made of other files or by another model.
        overwrite: Replace files of other programs that have the names of ours.
        unused: Files of the cohort's folder that are not used, and why; ``unused.csv`` lists them.
        threshold: Slices with a predicted Dice below this are counted as low.
        on_progress: Called at the start and after each case.

    Returns:
        How it ended.

    Raises:
        InputError: The folder holds results already or files of others, another run is writing there, the device is
            absent, or the scheduler does not answer.
        BundleError: The model is missing or damaged.
        ReportError: Results cannot be written; those written so far stay.
    """
    if scheduler is None:
        check_device(options.device)
    else:  # its workers may have what this machine lacks
        _check_answers(scheduler)
    if options.model is not None:
        bundle = load_bundle(find_bundle(options.model))
        if Path(options.model).is_dir():
            options = replace(options, model=str(bundle.folder.absolute()))
    store = CohortFolder(folder)
    foreign = store.foreign_file()
    if foreign is not None and not overwrite:
        raise InputError(
            f"The file {foreign} is not of a cohort and would be replaced: add --overwrite, or write elsewhere."
        )
    with store.alone():
        if foreign is None and store.exists() and not resume:
            raise InputError(
                f"The folder {folder} holds a cohort already: add --resume to go on with it, or write elsewhere."
            )
        store.create(cases)
        if unused is not None:
            store.write_unused(unused)
        models = cache(_known_models)
        missing = [case for case in cases if not resume or not _is_done(case, store, options, models)]
        progress = Progress(len(cases) - len(missing), len(cases), 0, 0.0, None)
        on_progress(progress)
        try:
            if missing:
                with connected(workers, scheduler, len(missing)) as client:
                    progress = _score_all(client, missing, store, options, threshold, progress, on_progress)
        finally:
            with ExitStack() as last:
                last.callback(write_page, store, threshold)  # also if a table cannot be written
                judged = store.write_tables(threshold)
        return replace(progress, judged=judged)


@contextmanager
def connected(workers: int | None, scheduler: str | None, cases: int) -> Iterator[Client]:
    """A client of the scheduler, or of processes on this machine that end with it.

    Raises:
        InputError: The scheduler does not answer.
    """
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(_SETTINGS))
        if scheduler is not None:
            try:
                with dask.config.set({"distributed.comm.timeouts.connect": f"{_PATIENCE_S}s"}):
                    client = Client(scheduler, set_as_default=False)
            except (OSError, ValueError) as error:
                raise InputError(f"No Dask scheduler answers at {scheduler}: check the address ({error}).") from error
        else:
            spill = stack.enter_context(tempfile.TemporaryDirectory(prefix="segquality-"))
            with _interrupts_kept_from_workers():
                cluster = stack.enter_context(
                    LocalCluster(
                        n_workers=max(1, min(workers or CPU_COUNT, cases)),
                        threads_per_worker=_THREADS,
                        processes=True,
                        dashboard_address="127.0.0.1:0",  # for this machine alone, and beside another cohort's
                        local_directory=spill,
                        silence_logs=50,  # a killed worker is told in our own words, if it matters
                    )
                )
            client = Client(cluster, set_as_default=False)
        yield stack.enter_context(client)


def _check_answers(scheduler: str) -> None:
    """Check that a scheduler listens at an address; Dask would ask again and again for half a minute.

    Raises:
        InputError: The address is none, or no scheduler answers within four seconds.
    """
    failure: list[str] = []

    async def greet() -> None:
        arguments = Security().get_connection_args("client")
        await (await connect(scheduler, timeout=_PATIENCE_S, **arguments)).close()

    def ask() -> None:
        try:
            protocol, place = parse_address(scheduler)
            if protocol in ("tcp", "tls"):  # a refusal is known at once
                socket.create_connection(parse_host_port(place), _PATIENCE_S).close()
            asyncio.run(greet())
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            failure.append(str(error))

    asking = threading.Thread(target=ask, daemon=True)  # a name server may keep silent for longer
    asking.start()
    asking.join(_PATIENCE_S)
    if asking.is_alive() or failure:
        reason = failure[0] if failure else f"no answer within {_PATIENCE_S:g} seconds"
        raise InputError(f"No Dask scheduler answers at {scheduler}: check the address ({reason}).")


@contextmanager
def _interrupts_kept_from_workers() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, so that the command alone ends them, without their tracebacks."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # when the first worker starts it, it lets interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # threads and processes inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _score_all(
    client: Client,
    cases: Sequence[CohortCase],
    store: CohortFolder,
    options: ScoringOptions,
    threshold: float,
    before: Progress,
    on_progress: Callable[[Progress], None],
) -> Progress:
    """Keep the workers busy with a bounded number of cases, and store each as it comes.

    Dask gives up all cases that a worker has when it dies too often, and not only the one that kills it: these are
    tried again at the end, each alone.
    """
    waiting = iter(cases)
    suspected: list[CohortCase] = []
    names: dict[Any, str] = {}
    finished = as_completed(loop=client.loop)
    start = tables_at = time.monotonic()
    done = failed = 0
    progress = before

    threads, threads_asked = 0, -math.inf

    def submit_more() -> None:
        nonlocal threads, threads_asked  # workers of a cluster come and go
        if time.monotonic() - threads_asked > _THREADS_ASKED_EVERY_S:
            threads, threads_asked = sum(client.nthreads().values()), time.monotonic()
        room = _AHEAD * max(threads, 1) - len(names)
        for _ in range(room):
            case = next(waiting, None)
            if case is None:
                break
            submit(case)
        if not names and suspected:
            submit(suspected.pop(0))

    def submit(case: CohortCase) -> None:
        future = client.submit(score_case, case, options, pure=False)
        names[future.key] = case.name
        finished.add(future)

    by_name = {case.name: case for case in cases}
    once_more: set[str] = set()
    submit_more()
    for future in finished:
        case = by_name[names.pop(future.key)]
        if case.name not in once_more and _was_killed(future):
            once_more.add(case.name)
            suspected.append(case)
            future.release()
            submit_more()
            continue
        del by_name[case.name]
        scored = _outcome(future, case, options)
        future.release()
        submit_more()  # before the disk: the workers need not wait for it
        done += 1
        result = replace(scored.result, request=store.with_places(scored.result.request, case))
        store.write(result, scored.pictures)
        failed += scored.result.error is not None
        now = time.monotonic()
        rate = done / (now - start)
        progress = Progress(before.done + done, before.total, failed, rate, (len(cases) - done) / rate)
        on_progress(progress)
        if now - tables_at > _TABLES_EVERY_S:
            with suppress(ReportError):  # a spreadsheet may have one open; what counts is each case's own file
                store.write_tables(threshold)
            tables_at = time.monotonic()
    return progress


def _was_killed(future: Future) -> bool:
    """Whether the workers that had a case died too often."""
    return future.status == "error" and isinstance(future.exception(), KilledWorker)


def _outcome(future: Future, case: CohortCase, options: ScoringOptions) -> Scored:
    """What became of a case, also where its worker died."""
    try:
        return future.result()
    except KilledWorker:
        reason = "Its worker was killed each time, also with no other case: it may need more memory than there is."
    except FutureCancelledError as error:
        raise InputError("The Dask scheduler went away: start it again, and go on with --resume.") from error
    except ImportError as error:
        raise InputError(f"The workers lack a package ({error}): install SegQualityQCLib[cohort] there.") from error
    except Exception as error:  # whatever a distant machine raises
        reason = f"Its worker failed: {type(error).__name__}: {str(error)[:200]}"
    return Scored(CaseResult(case.name, request_of(case, options.model, options.method.value), (), reason, 0.0), [])


def _is_done(
    case: CohortCase, store: CohortFolder, options: ScoringOptions, models: Callable[[str | None], set[str]]
) -> bool:
    """Whether there is a good result for the same files, made by a model that is still the one."""
    result = store.read(case.name)
    request = store.with_places(request_of(case, options.model, options.method.value), case)
    if result is None or result.error is not None or result.request != request:
        return False
    known = models(case.model or options.model)
    return all(report.model.sha256 in known for report in result.reports)


def _known_models(model: str | None) -> set[str]:
    try:
        folders = [find_bundle(model)] if model is not None else available_bundles()
        without_training = {built_in_bundle(name).sha256 for name, family in FAMILIES.items() if family.built_in}
        return {load_bundle(folder).sha256 for folder in folders} | without_training
    except BundleError:
        return set()
