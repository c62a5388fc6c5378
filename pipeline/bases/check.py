"""Checks of weight files: is it safe to read, what is it, is it the locked one, does it fit the network?

base or file -> rows of findings; nothing is trusted before its digest is compared
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbre.core import base as roles
from timbre.core.base import Base
from timbre.core.digests import digest_file
from timbre.core.errors import ConfigurationError, InputError
from timbre.core.weights import BaseFile, Tool

if TYPE_CHECKING:
    from timbre.gptsovits.files.checkpoints import Checkpoint

OK = "ok"
UNLOCKED = "not locked"
MISSING = "missing"
DIFFERS = "differs"
REFUSED = "refused"


@dataclass(frozen=True)
class FileCheck:
    """Check of one file of a base."""

    role: str
    """What the base uses it for, as base.yaml names it."""
    path: str
    """Below the weights folder, as base.yaml writes it."""
    state: str
    """Ok, not locked, missing, differs or refused."""
    size_bytes: int | None
    """None when the file is missing."""
    detail: str
    """What it is, or what is wrong."""

    @property
    def failed(self) -> bool:
        """True when the base cannot be used with this file."""
        return self.state in (MISSING, DIFFERS, REFUSED)


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint file is."""

    path: Path
    """As the caller gave it."""
    kind: str
    """One of KINDS of gptsovits/files/checkpoints.py."""
    version: str
    """v2, v2Pro, v2ProPlus for upstream's, or the architecture of a base of ours."""
    label: str
    """First two bytes of upstream's files, which mark the version; "safetensors" for ours."""
    info: str
    """Free text that the trainer stored in the file."""
    tensors: int
    """How many it holds."""
    parameters: int
    """Values in all tensors."""
    dtypes: tuple[str, ...]
    """Types of values, sorted, without "torch."."""
    sha256: str
    """Of the file, as a lock in base.yaml would state it."""
    complete: bool
    """Whether every tensor of its network is there; `problem` names what is missing."""
    problem: str
    """Why the weights do not fit their network; empty when they do."""


def check_base(tool: Tool, weights_root: Path | None = None) -> tuple[FileCheck, ...]:
    """Every file of a base or tool: present, of the locked digest, readable, fitting its network.

    Raises nothing for a bad file: that is a finding. A file whose digest differs is not opened.
    """
    folder = tool.weights_dir(weights_root)
    findings = [_digest_finding(item, folder / item.path) for item in tool.files]
    if not isinstance(tool, Base) or any(item.failed for item in findings):
        return tuple(findings)
    return tuple(_content_finding(tool, finding, weights_root) for finding in findings)


def check_file(path: Path) -> CheckpointFacts:
    """What one checkpoint file is. Raises InputError when it is refused, ConfigurationError when it is not there."""
    from timbre.gptsovits.files.checkpoints import read_checkpoint

    checkpoint = read_checkpoint(path)
    problem = fit_problem(checkpoint, str(path))
    with path.open("rb") as file:
        label = file.read(2)
    return CheckpointFacts(
        path=path,
        kind=checkpoint.kind,
        version=checkpoint.version,
        label=label.decode("ascii", "replace") if path.suffix != ".safetensors" else "safetensors",
        info=checkpoint.info,
        tensors=len(checkpoint.weight),
        parameters=checkpoint.parameters,
        dtypes=tuple(sorted({str(t.dtype).removeprefix("torch.") for t in checkpoint.weight.values()})),
        sha256=digest_file(path),
        complete=not problem,
        problem=problem,
    )


def fit_problem(checkpoint: Checkpoint, source: str) -> str:
    """Why the weights do not fit the network that their configuration describes; empty when they do.

    The network is built without memory for its values, so this is quick for the large ones too.
    """
    import torch

    from timbre.gptsovits.acoustic.discriminators import Discriminators
    from timbre.gptsovits.acoustic.synthesizer import Synthesizer
    from timbre.gptsovits.files import base_networks as networks
    from timbre.gptsovits.files.checkpoints import ACOUSTIC, TEXT_TO_SEMANTIC, load_weights
    from timbre.gptsovits.text_to_semantic.network import TextToSemantic

    network: Any
    try:
        with torch.device("meta"):
            if checkpoint.kind == TEXT_TO_SEMANTIC:
                network = TextToSemantic(networks.text_to_semantic_config(checkpoint, source))
            elif checkpoint.kind == ACOUSTIC:
                network = Synthesizer(networks.synthesizer_config(checkpoint, source))
            else:
                network = Discriminators(networks.discriminator_config(checkpoint, source))
        meta = {name: tensor.to("meta") for name, tensor in checkpoint.weight.items()}
        load_weights(network, meta, source, optional=("enc_q.",))
    except (InputError, ConfigurationError) as error:
        return error.message.removeprefix(f"{source}: ")
    return ""


def _digest_finding(item: BaseFile, path: Path) -> FileCheck:
    if not path.is_file():
        return FileCheck(item.role, item.path, MISSING, None, f"not at {path}")
    size_bytes = path.stat().st_size
    digest = digest_file(path)
    if item.sha256 is None:
        return FileCheck(item.role, item.path, UNLOCKED, size_bytes, f"sha256 {digest}")
    if digest != item.sha256:
        return FileCheck(item.role, item.path, DIFFERS, size_bytes, f"sha256 {digest}, locked to {item.sha256}")
    return FileCheck(item.role, item.path, OK, size_bytes, "")


def _content_finding(base: Base, finding: FileCheck, weights_root: Path | None) -> FileCheck:
    from timbre.gptsovits.files import base_networks as networks
    from timbre.gptsovits.files.checkpoints import KINDS, read_checkpoint

    path = base.weights_dir(weights_root) / finding.path
    try:
        if finding.role in KINDS:
            checkpoint = read_checkpoint(path)
            networks.require_kind(checkpoint, finding.role, base, str(path))
            problem = fit_problem(checkpoint, str(path))
            if problem:
                raise InputError(problem)
            detail = f"{checkpoint.kind} {checkpoint.version}, {checkpoint.parameters / 1e6:.1f} M values"
        elif finding.role == roles.CONTENT_ENCODER:
            encoder = networks.load_content_encoder(base, weights_root)
            detail = f"HuBERT, {sum(p.numel() for p in encoder.parameters()) / 1e6:.1f} M values"
        elif finding.role == roles.BERT:
            bert = networks.load_bert(base, weights_root)
            detail = f"BERT, {sum(p.numel() for p in bert.parameters()) / 1e6:.1f} M values"
        elif finding.role == roles.SPEAKER_ENCODER:
            networks.load_speaker_encoder(base, weights_root)
            detail = base.speaker_encoder
        else:
            detail = finding.detail
    except (InputError, ConfigurationError) as error:
        return FileCheck(finding.role, finding.path, REFUSED, finding.size_bytes, error.message)
    return FileCheck(finding.role, finding.path, finding.state, finding.size_bytes, detail)
