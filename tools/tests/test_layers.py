"""Each rule of the import layers notices a breach: a rule that cannot fail protects nothing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

# One breach of each rule, and one use that is allowed.
BREACHES = {
    "autogen_core/_kernel.py": "from autogen_core import anything",
    "autogen_core/tools/_one.py": "from autogen_core.models._two import anything",
    "autogen_core/models/_two.py": "from autogen_core.tools._one import anything",
    "autogen_agentchat/_private.py": "import autogen_ext",
    "autogen_agentchat/teams/__init__.py": "from autogen_agentchat import anything",
    "autogen_ext/models/_shared/__init__.py": "",
    "autogen_ext/models/fine.py": "from autogen_ext.models._shared import anything",
    "autogen_ext/models/local/_server.py": "import openai",
    "autogen_ext/models/other.py": "from autogen_ext.models.fine import anything",
    "autogen_ext/tools/mine.py": "from autogen_agentchat.teams import anything",
    "autogen_ext/ui/__init__.py": "from autogen_agentchat._private import anything",
}


def test_every_rule_notices_its_breach(tmp_path: Path) -> None:
    for name, text in BREACHES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in file.relative_to(tmp_path).parents[:-1]:
            (tmp_path / folder / "__init__.py").touch()
        file.write_text(text + "\n", encoding="utf-8")
    result = subprocess.run(
        [LINTER, "--no-logo", "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert "Contracts: 0 kept, 8 broken." in result.stdout, result.stdout
    assert "autogen_ext.models.other is not allowed to import autogen_ext.models.fine" in result.stdout
    assert "autogen_ext.models.fine is not allowed" not in result.stdout
