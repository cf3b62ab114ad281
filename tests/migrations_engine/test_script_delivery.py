"""How scripts, parameters and secrets reach a guest; here a shell of this machine takes its place."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_engine.domain.redaction import GONE
from migrations_engine.domain.script_delivery import (
    delivered,
    executable,
    is_for,
    live_tail,
    secret_words,
    without_secrets,
)

CANARY = "c4n4ry-Zq9x"
SHOW = 'printf "%s|" "$A" "$B"; ls "${0%/*}"'
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60)


def script(body: str, interpreter: str = "sh") -> dict:
    return {"body": body, "interpreter": interpreter}


def run(folder, text: str) -> subprocess.CompletedProcess:
    path = folder / "script"
    path.write_text(text, newline="")
    path.chmod(0o700)
    return subprocess.run([path], capture_output=True, cwd="/", check=False)


def test_script_without_variables_is_what_its_author_wrote():
    assert delivered(script("echo 1\r\necho 2"), {}, "END") == "#!/bin/sh\necho 1\necho 2"
    assert executable(script("#!/bin/ash\n:", "bash")) == "#!/bin/ash\n:"


def test_values_arrive_whole_and_the_file_that_held_them_is_gone(tmp_path):
    nasty = "a'b\"c $(touch pwned) `id` \\ \n;rm -rf / #"
    done = run(tmp_path, delivered(script(SHOW), {"A": nasty, "B": CANARY}, "END-1"))
    assert done.stdout.decode() == f"{nasty}|{CANARY}|text\n"
    assert done.returncode == 0
    left = [path for path in tmp_path.iterdir() if CANARY.encode() in path.read_bytes()]
    assert left == []


@settings(max_examples=15, deadline=None)
@given(value=TEXTS)
def test_any_text_arrives_as_it_is(tmp_path_factory, value):
    done = run(tmp_path_factory.mktemp("job"), delivered(script('printf %s "$A"'), {"A": value}, "END-1"))
    assert done.stdout.decode() == value


def test_python_reads_its_environment(tmp_path):
    text = delivered(
        script("import os; print(os.environ['A']); raise SystemExit(7)", "python3"), {"A": "1"}, "E-1"
    )
    done = run(tmp_path, text)
    assert (done.stdout, done.returncode) == (b"1\n", 7)


def test_powershell_is_called_with_the_ending_that_it_wants():
    text = delivered(script("Write-Output $env:A", "pwsh"), {}, "END-1")
    assert text.endswith('exec pwsh -NoLogo -NoProfile -NonInteractive -File "$text"\n')
    assert "text=${0%/*}/text.ps1" in text


def test_script_that_holds_the_mark_is_refused():
    with pytest.raises(ValueError, match="mark"):
        delivered(script("cat <<END-1\nEND-1"), {"A": "1"}, "END-1")


def test_script_is_for_its_systems():
    assert is_for({"os": []}, "rocky")
    assert is_for({}, "")
    assert is_for({"os": ["debian", "ubuntu"]}, "debian")
    assert not is_for({"os": ["debian"]}, "rocky")
    assert not is_for({"os": ["debian"]}, "")


# --- output ----------------------------------------------------------------------------------------------------------

KEY = "-----BEGIN KEY-----\nline-one-of-it\nline-two-of-it\n-----END KEY-----"


def test_secret_is_taken_out_whole_by_lines_and_encoded():
    import base64

    text = f"a {CANARY} b {base64.b64encode(CANARY.encode()).decode()} c\nline-two-of-it\n"
    assert without_secrets(text, [CANARY, KEY]) == f"a {GONE} b {GONE} c\n{GONE}\n"
    assert without_secrets(text, []) == text


def test_secret_that_the_bound_cut_in_two_is_gone_with_the_cut():
    text = f"begin {CANARY[:6]}\n[... 900 bytes left out ...]\n{CANARY[6:]} end\nlast line\n"
    told = without_secrets(text, [CANARY])
    assert CANARY[:6] not in told
    assert CANARY[6:] not in told
    assert told.endswith("last line\n")


@given(before=TEXTS, after=TEXTS, cut=st.integers(0, 200))
def test_no_piece_of_the_live_output_shows_a_part_of_a_secret(before, after, cut):
    """However the window falls on it: four characters in a row are a part."""
    whole = f"{before}\nthe password is {CANARY} and so on\n{after}"
    written = whole[: max(0, len(whole) - cut)]
    for is_cut, window in ((False, written), (True, written[cut // 2 :])):
        told = live_tail(window, [CANARY], is_cut=is_cut)
        plain = told.replace(GONE, "")
        parts = [CANARY[at : at + 4] for at in range(len(CANARY) - 3)]
        assert not [part for part in parts if part in plain and part not in before + after]


def test_longest_word_of_a_secret_comes_first():
    words = secret_words([KEY])
    assert words == sorted(words, key=len, reverse=True)
    assert "line-one-of-it" in words
