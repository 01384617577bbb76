"""Exports a finished run's network: the file, its description and its proof in one folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flexunet_exp.commands.export import (
    decisions,
    folders,
    formats,
    parity,
    pictures,
    report,
    rule_parity,
)
from flexunet_exp.commands.export.parity import EXACT, Network
from flexunet_exp.config import compose
from flexunet_exp.data.channels import Channels
from flexunet_exp.decisions.file import Decision
from flexunet_exp.errors import InputError
from flexunet_exp.prediction.networks import Blueprint, in_precision, load_network, prepare_process
from flexunet_exp.runs.folder import FinishedRun
from flexunet_exp.system.tensorflow import ProcessSettings

log = logging.getLogger(__name__)


def export(
    run: FinishedRun,
    name: str,
    output: Path,
    paths: Sequence[Path],
    tolerance: parity.Tolerance,
    overwrite: bool,
    decision: Decision | None = None,
) -> dict[str, Any]:
    """Writes the run's network in the format `name` and compares it on the pictures of `paths`.

    A decision is written beside it, and compared under its rule. The folder becomes `output` if the
    file is proven, else its unproven neighbour. Returns the proof. Raises InputError if the format
    cannot hold the network, or its runtime cannot run it.
    """
    prepare_process(run)
    size, bits = compose.image_size(run.cfg), compose.bit_depth(run.cfg)
    channels = Channels.of(compose.channels(run.cfg))
    with folders.begun(output) as part:
        networks = load(run)
        file, bound_to = formats.write(networks[-1].model, name, part, size)
        if bound_to:
            log.info("The exported network takes pictures of %d × %d px only.", *bound_to)
        if decision is not None:
            rule_parity.check_views(run, decision, bound_to)
        dtype = networks[-1].model.inputs[0].dtype
        form = (size, bits, dtype, channels)
        _, example = next(pictures.read(paths, *form))
        threads = ProcessSettings.from_config(run.cfg).num_threads
        exported = formats.opened(file, name, threads, example)
        log.info("Comparing %s with the network …", file.name)
        for network in networks:  # warmed up, as the file is
            network.model.predict_on_batch(example)
        compared = parity.compare(exported, networks, pictures.read(paths, *form))
        ruled = rule_parity.compare(run, decision, exported, paths) if decision else None
        if ruled:
            log.info("%s", ruled.describe())
        proof = report.proof(run, name, file, compared, tolerance, ruled)
        compared.to_csv(part / folders.PICTURES, index=False)
        report.write(part / folders.PARITY, proof)
        report.write(part / folders.CLASSES, report.usage(run, name, bound_to, dtype, decision))
        if decision is not None:
            report.write(part / folders.DECISION, decisions.content(decision))
        folder = output if proof["proven"] else folders.unproven(output)
        folders.finish(part, folder, overwrite)
    return proof


def load(run: FinishedRun) -> list[Network]:
    """The network as it was trained and, if that was not in float32, rebuilt in float32.

    The last one computes in float32 and is exported, because the runtimes lack 16-bit kernels.
    Raises InputError if it cannot be rebuilt.
    """
    precision = run.cfg.trainer.precision
    network = load_network(run)
    networks = [Network(f"as trained ({precision})", precision, network)]
    if precision != EXACT:
        rebuilt = in_precision(network, Blueprint.from_config(run.cfg), EXACT)
        networks.append(Network(f"in {EXACT}", EXACT, rebuilt))
    if found := {layer.compute_dtype for layer in networks[-1].model.layers} - {EXACT}:
        raise InputError(
            f"{run.network} computes in {', '.join(sorted(found))}, and an export needs float32. "
            "Only a run folder says how to rebuild the network. Give the run: run=FOLDER"
        )
    return networks
