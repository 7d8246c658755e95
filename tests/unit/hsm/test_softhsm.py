import secrets
import stat

import pytest

from hsm.errors import PinMissing, PinWrong, TokenExists
from hsm.module import load_module
from hsm.softhsm import NewToken, configuration, ensure_token, find_module
from hsm.spec import KeySpec, Purpose
from hsm.token_making import create_token, has_token
from tests.softhsm import new_token, softhsm_home


def test_the_module_is_found_under_each_usual_folder(tmp_path):
    assert find_module([tmp_path]) is None
    for folder in ("lib/softhsm", "lib/x86_64-linux-gnu/softhsm", "lib64/softhsm"):
        prefix = tmp_path / folder.replace("/", "-")
        (prefix / folder).mkdir(parents=True)
        (prefix / folder / "libsofthsm2.so").touch()
        assert find_module([tmp_path / "nothing", prefix]) == prefix / folder / "libsofthsm2.so"


def test_a_relative_token_folder_stays_relative_in_the_settings():
    assert "directories.tokendir = tokens\n" in configuration("tokens")


def test_a_created_token_opens_with_its_pin_and_signs(softhsm_token):
    assert has_token(softhsm_token.module_path, softhsm_token.label)
    store = softhsm_token.store()
    ref = store.generate(KeySpec.P_256, "first", Purpose.DOCUMENT)
    assert store.list_keys() == [ref]
    store.close()


def test_a_token_is_not_made_twice_and_not_overwritten(softhsm_token):
    store = softhsm_token.store()
    ref = store.generate(KeySpec.P_256, "kept", Purpose.DOCUMENT)
    with pytest.raises(TokenExists) as refusal:
        create_token(softhsm_token.module_path, softhsm_token.label, softhsm_token.pin_file, softhsm_token.pin_file)
    assert refusal.value.facts["token"] == softhsm_token.label
    assert store.list_keys() == [ref]
    store.close()


def test_a_token_left_without_a_user_pin_is_finished(softhsm_module, tmp_path):
    pin_file, so_pin_file, label = tmp_path / "pin", tmp_path / "so-pin", f"half-{tmp_path.name}"[:32]
    pin_file.write_text("user-pin\n")
    so_pin_file.write_text("so-pin\n")
    load_module(softhsm_module).init_token(label, "so-pin")
    assert not has_token(softhsm_module, label)
    (tmp_path / "other").write_text("another")
    with pytest.raises(PinWrong):
        create_token(softhsm_module, label, pin_file, tmp_path / "other")
    create_token(softhsm_module, label, pin_file, so_pin_file)
    assert has_token(softhsm_module, label)


def test_a_missing_pin_file_makes_no_token(softhsm_module, tmp_path):
    (tmp_path / "pin").write_text("1234")
    before = len(list((softhsm_home() / "tokens").iterdir()))
    with pytest.raises(PinMissing):
        create_token(softhsm_module, "never", tmp_path / "pin", tmp_path / "absent")
    assert not has_token(softhsm_module, "never")
    assert len(list((softhsm_home() / "tokens").iterdir())) == before


@pytest.mark.parametrize("label", ["", "x" * 33, "ấ" * 11])
def test_a_label_that_does_not_fit_its_32_octets_is_refused(softhsm_module, tmp_path, label):
    (tmp_path / "pin").write_text("1234")
    with pytest.raises(ValueError, match="32 octets"):
        create_token(softhsm_module, label, tmp_path / "pin", tmp_path / "pin")


def test_a_vietnamese_label_of_32_octets_is_found_again():
    label = "Ủy ban nhân dân " + secrets.token_hex(6)
    assert len(label.encode()) == 32
    assert has_token(new_token(label).module_path, label)


def test_token_files_are_for_their_owner_only(softhsm_token):
    for path in (softhsm_home() / "tokens").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_token_is_made_by_a_process_of_its_own_once(softhsm_module, tmp_path):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(configuration("tokens"))
    (tmp_path / "pin").write_text("1234")
    wanted = NewToken(softhsm_module, "made", tmp_path / "pin", tmp_path / "pin")
    surroundings = {"SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}
    for _ in range(2):
        ensure_token(wanted, surroundings, tmp_path)
        assert len(list((tmp_path / "tokens").iterdir())) == 1
    assert not has_token(softhsm_module, "made"), "this process has another token folder"


def test_what_keeps_a_token_from_being_made_is_told_by_its_own_error(softhsm_module, tmp_path):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(configuration("tokens"))
    wanted = NewToken(softhsm_module, "never", tmp_path / "absent", tmp_path / "absent")
    with pytest.raises(PinMissing) as refusal:
        ensure_token(wanted, {"SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf")}, tmp_path)
    assert refusal.value.facts == {"pin_file": str(tmp_path / "absent")}
    assert list((tmp_path / "tokens").iterdir()) == []
