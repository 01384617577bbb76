"""Makes Hydra search a person's own configuration before the shipped one: config/own_conf.py."""

from pathlib import Path

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin

from flexunet_exp.config import own_conf
from flexunet_exp.config.compose import conf_dir

MAIN = "main"  # Hydra's provider of the folder that an app names


class OwnConfigSource(FileConfigSource):
    """A folder that adds choices to the groups, and replaces no command's configuration."""

    @staticmethod
    def scheme() -> str:
        return "flexunet"

    def is_config(self, config_path: str) -> bool:
        name = self._normalize_file_name(config_path)
        return super().is_config(config_path) and own_conf.is_read(Path(self.path), name)

    def load_config(self, config_path: str) -> ConfigResult:
        own_conf.warn_if_hidden(Path(self.path), self._normalize_file_name(config_path))
        return super().load_config(config_path)


class OwnConfigSearchPath(SearchPathPlugin):
    """Adds the person's folder, but not to the Hydra apps of other packages."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        searched = {part.path for part in search_path.get_path() if part.provider == MAIN}
        if str(conf_dir()) in searched and (folder := own_conf.own_folder()):
            before_shipped = SearchPathQuery(provider=MAIN)
            search_path.prepend("own", f"{OwnConfigSource.scheme()}://{folder}", before_shipped)
