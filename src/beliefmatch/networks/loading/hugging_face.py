"""Image classifiers of transformers: `hf:FOLDER` or `hf:OWNER/NAME`, with changes to their configuration after a ?."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from beliefmatch.errors import BeliefMatchError, FolderError, NetworkError, WeightsError, first_line, the_nearest
from beliefmatch.networks.inputs import InputSpec
from beliefmatch.networks.loading.base import AbstractOrigin, height_and_width, refuse_misspelt, split_query
from beliefmatch.networks.loading.construction_limits import limited_construction
from beliefmatch.networks.loading.packages import only_weights, quiet, require
from beliefmatch.networks.loading.suggestions import near_paths
from beliefmatch.networks.output_kinds import OutputKind, configured_kind
from beliefmatch.networks.unsupported import explain_class
from beliefmatch.runs.reading import read_json

PREFIX = "hf:"
EXTRA = "beliefmatch[hf]"
MAX_LABELS = 1_000_000
"""Classes of a classifier; ImageNet has 21,843 at most."""
RESCALE_TOLERANCE = 1e-4
"""How far the largest pixel may be from 1 and count as 1: configurations write 1 / 255 in few digits."""


@dataclass(frozen=True, kw_only=True)
class FromHuggingFace(AbstractOrigin):
    """A folder that `save_pretrained` wrote, such as hf:my_vit, or a repository of the hub. No code of it is run."""

    def make(self, *, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        """Build the network from its configuration alone; its weights come along only with `?pretrained`."""
        if pretrained and self._arguments.get("pretrained"):
            return self._load_weights()
        config = self._config(num_labels=num_classes, num_channels=in_channels)
        with self._explained("cannot be made"), limited_construction(self.architecture):
            classifier = require("transformers", install=EXTRA).AutoModelForImageClassification
            return classifier.from_config(config, trust_remote_code=False)

    def load(self, spec: InputSpec) -> nn.Module:
        """Load the network with its weights and their classes."""
        return self._load_weights()

    def known_inputs(self) -> InputSpec | None:
        """Return what the configurations of network and preprocessor say; None where neither gives a size."""
        config, preprocessor = self._config(), self._preprocessor()
        sizes = (
            getattr(config, "image_size", None),
            preprocessor.get("crop_size") if preprocessor.get("do_center_crop", True) else None,
            preprocessor.get("size"),
        )
        size = next((found for found in map(height_and_width, sizes) if found), None)
        if size is None:
            return None
        channels = getattr(config, "num_channels", 3)
        normalised = preprocessor.get("do_normalize", True)
        mean, std = (
            _for_each_channel(preprocessor.get(key), channels) if normalised else None
            for key in ("image_mean", "image_std")
        )
        is_known = not normalised or (mean is not None and std is not None)
        mean, std = _of_scaled_pixels(mean, std, preprocessor)
        source = "checkpoint" if is_known else None
        return InputSpec(shape=(channels, *size), mean=mean, std=std, normalisation_from=source)

    def known_outputs(self) -> OutputKind | None:
        """Return what the configuration says of the outputs: transformers takes a single one for a regression."""
        return configured_kind(self._config())

    def locate(self) -> str:
        """Return the architecture with the path of its folder made absolute; a repository's name stays as it is."""
        repository, question, query = self.architecture.removeprefix(PREFIX).partition("?")
        return f"{PREFIX}{Path(repository).absolute() if self._is_local else repository}{question}{query}"

    @property
    def _repository(self) -> str:
        return split_query(self.architecture.removeprefix(PREFIX))[0]

    @property
    def _arguments(self) -> dict[str, Any]:
        return split_query(self.architecture)[1]

    @property
    def _is_local(self) -> bool:
        return Path(self._repository).is_dir()

    def _config(self, **changes: Any) -> Any:
        self._check_repository()
        refuse_misspelt(self.architecture, "pretrained")
        transformers = require("transformers", install=EXTRA)
        own = {key: value for key, value in self._arguments.items() if key != "pretrained"}
        for each in (self._read("config.json"), changes, own):
            _check_num_labels(each, self._repository)
        with self._explained("has no configuration that transformers understands"):
            config = transformers.AutoConfig.from_pretrained(
                self._repository, trust_remote_code=False, local_files_only=self._is_local
            )
        for name in getattr(config, "architectures", None) or ():
            if task := explain_class(str(name)):
                raise NetworkError(f"{self._repository} is a {name}: {task}")
        for key in own:
            if not hasattr(config, key):
                nearest = the_nearest(key, config.to_dict())
                raise NetworkError(f"the configuration of {self._repository} has no {key!r}; {nearest}")
        with self._explained("cannot have that configuration"):
            for key, value in (changes | own).items():
                setattr(config, key, value)
        _check_no_kernels(config, self._repository)
        return config

    def _check_repository(self) -> None:
        """Check that what looks like a path is one, before the hub is asked for it."""
        path = Path(self._repository)
        looks_like_a_path = self._repository.count("/") != 1 or self._repository[:1] in "./~" or path.exists()
        if not self._is_local and (looks_like_a_path or path.parent.is_dir()):
            raise NetworkError(
                f"no folder at {self._repository}: hf: takes a folder, or a repository as OWNER/NAME"
                f"{near_paths(Path(self._repository))}"
            )

    def _load_weights(self) -> nn.Module:
        config = self._config()
        classifier = require("transformers", install=EXTRA).AutoModelForImageClassification
        with self._explained("cannot be loaded"), only_weights(), limited_construction(self.architecture):
            network, found = classifier.from_pretrained(
                self._repository,
                config=config,
                trust_remote_code=False,
                local_files_only=self._is_local,
                output_loading_info=True,
                # They are named in the error below.
                ignore_mismatched_sizes=True,
                weights_only=True,
            )
        missing = [*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])]
        if missing:
            raise WeightsError(
                f"{self.architecture} has no weights for {len(missing)} of its tensors, such as {sorted(missing)[0]}: "
                f"is it a trained image classifier{' of this image_size' * ('image_size' in self._arguments)}?"
            )
        return network

    def _preprocessor(self) -> dict[str, Any]:
        """Read the configuration of the preprocessor; empty where the folder or the repository has none."""
        return self._read("preprocessor_config.json")

    def _read(self, name: str) -> dict[str, Any]:
        """Read a file of JSON; empty where the folder or the repository has none."""
        if self._is_local:
            path = Path(self._repository) / name
        else:
            hub = require("huggingface_hub", install=EXTRA)
            try:
                with quiet():
                    path = Path(hub.hf_hub_download(self._repository, name))
            except Exception:  # Where it is missing, or cannot be reached, nothing is known of it.
                return {}
        if not path.exists():
            return {}
        try:
            return read_json(path)
        except FolderError as error:
            raise NetworkError(str(error)) from error

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Convert whatever transformers raises to one line, and silence its warnings and progress bars."""
        logs = require("transformers.utils.logging", install=EXTRA)
        showed = logs.is_progress_bar_enabled()
        logs.disable_progress_bar()
        try:
            with quiet():
                yield
        except BeliefMatchError:
            raise
        except Exception as error:
            # A configuration, weights or a connection can be broken in any way.
            raise NetworkError(f"{self.architecture} {what} ({type(error).__name__}: {first_line(error)})") from error
        finally:
            if showed:
                logs.enable_progress_bar()


def _check_num_labels(configuration: Any, repository: str) -> None:
    """Check how many labels a configuration asks for, at any depth: transformers makes a table of them."""
    if isinstance(configuration, list):
        for part in configuration:
            _check_num_labels(part, repository)
    for key, value in configuration.items() if isinstance(configuration, dict) else ():
        if str(key).strip("_") == "num_labels" and isinstance(value, int | float) and value > MAX_LABELS:
            raise NetworkError(
                f"{repository} asks for more than {MAX_LABELS:,} classes, which is the most there may be"
            )
        _check_num_labels(value, repository)


def _check_no_kernels(config: Any, repository: str) -> None:
    """Refuse a configuration that would have code fetched from the hub: transformers takes it for an implementation."""
    parts = [config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", ()))]
    for part in parts:
        for name in ("_attn_implementation", "_experts_implementation"):
            chosen = getattr(part, name, None)
            if chosen is not None and not re.fullmatch(r"\w+(\|\w+)?", str(chosen)):
                raise NetworkError(f"{repository} is refused: its {name} is {chosen}, which may be code of the hub")


def _of_scaled_pixels(
    mean: tuple[float, ...] | None, std: tuple[float, ...] | None, preprocessor: Mapping[str, Any]
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return mean and std of pixels in [0, 1], where the preprocessor scales stored pixels otherwise, or not at all."""
    factor = preprocessor.get("rescale_factor", 1 / 255) if preprocessor.get("do_rescale", True) else 1.0
    largest = 255 * factor if isinstance(factor, int | float) and factor > 0 else 1.0
    if abs(largest - 1) < RESCALE_TOLERANCE:
        return mean, std
    return tuple(value / largest for value in mean or (0.0,)), tuple(value / largest for value in std or (1.0,))


def _for_each_channel(constant: object, channels: int) -> tuple[float, ...] | None:
    """Read a constant of the normalisation, which may be one number for all channels; None where it does not fit."""
    match constant:
        case int() | float():
            return (float(constant),) * channels
        case list() if len(constant) == channels and all(isinstance(value, int | float) for value in constant):
            return tuple(map(float, constant))
        case _:
            return None
