"""What is not used is neither needed nor loaded, and what is missing is named."""

import subprocess
import sys

import pytest

OPTIONAL = ("genai_prices", "redis", "diskcache", "openai", "anthropic", "httpx2")


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, check=True, text=True, timeout=50
    )
    return done.stdout.strip()


def test_middleware_and_cache_need_no_extra() -> None:
    hidden = "".join(f"sys.modules[{name!r}] = None\n" for name in OPTIONAL)
    program = f"import sys\n{hidden}import autogen_ext.models.middleware, autogen_ext.models.cache\nprint('loaded')"
    assert run(program) == "loaded"


@pytest.mark.parametrize(
    ("module", "use", "extra"),
    [
        ("redis", "import autogen_ext.cache_store.redis", "autogen-ext[redis]"),
        ("diskcache", "import autogen_ext.cache_store.diskcache", "autogen-ext[diskcache]"),
        (
            "genai_prices",
            "from autogen_ext.models.middleware import UsageLedger; UsageLedger(money=True)",
            "autogen-ext[prices]",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_extra(module: str, use: str, extra: str) -> None:
    program = f"""
import sys
sys.modules[{module!r}] = None
try:
    {use}
except ImportError as error:
    print(error)
"""
    assert extra in run(program)
