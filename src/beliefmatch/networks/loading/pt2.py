"""A program of `torch.export` as a teacher: a `.pt2` file."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import fx, nn
from torch.fx.graph import CodeGen

from beliefmatch.errors import NetworkError, first_line
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.converted import AbstractProgramFile, ConvertedProgram, ProgramInput, read_sizes
from beliefmatch.networks.loading.packages import quiet
from beliefmatch.networks.loading.pt2_archive import NAMED, ExportedArchive, read_archive
from beliefmatch.networks.unsupported import SEVERAL_INPUTS, TOKENS

SUFFIX = ".pt2"
FLOAT32 = 7
OTHER_FLOATS = {6: "float16", 8: "float64", 13: "bfloat16"}
"""Numbers of types, as the file has them."""
HIGHER_ORDER = "torch.ops.higher_order."
WITHOUT_CONTROL = ("wrap_with_set_grad_enabled", "wrap_with_autocast")
"""Operators on graphs that run their graph once, whatever the values are."""
TRAINING = ("train", "training")
"""What operators call the flag that sets them to train mode."""


@dataclass(frozen=True, kw_only=True)
class ExportedProgram(AbstractProgramFile):
    """A file that `torch.export.save` wrote."""

    def load(self, spec: InputSpec) -> nn.Module:
        """Load the program, after a check of all that is in the file."""
        archive = read_archive(Path(self.architecture))
        taken = _check_program(archive)
        taken.check(spec, name=str(archive.path))
        program = _load_graph(archive)
        return ConvertedProgram(
            program,
            batch_size=taken.batch_size,
            operators={node.name: _short(str(node.target)) for node in program.graph.nodes},
            name=str(archive.path),
            outputs=_names_of_outputs(archive),
        )

    def known_inputs(self) -> InputSpec | None:
        """Return the shape of the program's input, where all of it but the batch is fixed."""
        return _check_program(read_archive(Path(self.architecture))).spec


def _load_graph(archive: ExportedArchive) -> fx.GraphModule:
    """Load the graph as a module that takes the batch by position and returns a tuple."""
    with quiet():
        try:
            program = torch.export.load(archive.rewritten()).module()
            assert isinstance(program, fx.GraphModule)
            program.graph.set_codegen(CodeGen())
            return fx.GraphModule(program, program.graph)
        except Exception as error:
            # What torch cannot make of the file's data can fail in any way.
            raise NetworkError(f"{archive.path} cannot be loaded: {first_line(error)}") from error


def _names_of_outputs(archive: ExportedArchive) -> list[str] | None:
    """Return the names of a program's outputs, where it returns a dictionary."""
    _, tree = json.loads(archive.program["graph_module"]["module_call_graph"][0]["signature"]["out_spec"])
    is_flat = all(child["type"] is None for child in tree["children_spec"])
    return json.loads(tree["context"]) if tree["type"] in NAMED and is_flat else None


def _check_program(archive: ExportedArchive) -> ProgramInput:
    """Check before loading that a program can be a teacher, and return what it takes."""
    path, graph = archive.path, archive.program["graph_module"]
    for node in archive.nodes:
        target = node["target"]
        if target.startswith(HIGHER_ORDER) and target.removeprefix(HIGHER_ORDER) not in WITHOUT_CONTROL:
            raise NetworkError(
                f"{path} has control flow that depends on values ({target.removeprefix(HIGHER_ORDER)}): expected a "
                "graph of plain operators"
            )
        if any(given["name"] in TRAINING and given["arg"].get("as_bool") for given in node["inputs"]):
            raise NetworkError(f"{path} was exported in train mode ({_short(target)} does so): export model.eval()")
    signature = graph["signature"]
    _check_types(archive)
    given = [spec["user_input"]["arg"] for spec in signature["input_specs"] if "user_input" in spec]
    tensors = [argument["as_tensor"]["name"] for argument in given if "as_tensor" in argument]
    if len(given) != 1 or len(tensors) != 1:
        raise NetworkError(f"{path} takes {len(given)} inputs, expected one: a batch; {SEVERAL_INPUTS}")
    meta = graph["graph"]["tensor_values"][tensors[0]]
    if meta["dtype"] != FLOAT32:
        tokens = "" if meta["dtype"] in OTHER_FLOATS else f"; {TOKENS}"
        raise NetworkError(f"{path} takes {OTHER_FLOATS.get(meta['dtype'], 'integers')}, expected float32{tokens}")
    return read_sizes([size.get("as_int") for size in meta["sizes"]], name=str(path))


def _short(target: str) -> str:
    """Return the name of an operator without its library's prefix and its overload."""
    return ".".join(target.removeprefix("torch.ops.").split(".")[:2])


def _check_types(archive: ExportedArchive) -> None:
    path = archive.path
    payloads = [payload for config in archive.configs.values() for payload in config["config"].items()]
    for name, payload in payloads:
        if payload["tensor_meta"]["dtype"] in OTHER_FLOATS:
            kind = OTHER_FLOATS[payload["tensor_meta"]["dtype"]]
            raise NetworkError(f"{path} computes in {kind} ({name}), expected float32: export model.float()")
    devices = archive.devices - {"cpu"}
    if devices:
        raise NetworkError(f"{path} is bound to a device ({min(devices)}): export it from the CPU")
