"""DeepFilterNet in the format of its own checkpoints, small and with random weights of our own."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from timbre.audio.waveform import Waveform
from timbre.core.errors import ConfigurationError
from timbre.pipeline.stages.validate.deepfilter import DeepFilter, _enhance_module, deepfilter_weights

torch = pytest.importorskip("torch")
if importlib.util.find_spec("df") is None:
    pytest.skip("the extra `deepfilternet` is not installed", allow_module_level=True)

CONFIG = """\
[train]
model = deepfilternet3
[df]
sr = 48000
fft_size = 960
hop_size = 480
nb_erb = 32
nb_df = 96
df_order = 5
df_lookahead = 2
[deepfilternet]
conv_lookahead = 2
conv_ch = 8
emb_hidden_dim = 16
emb_num_layers = 2
df_hidden_dim = 16
df_num_layers = 2
linear_groups = 4
enc_linear_groups = 4
"""
CHECKPOINT = "checkpoints/model_12.ckpt.best"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the official archive unpacks: config.ini and one checkpoint."""
    folder = tmp_path_factory.mktemp("deepfilter")
    (folder / "config.ini").write_text(CONFIG, encoding="utf-8")
    (folder / "checkpoints").mkdir()
    module = _enhance_module()
    torch.manual_seed(0)
    network, _, _ = module.init_df(str(folder), log_level="ERROR", log_file=None, epoch=None)
    torch.save(network.state_dict(), folder / CHECKPOINT)
    return folder


def archive(folder: Path, place: Path, prefix: str = "DeepFilterNet3/") -> Path:
    path = place / "DeepFilterNet3.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in folder.rglob("*"):
            if file.is_file():
                packed.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def copy_of(model: Path, place: Path) -> Path:
    folder = place / "copy"
    (folder / "checkpoints").mkdir(parents=True)
    for file in ("config.ini", CHECKPOINT):
        (folder / file).write_bytes((model / file).read_bytes())
    return folder


def noise(seconds: float, rate_hz: int, level: float = 0.1) -> Waveform:
    count = round(seconds * rate_hz)
    return Waveform((level * np.random.default_rng(0).standard_normal(count)).astype(np.float32), rate_hz)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_length_and_rate_stay_and_the_network_is_what_acts(model: Path, tmp_path: Path, rate_hz: int) -> None:
    denoiser = DeepFilter(archive(model, tmp_path))
    wave = noise(0.7001, rate_hz)
    clean = denoiser.denoise(wave)
    assert clean.rate_hz == rate_hz
    assert clean.samples.dtype == np.float32
    assert clean.samples.shape == wave.samples.shape
    assert np.isfinite(clean.samples).all()
    assert np.abs(clean.samples).max() > 0
    assert not np.allclose(clean.samples, wave.samples, atol=1e-3)


def test_the_archive_and_its_unpacked_folder_sound_alike_whatever_the_environment_says(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = noise(0.5, 16_000)
    packed = DeepFilter(archive(model, tmp_path, "some/other/")).denoise(wave)
    for name, value in {"SR": "16000", "CONV_CH": "64", "MODEL": "gpt-4", "DEVICE": "nowhere"}.items():
        monkeypatch.setenv(name, value)
    assert np.array_equal(DeepFilter(model).denoise(wave).samples, packed.samples)
    assert os.environ["SR"] == "16000"


def test_sound_beyond_full_scale_is_only_scaled(model: Path) -> None:
    denoiser = DeepFilter(model)
    loud = noise(0.5, 48_000, level=0.5)
    loud = Waveform(loud.samples / np.float32(np.abs(loud.samples).max()), 48_000)
    twice = Waveform(loud.samples * np.float32(2), 48_000)
    assert denoiser.denoise(twice).samples == pytest.approx(2 * denoiser.denoise(loud).samples, abs=1e-5)


def _without(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def _tensors(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        tensors = torch.load(folder / CHECKPOINT, weights_only=True)
        change(tensors)
        torch.save(tensors, folder / CHECKPOINT)

    return spoil


def _gru(tensors: dict) -> str:
    return next(name for name in tensors if name.endswith("weight_ih_l0"))


class _Touch:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("made-by-a-pickle",)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config.ini": (_without("config.ini"), "config.ini or checkpoints/model.* is missing"),
    "no checkpoint": (_without(CHECKPOINT), "config.ini or checkpoints/model.* is missing"),
    "damaged checkpoint": (lambda f: (f / CHECKPOINT).write_bytes(b"x" * 99), "model_12.ckpt.best: not a checkpoint"),
    "truncated checkpoint": (
        lambda f: (f / CHECKPOINT).write_bytes((f / CHECKPOINT).read_bytes()[:4000]),
        "model_12.ckpt.best: not a checkpoint",
    ),
    "code in the checkpoint": (lambda f: torch.save({"a": _Touch()}, f / CHECKPOINT), "not a checkpoint of tensors"),
    "a tensor is missing": (_tensors(lambda t: t.pop(_gru(t))), "1 of .* .*weight_ih_l0"),
    "a tensor of another size": (
        _tensors(lambda t: t.update({_gru(t): t[_gru(t)][:1]})),
        "1 of .* of another size, first .*weight_ih_l0",
    ),
    "sizes of another network": (
        lambda f: (f / "config.ini").write_text(CONFIG.replace("conv_ch = 8", "conv_ch = 16")),
        "missing or of another size",
    ),
    "config.ini is no configuration": (
        lambda f: (f / "config.ini").write_text("[train\nmodel"),
        "do not make a network",
    ),
    "unknown network": (
        lambda f: (f / "config.ini").write_text(CONFIG.replace("deepfilternet3", "deepfilternet9", 1)),
        "do not make a network",
    ),
    "checkpoint of epoch 0": (
        lambda f: (f / CHECKPOINT).rename(f / "checkpoints/model_0.ckpt.best"),
        "do not make a network",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_weights_are_for_the_operator(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil, said = FAULTS[name]
    folder = copy_of(model, tmp_path)
    spoil(folder)
    with pytest.raises(ConfigurationError, match=said) as caught:
        DeepFilter(folder)
    assert caught.value.remedy == "run: timbre base pull deepfilternet"
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_an_archive_that_is_none_is_for_the_operator(tmp_path: Path) -> None:
    path = tmp_path / "DeepFilterNet3.zip"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(ConfigurationError, match="not a readable archive"):
        DeepFilter(path)


def test_members_of_the_archive_land_nowhere_else(model: Path, tmp_path: Path) -> None:
    path = archive(model, tmp_path, "../../escape/")
    DeepFilter(path)
    assert not list(tmp_path.parent.glob("**/escape"))


def test_weights_are_found_where_an_offline_site_puts_them(model: Path, tmp_path: Path) -> None:
    bases = tmp_path / "bases"
    assert deepfilter_weights(bases, tmp_path / "weights") is None
    (bases / "deepfilternet").mkdir(parents=True)
    source = Path(__file__).parents[4] / "bases/deepfilternet/weights.yaml"
    (bases / "deepfilternet/weights.yaml").write_bytes(source.read_bytes())
    assert deepfilter_weights(bases, tmp_path / "weights") is None
    place = tmp_path / "weights/deepfilternet"
    place.mkdir(parents=True)
    copy_of(model, place)
    (place / "copy").rename(place / "unpacked")
    assert deepfilter_weights(bases, tmp_path / "weights") is None
    for file in ("config.ini", CHECKPOINT):
        target = place / file
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((model / file).read_bytes())
    assert deepfilter_weights(bases, tmp_path / "weights") == place
