"""The same numbers whatever the number of threads, the size of a batch, or which replicates run together."""

import numpy as np
import pytest

from stemtrial.errors import Interrupted, WorkerError
from stemtrial.simulation import Store, in_batches
from stemtrial.trial.replicates import Plan, simulate

SEED = 5


def same(first, second):
    return first.keys() == second.keys() and all(first[k].tobytes() == second[k].tobytes() for k in first)


@pytest.fixture(scope="module")
def whole(small):
    return simulate(small, SEED, np.arange(12))


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 5, 12])
def test_threads_and_batches_change_no_byte(small, whole, workers, batch):
    found = in_batches(lambda ids: simulate(small, SEED, ids), 12, batch, workers)
    assert same(found, whole)


def test_a_single_replicate_run_alone_is_the_one_of_the_run(small, whole):
    alone = simulate(small, SEED, np.array([7]))
    assert all(alone[k][0].tobytes() == whole[k][7].tobytes() for k in whole)


def test_repeated_measures_of_a_replicate_do_not_depend_on_the_others(small):
    data = small.trial.model_dump(mode="json")
    data["question"]["analysis"] = "mmrm"
    repeated = Plan.of(type(small.trial).model_validate(data))
    all_of_them = simulate(repeated, SEED, np.arange(12))
    alone = simulate(repeated, SEED, np.array([7]))
    assert all(alone[k][0].tobytes() == all_of_them[k][7].tobytes() for k in alone)
    assert np.isfinite(all_of_them["estimate"]).all()


def test_order_of_replicates_is_only_order(small, whole):
    order = np.array([3, 11, 0])
    found = simulate(small, SEED, order)
    assert all(found[k].tobytes() == whole[k][order].tobytes() for k in whole)


def test_another_seed_is_another_trial(small, whole):
    assert not np.isclose(simulate(small, SEED + 1, np.arange(12))["estimate"], whole["estimate"]).any()


def test_the_first_patients_of_a_larger_arm_are_those_of_the_smaller(small):
    data = small.trial.model_dump(mode="json")
    data["arms"]["cells"]["n"] = 40
    larger = Plan.of(type(small.trial).model_validate(data))
    for arm, n in (("saline", 16), ("cells", 24)):
        few, many = (p.cast(arm, SEED, np.arange(3)) for p in (small, larger))
        assert (few.people.z == many.people.z[:, :, :n]).all()
        assert (few.people.covariates.pain == many.people.covariates.pain[:, :n]).all()
        assert (few.chance.noise == many.chance.noise[:, :, :n]).all()


def test_an_interrupted_run_resumes_to_the_same_bytes(small, whole, tmp_path):
    store = Store(tmp_path / "partial", {"run": 1})
    calls = []

    def failing(ids):
        calls.append(ids[0])
        if ids[0] >= 6:
            raise KeyboardInterrupt
        return simulate(small, SEED, ids)

    with pytest.raises(Interrupted, match="6 of 12 replicates; the finished ones are kept"):
        in_batches(failing, 12, 3, 1, store)
    assert calls[:3] == [0, 3, 6]
    again = []
    found = in_batches(lambda ids: again.append(ids[0]) or simulate(small, SEED, ids), 12, 3, 1, store)
    assert again == [6, 9]
    assert same(found, whole)


def test_batches_of_another_run_are_not_used(small, tmp_path):
    first = Store(tmp_path / "partial", {"seed": 1})
    in_batches(lambda ids: {"x": ids}, 4, 2, 1, first)
    second = Store(tmp_path / "partial", {"seed": 2})
    found = in_batches(lambda ids: {"x": 10 * ids}, 4, 2, 1, second)
    assert found["x"].tolist() == [0, 10, 20, 30]


def test_a_worker_that_fails_stops_the_run_and_says_why():
    def failing(ids):
        raise RuntimeError("out of luck")

    with pytest.raises(WorkerError, match="replicates 0 to 0 failed: RuntimeError: out of luck"):
        in_batches(failing, 4, 1, 1)


def test_batches_finished_before_a_failure_are_kept(small, tmp_path):
    store = Store(tmp_path / "partial", {"run": 2})

    def failing(ids):
        if ids[0] == 2:
            raise MemoryError
        return {"x": ids}

    with pytest.raises(WorkerError, match="replicates 2 to 3 failed: MemoryError"):
        in_batches(failing, 6, 2, 1, store)
    again = []
    found = in_batches(lambda ids: again.append(ids[0]) or {"x": ids}, 6, 2, 1, store)
    assert 0 not in again
    assert found["x"].tolist() == list(range(6))


def test_common_patients_make_the_effect_of_a_design_change_nearly_noise_free(small):
    """Cells against inert cells in the same patients: the spread of the difference falls at least threefold."""
    replicates = np.arange(200)
    found = simulate(small, SEED, replicates)
    shared = found["estimate"] - found["null_estimate"]
    independent = found["estimate"] - simulate(small, SEED, replicates + 1000)["null_estimate"]
    assert independent.std() / shared.std() > 3
