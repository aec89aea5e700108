"""Cells of a study over benchmarks as tasks of Ray: on this machine, or on a cluster's machines."""

from collections.abc import Callable, Sequence
from typing import Any

from saccade.controller.errors import StudyError
from saccade.studies.lmms.cells import Cell, How, run_cell

RETRIES = 3
"""How often Ray begins a cell again whose worker was lost; it goes on with the answers it has."""
LOCAL = "local"


def run_on_ray(
    cells: Sequence[Cell], how: How, address: str, told: Callable[[int, str], None]
) -> list[str]:
    """Run cells side by side; gives what went wrong.

    A cell takes as many GPUs as it has processes where the cluster has any, else as many CPUs. All
    machines see the folder of the results under the same path.

    Parameters
    ----------
    cells : sequence of Cell
    how : How
    address : str
        Of the cluster, as ``ray.init`` takes it ("auto": the one this machine belongs to); "local"
        starts one here.
    told : callable
        ``told(done, label)``.

    Raises
    ------
    StudyError
        Without Ray, or if there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise StudyError("--ray needs Ray; pip install 'saccade-dmllm[ray]'") from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise StudyError(f"--ray {address}: no cluster there ({error})") from error
    try:
        return _run(ray, cells, how, told)
    finally:
        ray.shutdown()


def _run(ray: Any, cells: Sequence[Cell], how: How, told: Callable[[int, str], None]) -> list[str]:
    gpus = how.device != "cpu" and bool(ray.cluster_resources().get("GPU"))
    needs = {"num_gpus": how.processes, "num_cpus": 1} if gpus else {"num_cpus": how.processes}
    remote = ray.remote(max_retries=RETRIES, **needs)(_cell)
    waiting = {remote.remote(cell, how): cell for cell in cells}
    told(0, f"{len(cells)} cells on Ray")
    failed = []
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        cell = waiting.pop(ready)
        try:
            problem = ray.get(ready)
        except ray.exceptions.RayError as error:
            problem = f"{cell.label} failed on Ray: {str(error).splitlines()[0]}"
        failed += [] if problem is None else [problem]
        told(len(cells) - len(waiting), cell.label)
    return failed


def _cell(cell: Cell, how: How) -> str | None:
    """Run a cell in a worker; what went wrong in it is no failure of the worker."""
    try:
        run_cell(cell, how)
    except StudyError as error:
        return str(error)
    return None
