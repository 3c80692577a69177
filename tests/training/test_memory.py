import pytest
import torch

from neoresponse.errors import RunError
from neoresponse.settings import ModelSettings, RunSettings
from neoresponse.training import memory as memory_module
from neoresponse.training.fit import fit_inputs
from neoresponse.training.memory import Memory, check_memory, estimate_memory, say_what_fits
from neoresponse.training.run import train_run

CPU = torch.device("cpu")


@pytest.fixture
def fitted(store, assignments, tiny):
    return fit_inputs(store, assignments, tiny, CPU)


def changed(settings, **train):
    return settings.model_copy(update={"train": settings.train.model_copy(update=train)})


def test_weights_count_four_times_and_five_with_their_average(tiny):
    from neoresponse.models.build import build_model

    network = build_model(tiny.model, image_px=32)
    weights = sum(parameter.nbytes for parameter in network.parameters())
    assert estimate_memory(tiny).fixed_bytes == 4 * weights
    assert estimate_memory(changed(tiny, ema_decay=0.9)).fixed_bytes == 5 * weights


def test_what_a_sample_leaves_is_what_the_backward_pass_holds(fitted, tiny):
    """Against real numbers: the bytes that two samples' graph holds more than one's."""
    from neoresponse.data.forward import batch_logits
    from neoresponse.models.build import build_model

    network = build_model(tiny.model, image_px=32).train()

    def held_bytes(num):
        held = {}

        def keep(tensor):
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        chosen = torch.arange(num).numpy()
        batch = fitted.dataset.training_batch(fitted.samples, chosen, chosen)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            logits = batch_logits(network, batch)
        assert logits.shape[0] == num
        return sum(held.values())

    expected = held_bytes(2) - held_bytes(1)
    assert estimate_memory(tiny).sample_bytes == pytest.approx(expected, rel=0.25)


def test_activations_made_again_need_less():
    model = ModelSettings(pathways=("us_0",), depths=(2, 2, 2, 2))
    settings = RunSettings(model=model)
    plain = estimate_memory(settings).sample_bytes
    assert estimate_memory(changed(settings, checkpoint_activations=True)).sample_bytes < plain / 2
    assert estimate_memory(settings, is_half=True).sample_bytes < 0.6 * plain


def test_so_many_samples_fit_as_the_bytes_say():
    memory = Memory(fixed_bytes=100, sample_bytes=30)
    assert memory.needed(2) == 160
    assert [memory.that_fit(free) for free in (90, 129, 130, 220)] == [0, 0, 1, 4]


def free_for(settings, num):
    return estimate_memory(settings).needed(num) + 1


def test_a_training_that_cannot_fit_is_refused_and_told_which_part_fits(
    store, assignments, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(memory_module, "free_bytes", lambda _: free_for(tiny, 5))
    with pytest.raises(RunError, match=r"memory for 16 samples.*Set train.micro_batch = 5"):
        train_run(store, assignments, tiny, tmp_path / "run")
    train_run(store, assignments, changed(tiny, micro_batch=5), tmp_path / "again")


def test_where_not_even_one_sample_fits_other_ways_are_named(fitted, tiny, monkeypatch):
    monkeypatch.setattr(memory_module, "free_bytes", lambda _: 1000)
    with pytest.raises(RunError, match=r"Not even one fits: set train.checkpoint_activations"):
        check_memory(fitted, tiny)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_says_which_part_fits(fitted, tiny, monkeypatch, error):
    """The estimate says that all fits, which it did not: half is a safer word."""
    monkeypatch.setattr(memory_module, "free_bytes", lambda _: free_for(tiny, 40))
    with pytest.raises(RunError, match=r"train.micro_batch = 8"), say_what_fits(fitted, tiny):
        raise error


def test_another_error_stays_what_it_is(fitted, tiny):
    with pytest.raises(RuntimeError, match="shapes"), say_what_fits(fitted, tiny):
        raise RuntimeError("shapes do not fit")


def test_a_container_that_allows_less_than_the_machine_has_counts(tmp_path, monkeypatch):
    for name, text in (
        ("memory.max", "1000"),
        ("memory.current", "700"),
        ("memory.stat", "anon 500\ninactive_file 200\n"),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory_module, "_CGROUP", tmp_path)
    assert memory_module.free_bytes(CPU) == 500
    (tmp_path / "memory.max").write_text("max")
    assert memory_module.free_bytes(CPU) == memory_module._available()


def test_where_the_system_does_not_say_nothing_is_refused(fitted, tiny, monkeypatch):
    monkeypatch.setattr(memory_module, "free_bytes", lambda _: None)
    check_memory(fitted, tiny)
    with pytest.raises(RunError, match="less is free"), say_what_fits(fitted, tiny):
        raise MemoryError
