"""What the doctor says about a machine, with the machine made up."""

import os

import pytest

from neoresponse.doctor import diagnose


def memory(folder):
    return [found for found in diagnose(folder) if found.name == "memory"]


def give(monkeypatch, num_pages):
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": num_pages}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__, raising=False)


def test_enough_memory_is_told_in_gib(monkeypatch, tmp_path):
    give(monkeypatch, 16 * 2**18)
    (found,) = memory(tmp_path)
    assert (found.found, found.is_fine, found.remedy) == ("16.0 GiB", True, "")


def test_little_memory_gets_a_note_and_stops_nothing(monkeypatch, tmp_path):
    give(monkeypatch, 3 * 2**18)
    (found,) = memory(tmp_path)
    assert (found.found, found.is_fine, found.is_needed) == ("3.0 GiB", False, False)
    assert "4 GiB" in found.remedy


@pytest.mark.parametrize("error", [AttributeError, ValueError, OSError])
def test_memory_is_left_out_where_the_system_does_not_say(monkeypatch, tmp_path, error):
    def refuse(name):
        raise error(name)

    monkeypatch.setattr(os, "sysconf", refuse, raising=False)
    assert not memory(tmp_path)
