"""A rule for import-linter: who imports another distribution enters by its public paths.

Stands on import-linter's contract interface; knows nothing of the product. The rule is declared in `pyproject.toml`.
"""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


def _is_private(path: str) -> bool:
    return any(part.startswith("_") for part in path.split("."))


class PublicPathsContract(Contract):
    """No module imports a private module of another root package."""

    type_name = "public_paths"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports that reach into another package."""
        found = [
            (importer, imported)
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if _is_private(imported)
            and importer.partition(".")[0] != imported.partition(".")[0]
            and imported.partition(".")[0].startswith("autogen_")
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import, and say what to do."""
        for importer, imported in check.metadata["found"]:
            output.print_error(f"{importer} imports {imported}: use a public path, or make one", bold=False)
