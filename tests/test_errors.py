"""What is taken for a lack of memory: the words of torch for it, and nothing else."""

import pytest

from mobilevit.errors import ImageError, OutOfMemoryError, memory_errors

MESSAGES = [
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.25 GiB.",
    "CUDA error: out of memory",
    "MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1.00 MB, max allowed: 9.07 GB).",
    "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "unable to mmap 123 bytes from file </torch_1_2>: Cannot allocate memory (12)",
    "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
    "shared memory. Please try to raise your shared memory limit.",
    "DataLoader worker (pid 7) is killed by signal: Killed. ",
]


@pytest.mark.parametrize("error", [MemoryError(), *map(RuntimeError, MESSAGES)], ids=lambda error: str(error)[:20])
def test_memory_that_ran_out_is_said_with_what_to_do(error: Exception) -> None:
    with (
        pytest.raises(OutOfMemoryError, match=r"^out of memory.*: take less$") as caught,
        memory_errors(lambda: "take less"),
    ):
        raise error
    assert caught.value.__cause__ is error
    assert ("tried to allocate" in str(caught.value)) == ("tried to allocate" in str(error).lower())


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), KeyError("memory"), ImageError("out of memory")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, memory_errors(lambda: "take less"):
        raise error
    assert caught.value is error
