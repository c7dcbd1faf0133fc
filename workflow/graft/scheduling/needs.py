"""What jobs need of the machine: cores, memory, minutes."""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from graft.images.sources import weigh_source
from graft.models.stacks import IMAGE_KINDS, read_stack
from graft.network.catalogue import look_up
from graft.project.pipeline import count_shards, stage_keys

# Bytes of images that keep a core busy for as long as Snakemake takes to give it away again. With
# fewer a shard leaves the other cores to stages that can run beside it.
_WORTH_A_CORE = 25_000_000
# Of MobileNetV2, by which the needs of other networks are reckoned.
_SIDE, _PARAMETERS = 160, 2_257_984


class Needs:
    """What the rules say that their jobs need.

    Args:
        workflow: Snakemake's `workflow`.
        values: the parameters, by section.
    """

    def __init__(self, workflow: Any, values: Mapping[str, Any]) -> None:
        self._workflow, self._values = workflow, values
        self._shares: dict[str, Callable[[str], int]] = {}

    def share_of_cores(self, stage: str, by_bytes: bool = False) -> Callable[[Iterable[str]], int]:
        """A function of the wildcards: the cores of one of the keys of a `foreach` stage.

        The keys divide all cores that Snakemake was given, and each gets at least one. A job that
        uses all cores of this machine is counted with one less. So short stages can run beside it,
        and need not wait for its end. It also works where Snakemake was given no cores, as with
        `--unlock` or `--dag`.

        Args:
            stage: its name.
            by_bytes: whether a few small images get fewer cores: their stage runs beside others.
        """
        keys, cores = stage_keys(stage), self.cores
        each, rest = divmod(cores, len(keys))

        @cache
        def find_most() -> int:
            path, most = self._values["dataset"]["path"], cores * len(keys) * _WORTH_A_CORE
            bytes_of_shard = weigh_source(path, most) / len(keys) if by_bytes else most
            return max(1, math.ceil(bytes_of_shard / _WORTH_A_CORE))

        def find_share(key: str) -> int:
            return max(1, min(each + (keys.index(key) < rest), find_most()))

        def function(wildcards: Iterable[str]) -> int:
            (key,) = wildcards
            return find_share(key) - self.count_left(stage, wildcards)

        self._shares[stage] = find_share
        return function

    def count_left(self, stage: str, wildcards: Iterable[str]) -> int:
        """How many cores a job uses besides those that Snakemake knows of: none or one.

        None where the user has said how many it gets, or where a scheduler of a cluster holds it to
        what it was given.
        """
        settings = self._workflow.resource_settings
        own = stage in (settings.overwrite_threads or ()) or settings.nodes is not None
        if own or stage not in self._shares:
            return 0
        return int(1 < self._shares[stage](*wildcards) == self.cores)

    @property
    def cores(self) -> int:
        """The cores that Snakemake was given; one where it was given none."""
        return self._workflow.resource_settings.cores or 1

    def cores_for_many(self) -> int:
        """All cores where the images are in several shards; one where they are few, so that other
        stages can run beside."""
        return self.cores if len(stage_keys("tensors")) > 1 else 1

    def amount(
        self, base: int, each: int = 0, network: str = ""
    ) -> Callable[[Iterable[str], int], int]:
        """A function of the wildcards and the attempt: a resource of a job.

        Args:
            base: what a small data set takes at the first attempt; the next asks for twice as much.
            each: what is added for each shard but the first, for a stage that reads them all.
            network: how a stage that runs the network needs more for a larger one than MobileNetV2
                at 160 pixels: `memory` (MB), by its pixels and parameters, or `minutes`. Measured
                for four networks, their times are within a factor of two of this.
        """
        total = base + each * (count_shards() - 1)

        def function(wildcards: Iterable[str], attempt: int) -> int:
            return self._suit_network(total, network) * attempt

        return function

    def _suit_network(self, amount: int, network: str) -> int:
        if not network:
            return amount
        backbone = self._values["backbone"]
        stack = read_stack(backbone["stack"], IMAGE_KINDS)
        parameters = look_up(backbone["name"], stack).parameters
        pixels = max(1.0, (self._values["image"]["side"] / _SIDE) ** 2)
        if network == "memory":
            # Beside the weights their gradients, two moments and the best of them, as float32.
            return round(amount * pixels + 20 * parameters / 1e6)
        return round(amount * pixels * max(1.0, (parameters / _PARAMETERS) ** 0.5))
