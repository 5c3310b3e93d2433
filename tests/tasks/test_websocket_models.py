"""Models that take audio only through a WebSocket are listed, but not called."""

import pytest

from cfai_magics.commands import run
from cfai_magics.errors import InvalidOptionError
from cfai_magics.pricing.catalog import load_bundled
from cfai_magics.session.session import Session
from cfai_magics.tasks.task_run import WEBSOCKET_MODELS
from tests.fake_frontends import bare_frontend
from tests.standin import Standin


@pytest.mark.parametrize("model", sorted(WEBSOCKET_MODELS))
def test_a_websocket_model_is_rejected_before_a_request(
    session: Session, account: Standin, model: str
) -> None:
    assert model in {each.name for each in load_bundled().models}
    words = ["--task", "transcribe", "-m", model, "talk.mp3"]
    with pytest.raises(InvalidOptionError, match="only through a WebSocket") as caught:
        run("ask", words, bare_frontend(session), "%cfai")
    assert "whisper-large-v3-turbo" in caught.value.hint
    assert account.requests == ()
