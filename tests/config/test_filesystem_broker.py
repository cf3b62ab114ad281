"""The broker of the embedded default."""

import os
from queue import Empty

import pytest
from kombu import Connection

from config import filesystem_broker


def test_message_is_not_seen_before_it_is_whole(tmp_path, monkeypatch):
    filesystem_broker.use()
    options = {
        "data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path), "control_folder": str(tmp_path / "control"),
    }  # fmt: skip
    message, looked = {"body": "x" * 4096}, []
    with Connection("filesystem://", transport_options=options) as connection:
        channel = connection.channel()
        rename = os.replace

        def look_first(part, name):
            with pytest.raises(Empty):
                channel._get("celery")
            looked.append(name)
            rename(part, name)

        monkeypatch.setattr(os, "replace", look_first)
        channel._put("celery", message)
        assert channel._get("celery") == message
    assert len(looked) == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []
