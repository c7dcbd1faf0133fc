"""A job in a cluster's queue is asked for until it has ended.

Where its questions find no answer, as while Slurm's controller is started anew, the plugin says
nothing of its jobs. Snakemake takes that for their end, asks no more and waits for ever.
"""

import functools
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any


def keep_jobs() -> None:
    """Lets Snakemake forget only the jobs whose end was reported, whatever cluster has them."""
    # Snakemake has imported it where a plugin for a cluster is installed.
    interface = sys.modules.get("snakemake_interface_executor_plugins.executors.remote")
    if interface is not None:
        for plugin in interface.RemoteExecutor.__subclasses__():
            _keep_jobs(plugin)


def _keep_jobs(plugin: Any) -> None:
    check = plugin.check_active_jobs

    @functools.wraps(check)
    async def check_active_jobs(self: Any, active_jobs: list[Any]) -> AsyncIterator[Any]:
        known: list[Any] = []

        def noting(report: Callable[..., None]) -> Callable[..., None]:
            def noted(job: Any, *positions: Any, **named: Any) -> None:
                known.append(job)
                report(job, *positions, **named)

            return noted

        ways = ("report_job_success", "report_job_error")
        for way in ways:
            setattr(self, way, noting(getattr(self, way)))
        try:
            async for job in check(self, active_jobs):
                known.append(job)
                yield job
        finally:
            for way in ways:
                delattr(self, way)
        for job in active_jobs:
            if not any(job is other for other in known):
                yield job

    plugin.check_active_jobs = check_active_jobs
