"""How many processes or threads decode images on this machine."""

import os


def auto_workers(processes: int = 1, *, device: str = "cpu") -> int:
    """Worker processes for each of `processes` on this machine that train on a `device` of that type.

    One less than the cores. For a CPU none for two cores: training keeps both busy, and decoding (750 images of
    224 px a second) is a tenth of its work: measured with mobilevit_xxs at 128 px, 73 images a second without
    workers, 67 with one, 66 with two. For a GPU one at least, so that it does not wait for each batch to be decoded.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cores // processes
    if device == "cuda":
        return min(max(1, share - 1), MOST_WORKERS_OF_GPU)
    return min(share - 1, MOST_WORKERS) if share > 2 else 0


MOST_WORKERS = 8  # decode about 6000 images of 224 px a second
# A GPU takes as many images as the cores decode, up to a rate that no measurement has shown yet. The bound is for
# machines of a hundred cores, where a worker more is memory for AHEAD batches and nothing else.
MOST_WORKERS_OF_GPU = 32
