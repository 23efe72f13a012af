"""How fast a cohort is scored beside the networks alone, how its memory grows, and what a case costs the scheduler.

Run: ``python Testing/Benchmarks/cohort_speed.py [--cases 180] [--memory-cases 2000]``. The networks alone get prepared
tensors in the same number of processes. Compare the shares across machines: the share of rates where nothing else runs,
the share of processor times on a busy machine too.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import tempfile
import time
from dataclasses import replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import numpy as np
import psutil
from distributed import as_completed
from simulated_candidates import acdc_volumes, write_candidates

from SegQualityQCLib.cohort.manifest import CohortCase
from SegQualityQCLib.cohort.running import Progress, connected, run_cohort
from SegQualityQCLib.estimators.loading import load_estimator
from SegQualityQCLib.reading.cases import read_cases

GOAL = 0.6


def cohort_pace(cases: list[CohortCase], workers: int) -> tuple[float, float]:
    """Cases a second, and processor milliseconds a case of all processes together, once the workers are up."""
    times: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        run_cohort(
            cases,
            Path(folder) / "out",
            workers=workers,
            on_progress=lambda progress: times.append((time.perf_counter(), _processor_seconds())),
        )
    warm = 4 * workers  # the first cases of each thread load packages and the model
    count = len(times) - 1 - warm
    return count / (times[-1][0] - times[warm][0]), 1000 * (times[-1][1] - times[warm][1]) / count


def _processor_seconds() -> float:
    """Processor time that this process and its children have used."""
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total


def bare_pace(cases: list[CohortCase], processes: int) -> tuple[float, float]:
    """The same for the networks alone, on prepared tensors, all processes at once."""
    context = multiprocessing.get_context("spawn")
    ready, go, done = context.Barrier(processes + 1), context.Event(), context.Barrier(processes + 1)
    parts, used = [cases[n::processes] for n in range(processes)], context.Queue()
    workers = [context.Process(target=_bare, args=(part, ready, go, done, used)) for part in parts]
    for worker in workers:
        worker.start()
    ready.wait()
    start = time.perf_counter()
    go.set()
    done.wait()
    seconds = time.perf_counter() - start
    processor = sum(used.get() for _ in workers)
    for worker in workers:
        worker.join()
    return len(cases) / seconds, 1000 * processor / len(cases)


def _bare(cases: list[CohortCase], ready: Barrier, go: Event, done: Barrier, used: Queue[float]) -> None:
    import torch

    torch.set_num_threads(1)
    estimator = load_estimator(None, "cpu")
    prepared = []
    for entry in cases:
        (case,) = read_cases(entry.image, entry.segmentation, label=entry.label)
        windowed = estimator.inputs(case)
        drawn = windowed.mask.any(axis=(1, 2))
        prepared.append((windowed.image[drawn].astype(np.float16), windowed.mask[drawn]))  # half: less memory
    ready.wait()
    go.wait()
    start = time.process_time()
    for image, mask in prepared:
        for first in range(0, len(image), 8):
            estimator.predict(image[first : first + 8].astype(np.float32), mask[first : first + 8])
    used.put(time.process_time() - start)
    done.wait()


def print_memory(cases: list[CohortCase], count: int, workers: int) -> None:
    """Print how the memory of all processes grows over many cases, after the first fifth."""
    many = [replace(cases[n % len(cases)], name=f"{cases[n % len(cases)].name} {n}") for n in range(count)]
    me = psutil.Process()
    samples: list[tuple[int, float, float]] = []

    def sample(progress: Progress) -> None:
        if progress.done % 20 == 0:
            children = sum(_resident(child) for child in me.children(recursive=True))
            samples.append((progress.done, _resident(me), children))

    with tempfile.TemporaryDirectory() as folder:
        run_cohort(many, Path(folder) / "out", workers=workers, on_progress=sample)
    late = np.array([entry for entry in samples if count / 5 <= entry[0] < count])
    own = np.polyfit(late[:, 0], late[:, 1], 1)[0] * 1000
    theirs = np.polyfit(late[:, 0], late[:, 2], 1)[0] * 1000
    print(
        f"memory over {count} cases: this process {late[-1, 1]:.0f} MB, slope {own:+.1f} MB per 1000 cases; "
        f"{workers} workers {late[-1, 2]:.0f} MB, slope {theirs:+.1f} MB per 1000 cases"
    )


def _resident(process: psutil.Process) -> float:
    try:
        return process.memory_info().rss / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def print_overhead(workers: int, count: int = 500) -> None:
    """Print the cost of a case without work: sent, run and fetched as the cohort does it."""
    with connected(workers, None, count) as client:
        client.submit(_nothing, 0, pure=False).result()
        start = time.perf_counter()
        waiting = iter(range(count))
        finished = as_completed(
            [client.submit(_nothing, next(waiting), pure=False) for _ in range(8)], loop=client.loop
        )
        for future in finished:
            future.result()
            number = next(waiting, None)
            if number is not None:
                finished.add(client.submit(_nothing, number, pure=False))
        each = 1000 * (time.perf_counter() - start) / count
    print(f"scheduler overhead {each:.1f} ms a case with {workers} workers")


def _nothing(number: int) -> int:
    return number


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=180)
    parser.add_argument("--memory-cases", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [entry.case for entry in write_candidates(acdc_volumes()[: arguments.cases], Path(folder), 1)]
        for workers in (1, 2):
            rate, used = cohort_pace(cases, workers)
            bare_rate, bare_used = bare_pace(cases, workers)
            print(
                f"{workers} worker{'s' if workers > 1 else ''}: {rate:.2f} cases/s, "
                f"networks alone in as many processes {bare_rate:.2f} cases/s, "
                f"share {rate / bare_rate:.0%} (goal at least {GOAL:.0%} with 2 on 2 cores); "
                f"processor time {used:.0f} ms a case, networks alone {bare_used:.0f} ms, share {bare_used / used:.0%}"
            )
        print_overhead(2)
        if arguments.memory_cases:
            print_memory(cases, arguments.memory_cases, 2)


if __name__ == "__main__":
    main()
