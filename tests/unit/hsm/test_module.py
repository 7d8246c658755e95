import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsm.errors import ModuleMissing, TokenAmbiguous
from hsm.module import load_module
from tests.softhsm import new_token, softhsm_home

REPOSITORY = Path(__file__).parents[3]


def run_python(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: what a module does when it is initialised can be tried only once in one."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
    )


def test_a_text_file_is_not_a_module(tmp_path):
    path = tmp_path / "module.so"
    path.write_text("not a shared object\n")
    with pytest.raises(ModuleMissing) as refusal:
        load_module(path)
    assert refusal.value.facts == {"module": str(path)}


def test_a_directory_and_an_empty_file_are_no_modules(tmp_path):
    (tmp_path / "empty.so").touch()
    for path in (tmp_path, tmp_path / "empty.so"):
        with pytest.raises(ModuleMissing):
            load_module(path)


def test_a_link_that_leads_to_itself_is_no_module(tmp_path):
    loop = tmp_path / "loop.so"
    loop.symlink_to(loop)
    with pytest.raises(ModuleMissing) as refusal:
        load_module(loop)
    assert refusal.value.facts == {"module": str(loop)}


def test_a_shared_object_without_pkcs11_is_not_a_module():
    libraries = sorted(Path("/lib").glob("*/libm.so.6"))
    if not libraries:
        pytest.skip("no plain shared object found to try")
    with pytest.raises(ModuleMissing) as refusal:
        load_module(libraries[0])
    assert "C_GetFunctionList" in str(refusal.value)


def test_softhsm_without_its_token_folder_fails_by_name_and_loads_once_mended(softhsm_module, tmp_path):
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    script = (
        "import sys\nfrom pathlib import Path\nfrom hsm.errors import TokenFailed\n"
        "from hsm.module import load_module\n"
        "try:\n    load_module(Path(sys.argv[1]))\n"
        "except TokenFailed as error:\n    print(error.rv, error.facts['operation'])\n"
        "Path(sys.argv[2]).mkdir()\n"
        "print(load_module(Path(sys.argv[1])).has_token('t'))\n"
    )
    done = run_python(
        script, str(softhsm_module), str(tmp_path / "tokens"), SOFTHSM2_CONF=str(tmp_path / "softhsm2.conf")
    )
    assert (done.returncode, done.stdout) == (0, "CKR_GENERAL_ERROR C_Initialize\nFalse\n"), done.stderr


def test_a_module_that_others_initialised_without_locking_is_refused(softhsm_module):
    script = (
        "import sys\nfrom pathlib import Path\nimport pkcs11\nfrom hsm.errors import TokenFailed\n"
        "from hsm.module import load_module\n"
        "pkcs11.lib(sys.argv[1])\n"
        "try:\n    load_module(Path(sys.argv[1]))\n"
        "except TokenFailed as error:\n    print(error.rv)\n"
    )
    done = run_python(script, str(softhsm_module))
    assert (done.returncode, done.stdout) == (0, "CKR_CRYPTOKI_ALREADY_INITIALIZED\n"), done.stderr


def test_two_tokens_of_one_label_are_not_chosen_from(softhsm_module, tmp_path):
    one = new_token()
    source = {path.name for path in (softhsm_home() / "tokens").iterdir()}
    two = new_token()
    module = load_module(softhsm_module)
    assert source < {path.name for path in (softhsm_home() / "tokens").iterdir()}
    assert module.find_token(one.label).serial != module.find_token(two.label).serial
    # SoftHSM itself makes a second token of the same label when it is told to.
    free = [slot for slot in module.lib.get_slots() if not slot.get_token().label]
    assert module._functions.init_token(free[0].slot_id, b"12345678", two.label.encode()) == 0
    with pytest.raises(TokenAmbiguous) as refusal:
        module.find_token(two.label)
    assert refusal.value.facts == {"token": two.label, "module": str(softhsm_module.resolve())}


def test_a_token_that_names_no_session_limit_has_none(softhsm_token):
    module = load_module(softhsm_token.module_path)
    assert module.session_limit(module.find_token(softhsm_token.label)) is None
