"""Makes OmegaConf parse config files with libyaml, which PyYAML's wheels contain. The result is the same.

OmegaConf 2.3.1 parses in Python (omegaconf/_utils.py, get_yaml_loader), which took a quarter of the CPU of --help and
of the start of a job. A file that libyaml refuses is parsed again in Python, whose error messages are better.
"""

from __future__ import annotations

import functools
import io
from typing import Any

import yaml
from omegaconf import _utils
from yaml.cyaml import CParser  # type: ignore[attr-defined]


class _Named(io.StringIO):
    """A text with the name of its file, which error messages contain."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


def install() -> None:
    """Make OmegaConf, and so Hydra, use `loader` if PyYAML was built with libyaml."""
    if yaml.__with_libyaml__:
        _utils.get_yaml_loader = loader


_omegaconfs_own = _utils.get_yaml_loader


@functools.cache
def loader() -> Any:
    """Return a loader for `yaml.load` that builds the same values as OmegaConf's loader and raises the same errors."""
    in_python = _omegaconfs_own()

    class Loader(CParser, in_python):  # type: ignore[misc, valid-type]
        """Parses with libyaml. The types of scalars and the check for duplicate keys are those of OmegaConf."""

        def __init__(self, stream: Any) -> None:
            self.text = stream.read() if hasattr(stream, "read") else stream
            self.named = getattr(stream, "name", "<file>" if hasattr(stream, "read") else "<unicode string>")
            CParser.__init__(self, self.text)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

        def get_single_data(self) -> Any:
            """Return the file's content. A text with tabs is parsed in Python, because libyaml accepts more tabs."""
            if "\t" not in self.text:
                try:
                    return super().get_single_data()
                except yaml.YAMLError:
                    pass
            return in_python(_Named(self.text, self.named)).get_single_data()

    return Loader
