"""The train command's configuration, composed without running it."""

from __future__ import annotations

from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from flexunet_exp.config import resolvers
from flexunet_exp.config.compose import conf_dir


def compose(*overrides: str):
    resolvers.register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra_compose("train", list(overrides))
